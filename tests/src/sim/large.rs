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
    /// Time for each step, all clients and the relay on one thread.
    pub steps: Vec<(&'static str, Duration)>,
    /// Bytes of keys that one message wrote at its sender, and at one reader.
    pub written: (u64, u64),
}

/// Makes a group of `members`, writes in it, changes it. All know the first and nobody else.
pub fn run_large(members: usize) -> Result<Large, Violation> {
    let calm = Plan { clients: members, events: 0, crash_one_in: 0 };
    let mut steps = Vec::new();
    let mut world = World::new(1, members, RelayLife::Ordinary);
    let mut timed = |name, world: &mut World, act: &mut dyn FnMut(&mut World)| {
        let start = Instant::now();
        act(world);
        world.settle_calmly(Duration::from_secs(1))?;
        steps.push((name, start.elapsed()));
        Ok(())
    };
    timed("pair", &mut world, &mut |world| (1..members).for_each(|other| world.pair(0, other, calm)))?;
    timed("give key packages", &mut world, &mut |world| {
        world.clients.iter_mut().for_each(|client| client.typed.push_back(Typed::GiveKeyPackages));
    })?;
    let names: Vec<_> = world.clients[1..].iter().map(|client| client.name.clone()).collect();
    timed("create", &mut world, &mut |world| {
        world.clients[0].typed.push_back(Typed::CreateGroup(GROUP.to_owned(), names.clone()));
    })?;
    check_members(&world.clients, members)?;

    let last = members - 1;
    say(&mut world, last, "hello");
    timed("first message", &mut world, &mut |_| {})?;
    let before = [last, 1].map(|client| world.clients[client].store.written(&KEYS));
    say(&mut world, last, "once more");
    timed("message", &mut world, &mut |_| {})?;
    let after = [last, 1].map(|client| world.clients[client].store.written(&KEYS));
    check_texts(&world.clients[..last], &["hello", "once more"])?;

    let gone = members / 2;
    let name = world.clients[gone].name.clone();
    timed("remove one", &mut world, &mut |world| {
        let change = GroupChange::Remove(vec![name.clone()]);
        world.clients[0].typed.push_back(Typed::Group(GROUP.to_owned(), change));
    })?;
    say(&mut world, 0, "without one");
    timed("message after", &mut world, &mut |_| {})?;
    let removed = world.clients.remove(gone);
    if !matches!(standing(&removed), Some(GroupStanding::Removed(_))) {
        return Err(Violation(format!("{} is {:?}", removed.name, standing(&removed))));
    }
    check_texts(std::slice::from_ref(&removed), &["hello", "once more"])?;
    check_members(&world.clients, members - 1)?;
    check_texts(&world.clients[1..members - 2], &["hello", "once more", "without one"])?;
    Ok(Large { steps, written: (after[0] - before[0], after[1] - before[1]) })
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

fn check_texts(clients: &[Client], texts: &[&str]) -> Result<(), Violation> {
    for client in clients {
        let log = log(client).into_iter().filter(|message| message.author.is_some());
        let received: Vec<_> = log.map(|message| plain(message.text)).collect();
        if received != texts {
            return Err(Violation(format!("{} has {received:?}", client.name)));
        }
    }
    Ok(())
}
