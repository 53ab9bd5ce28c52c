//! Groups in the simulation: members come and go while everybody writes, connections break and processes die.

use std::{collections::BTreeMap, time::Duration};

use hermes_engine::{
    GroupChange, GroupStanding, LostReason, MessageState, Text,
    query::{self, GroupDetails, MessageDirection, MessageView, RecipientView},
};

use super::{
    check::Violation,
    client::{Client, Typed},
    world::{Plan, RelayLife, Report, World},
};

/// How large a run with a group is.
#[derive(Clone, Copy, Debug)]
pub struct GroupPlan {
    /// Clients; the first makes the group and knows all the others.
    pub clients: usize,
    /// Of these, so many are members from the beginning and are never removed.
    pub core: usize,
    /// Things that happen while there are faults.
    pub events: usize,
    /// One commit in so many kills its process; 0 is never.
    pub crash_one_in: u32,
}

/// Time between two rounds of settling where nothing has been refused.
const PAUSE: Duration = Duration::from_secs(1);
/// Longer than any refusal's delay, so that what waits for a rate goes on.
const PATIENCE: Duration = Duration::from_secs(700);

/// What the group is called. Who joins after it was renamed knows it by another name.
pub(super) const GROUP: &str = "ops";

/// Clients that know each other and a group of their core, as they stand before anything goes wrong.
pub struct PreparedGroup {
    world: World,
    plan: GroupPlan,
}

impl PreparedGroup {
    /// Pairs, gives key packages, makes the group, and makes a second admin, for commits that meet.
    pub fn new(seed: u64, plan: GroupPlan) -> Result<Self, Violation> {
        let calm = Plan { clients: plan.clients, events: 0, crash_one_in: 0 };
        let mut world = World::new(seed, plan.clients, RelayLife::Ordinary);
        for other in 1..plan.clients {
            world.pair(0, other, calm);
        }
        world.settle_calmly(PAUSE)?;
        for client in &mut world.clients {
            client.typed.push_back(Typed::GiveKeyPackages);
        }
        world.settle_calmly(PAUSE)?;
        let core = (1..plan.core).map(|client| world.clients[client].name.clone()).collect();
        world.clients[0].typed.push_back(Typed::CreateGroup(GROUP.to_owned(), core));
        world.settle_calmly(PAUSE)?;
        let second = world.clients[1].name.clone();
        world.clients[0].typed.push_back(Typed::Group(GROUP.to_owned(), GroupChange::Promote(second)));
        world.settle_calmly(PAUSE)?;
        Ok(Self { world, plan })
    }

    /// Runs one seed from here.
    pub fn run(&self, seed: u64) -> Result<Report, Violation> {
        let Self { world, plan } = self;
        let mut world = world.fork(seed);
        let ordinary = Plan { clients: plan.clients, events: plan.events, crash_one_in: plan.crash_one_in };
        for _ in 0..plan.events {
            world.happen(ordinary);
            world.happen_in_group(*plan);
        }
        world.settle_calmly(PATIENCE)?;
        // Whoever lost its place twice in an hour asks again the next day.
        world.now = world.now.after(Duration::from_secs(86_400));
        world.settle_calmly(PATIENCE)?;
        let messages = check_group(&world.clients, *plan)?;
        Ok(Report { messages, faults: world.faults, rounds: 0 })
    }
}

impl World {
    fn happen_in_group(&mut self, plan: GroupPlan) {
        let client = self.below(self.clients.len());
        match self.below(100) {
            0..30 => self.type_to_group(client),
            30..33 => self.change_members(plan),
            33 => {
                let name = format!("ops {}", self.below(1_000));
                self.clients[1].typed.push_back(Typed::Group(GROUP.to_owned(), GroupChange::Rename(name)));
            }
            34 if client >= plan.core => {
                let group = name(&self.clients[client]);
                self.clients[client].typed.push_back(Typed::Group(group, GroupChange::Leave));
            }
            // From a copy in which it was no member it would not know that it is one.
            35 if client >= plan.core && standing(&self.clients[client]) == Some(GroupStanding::Member) => {
                self.copy_store(client);
            }
            36 if client >= plan.core && self.chance(20) => self.put_store_back(client),
            _ => {}
        }
    }

    /// Keeps a copy of a client's store, which the relay is then told to be an old one.
    fn copy_store(&mut self, client: usize) {
        let copy = self.clients[client].store.clone();
        self.store_copies.insert(client, copy);
        if let Some(link) = &mut self.clients[client].link {
            link.claim_due = true;
        }
        let calm = Plan { clients: self.clients.len(), events: 0, crash_one_in: 0 };
        for _ in 0..8 {
            self.clients[client].pump();
            self.relay_turn(calm);
            self.client_turn(client, calm);
        }
    }

    fn put_store_back(&mut self, client: usize) {
        if let Some(copy) = self.store_copies.remove(&client) {
            self.faults += 1;
            self.clients[client].put_back(copy);
        }
    }

    fn type_to_group(&mut self, client: usize) {
        if standing(&self.clients[client]) == Some(GroupStanding::Member) {
            let (key, text) = self.next_text();
            let to = name(&self.clients[client]);
            self.clients[client].typed.push_back(Typed::Send { to, text, key });
        }
    }

    /// The first admin adds, either of them removes.
    fn change_members(&mut self, plan: GroupPlan) {
        if plan.core >= plan.clients {
            return;
        }
        let other = plan.core + self.below(plan.clients - plan.core);
        let name = self.clients[other].name.clone();
        let (admin, change) = match self.below(4) {
            0 | 1 => (0, GroupChange::Add(vec![name])),
            2 => (0, GroupChange::Remove(vec![name])),
            _ => (1, GroupChange::Remove(vec![name])),
        };
        self.clients[admin].typed.push_back(Typed::Group(GROUP.to_owned(), change));
    }
}

pub(super) fn details(client: &Client) -> Option<GroupDetails> {
    let group = query::groups(&client.store).expect("memory").pop()?;
    query::group_at(&client.store, group.chat).expect("memory")
}

/// What the client calls the group.
fn name(client: &Client) -> String {
    details(client).map_or_else(|| GROUP.to_owned(), |details| details.group.name)
}

pub(super) fn standing(client: &Client) -> Option<GroupStanding> {
    details(client).map(|details| details.group.standing)
}

/// Nothing has forked, nobody lost its place, and what one of the core wrote all of the core have, once and in order.
fn check_group(clients: &[Client], plan: GroupPlan) -> Result<u64, Violation> {
    let mut epochs = BTreeMap::new();
    for client in clients {
        let Some(details) = details(client) else { continue };
        match &details.group.standing {
            GroupStanding::Member | GroupStanding::Leaving => {
                let state = query::group_authenticator(&client.store, &name(client)).expect("memory");
                epochs.insert(client.name.clone(), (details.group.epoch, state, details.members.len()));
            }
            GroupStanding::Removed(_) | GroupStanding::Left => {}
            // Put back from an old copy, and removed meanwhile: it asks in vain.
            GroupStanding::Lost(LostReason::Restored) => {}
            other => return Err(Violation(format!("{}'s group ended as {other:?}", client.name))),
        }
        if details.group.changing && details.waiting.is_empty() {
            return Err(Violation(format!("a change that {} asked for is stuck", client.name)));
        }
        if details.group.missed > 0 {
            return Err(Violation(format!("{} missed {} posts", client.name, details.group.missed)));
        }
    }
    let first = epochs.get("user0").cloned();
    for (name, epoch) in &epochs {
        if Some(epoch) != first.as_ref() {
            return Err(Violation(format!("{name} is at {epoch:?}, user0 at {first:?}")));
        }
    }
    if first.as_ref().map(|(_, _, members)| *members) != Some(epochs.len()) {
        let standings = clients.iter().map(|client| (&client.name, standing(client)));
        let standings: Vec<_> = standings.filter(|(name, _)| !epochs.contains_key(*name)).collect();
        return Err(Violation(format!(
            "{first:?} for the members {:?}; others: {standings:?}",
            epochs.keys()
        )));
    }
    let mut messages = 0;
    let core = &clients[..plan.core];
    let received: Vec<_> = core.iter().map(received).collect();
    for author in core {
        let sent = sent(author)?;
        for (reader, received) in core.iter().zip(&received).filter(|(reader, _)| reader.name != author.name)
        {
            let received = received.get(&author.name).cloned().unwrap_or_default();
            if received != sent {
                let at = received.iter().zip(&sent).take_while(|(a, b)| a == b).count();
                return Err(Violation(format!(
                    "{} wrote {} messages, {} has {} of them; they differ at {at}: {:?}, {:?}",
                    author.name,
                    sent.len(),
                    reader.name,
                    received.len(),
                    sent.get(at),
                    received.get(at)
                )));
            }
        }
        messages += sent.len() as u64;
    }
    check_confirmed(&clients[0], plan)?;
    for client in clients {
        check_nothing_waits(client)?;
    }
    Ok(messages)
}

/// What the author was told that it was sent.
fn sent(author: &Client) -> Result<Vec<String>, Violation> {
    let stored: Vec<_> = log(author)
        .into_iter()
        .filter_map(|message| match message.direction {
            MessageDirection::Sent(state) => Some((plain(message.text), state)),
            _ => None,
        })
        .collect();
    let accepted = author.accepted.get(&name(author)).cloned().unwrap_or_default();
    if stored.iter().map(|(text, _)| text).ne(&accepted) {
        return Err(Violation(format!("{} was told of other messages than it stored", author.name)));
    }
    // Whether all have it is told by those who confirm, and they may be removed before.
    let arrived = |state: &MessageState| {
        matches!(state, MessageState::Relayed | MessageState::Delivered | MessageState::Read)
    };
    match stored.iter().find(|(_, state)| !arrived(state)) {
        Some((text, state)) => Err(Violation(format!("{}'s {text:?} ended as {state:?}", author.name))),
        None => Ok(accepted),
    }
}

/// The first client knows everybody, so the core, which receives everything, has confirmed everything.
fn check_confirmed(author: &Client, plan: GroupPlan) -> Result<(), Violation> {
    for message in log(author) {
        if !matches!(message.direction, MessageDirection::Sent(_)) {
            continue;
        }
        let recipients = query::recipients(&author.store, &message.id).expect("memory");
        let has = |recipient: &RecipientView| {
            matches!(recipient.state, MessageState::Delivered | MessageState::Read)
        };
        let core = (1..plan.core).map(|client| format!("user{client}"));
        for name in core {
            if !recipients.iter().any(|recipient| recipient.person.profile_name == name && has(recipient)) {
                return Err(Violation(format!("{name} has not confirmed {:?}", plain(message.text))));
            }
        }
    }
    Ok(())
}

/// What came from whom, in order.
fn received(reader: &Client) -> BTreeMap<String, Vec<String>> {
    let mut received: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for message in log(reader) {
        if let Some(author) = message.author {
            received.entry(author.profile_name).or_default().push(plain(message.text));
        }
    }
    received
}

/// Whatever somebody wrote left, or has failed.
fn check_nothing_waits(client: &Client) -> Result<(), Violation> {
    let waits = log(client)
        .into_iter()
        .find(|message| message.direction == MessageDirection::Sent(MessageState::Queued));
    match waits {
        Some(message) => Err(Violation(format!("{}'s {:?} still waits", client.name, message.text))),
        None => Ok(()),
    }
}

pub(super) fn log(client: &Client) -> Vec<MessageView> {
    query::log(&client.store, &name(client), None, usize::MAX).expect("memory").unwrap_or_default()
}

pub(super) fn plain(text: Text) -> String {
    match text {
        Text::Plain(text) => text,
        other => format!("{other:?}"),
    }
}
