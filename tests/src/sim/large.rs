//! A group as large as they come, without faults: what costs what, and that all agree.

use std::time::{Duration, Instant};

use hermes_engine::{GroupChange, GroupStanding, Table, query};

use super::{
    check::Violation,
    client::{Client, Typed},
    groups::{GROUP, details, log, plain, standing},
    world::{Plan, RelayLife, World},
};

/// What it cost.
#[derive(Clone, Debug)]
pub struct Large {
    /// Bytes of keys that one message wrote at its sender, and at one reader.
    pub written: (u64, u64),
    /// Bytes of a group's keys at the one who made it, by table.
    pub stored: Vec<(Table, u64)>,
}

/// Who makes the group, and changes it.
const FOUNDER: usize = 0;
/// Who is added when all others are there.
const LAST: usize = 1;

/// Makes a group of `members`, at least 2, of whom the founder knows all and they only the founder; adds the last of them;
/// writes in it; removes one, if there is one.
pub fn run_large(members: usize) -> Result<Large, Violation> {
    let calm = Plan { clients: members, events: 0, crash_one_in: 0 };
    let mut world = Stopwatch { world: World::new(1, members, RelayLife::Ordinary) };
    world.timed("pair", |world| (1..members).for_each(|other| world.pair(FOUNDER, other, calm)))?;
    world.timed("give key packages", |world| {
        let others = world.clients.iter_mut().skip(FOUNDER + 1);
        others.for_each(|client| client.typed.push_back(Typed::GiveKeyPackages));
    })?;
    let names: Vec<_> = world.world.clients.iter().map(|client| client.name.clone()).collect();
    world.timed("create", |world| {
        let others = names.iter().skip(LAST + 1).cloned().collect();
        world.clients[FOUNDER].typed.push_back(Typed::CreateGroup(GROUP.to_owned(), others));
    })?;
    let change = |world: &mut World, change| {
        world.clients[FOUNDER].typed.push_back(Typed::Group(GROUP.to_owned(), change));
    };
    world.timed("add one", |world| change(world, GroupChange::Add(vec![names[LAST].clone()])))?;
    check_members(&world.world.clients, members)?;

    let stored = KEYS.map(|table| (table, world.world.clients[FOUNDER].store.stored(table))).to_vec();
    world.timed("first message", |world| say(world, LAST, "hello"))?;
    let written = |world: &World| [LAST, FOUNDER].map(|client| world.clients[client].store.written(&KEYS));
    let before = written(&world.world);
    world.timed("message", |world| say(world, LAST, "once more"))?;
    let after = written(&world.world);
    check_texts(&world.world.clients, LAST, &["hello", "once more"])?;

    if members > 2 {
        let gone = members - 1;
        world.timed("remove one", |world| change(world, GroupChange::Remove(vec![names[gone].clone()])))?;
        world.timed("message after", |world| say(world, LAST, "without one"))?;
        let removed = world.world.clients.remove(gone);
        if !matches!(standing(&removed), Some(GroupStanding::Removed(_))) {
            return Err(Violation(format!("{} is {:?}", removed.name, standing(&removed))));
        }
        check_texts(std::slice::from_ref(&removed), LAST, &["hello", "once more"])?;
        check_members(&world.world.clients, members - 1)?;
        check_texts(&world.world.clients, LAST, &["hello", "once more", "without one"])?;
    }
    Ok(Large { written: (after[0] - before[0], after[1] - before[1]), stored })
}

/// A world that says what its steps took, all clients and the relay on one thread.
struct Stopwatch {
    world: World,
}

impl Stopwatch {
    fn timed(&mut self, name: &'static str, act: impl FnOnce(&mut World)) -> Result<(), Violation> {
        let start = Instant::now();
        act(&mut self.world);
        self.world.settle_calmly(Duration::from_secs(1))?;
        // While it goes on: with a thousand who read it takes minutes.
        println!("{name}: {:.2?}", start.elapsed());
        Ok(())
    }
}

/// Where keys of a group are kept.
const KEYS: [Table; 4] = [Table::Group, Table::Mls, Table::SenderChain, Table::SenderSkipped];

fn say(world: &mut World, client: usize, text: &str) {
    let (key, _) = world.next_text();
    let send = Typed::Send { to: GROUP.to_owned(), text: text.to_owned(), key };
    world.clients[client].typed.push_back(send);
}

fn check_members(clients: &[Client], members: usize) -> Result<(), Violation> {
    let agreed = query::group_authenticator(&clients[0].store, GROUP).expect("memory");
    for client in clients {
        let details = details(client).map(|details| (details.group.epoch, details.members.len()));
        let own = query::group_authenticator(&client.store, GROUP).expect("memory");
        if details.map(|(_, count)| count) != Some(members) || own.is_none() || own != agreed {
            return Err(Violation(format!("{} is at {details:?} of {members} members", client.name)));
        }
    }
    Ok(())
}

/// That everybody but the author has read these, and nothing else.
fn check_texts(clients: &[Client], author: usize, texts: &[&str]) -> Result<(), Violation> {
    for client in clients.iter().filter(|client| client.name != format!("user{author}")) {
        let log = log(client).into_iter().filter(|message| message.author.is_some());
        let received: Vec<_> = log.map(|message| plain(message.text)).collect();
        if received != texts {
            return Err(Violation(format!("{} has {received:?}", client.name)));
        }
    }
    Ok(())
}
