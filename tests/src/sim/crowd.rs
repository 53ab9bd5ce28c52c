//! A few clients and one group, for tests that decide themselves what happens.

use std::{collections::BTreeSet, time::Duration};

use hermes_engine::{
    ChatId, CommandError, GroupChange, GroupStanding, GuestEvent, LinkEvent, MessageChange, OutboxKey,
    Reference, Text,
    query::{self, GroupDetails, MessageDirection},
};
use hermes_protocol::{Content, group::Authenticator, identity::Fingerprint};
use hermes_relay::store::memory::MemoryStore as RelayStore;
use hermes_wire::{ChannelId, Refusal, drop::ToDrop};

use super::{
    abroad::near,
    breach::{self, Breach, FalseWay},
    client::{DropBody, DropRequest, Typed},
    relay::Answer,
    store::{Doom, MemoryStore},
    world::{Plan, RelayLife, World},
};

/// The group's name.
const GROUP: &str = "ops";
/// Rounds within which everything comes to rest.
const ROUNDS: u32 = 120;

/// Clients of one relay; the first knows all the others.
pub struct Crowd {
    world: World,
    /// Those whose process does not run.
    offline: BTreeSet<usize>,
    /// Those for whose envelopes there is no room.
    full: BTreeSet<usize>,
}

/// A relay's store as it was.
pub struct RelayCopy(RelayStore);

/// When a process dies while everything comes to rest.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// Whose.
    pub client: usize,
    /// At its turn of this number.
    pub turn: u32,
    /// On which side of the commit.
    pub doom: Doom,
}

impl Crowd {
    /// Contacts of the first, with key packages of each other.
    pub fn new(seed: u64, clients: usize) -> Self {
        Self::of_two_relays(seed, clients, &[])
    }

    /// The same; these have their mailboxes at another relay than the first.
    pub fn of_two_relays(seed: u64, clients: usize, far: &[usize]) -> Self {
        let mut world = World::new(seed, clients, RelayLife::Ordinary);
        for client in far {
            world.move_far(*client);
        }
        for other in 1..clients {
            world.pair(0, other, calm(clients));
        }
        let mut crowd = Self { world, offline: BTreeSet::new(), full: BTreeSet::new() };
        crowd.settle();
        for client in &mut crowd.world.clients {
            client.typed.push_back(Typed::GiveKeyPackages);
        }
        crowd.settle();
        crowd
    }

    /// Makes these two contacts as well.
    pub fn pair(&mut self, one: usize, other: usize) {
        let plan = calm(self.world.clients.len());
        self.world.pair(one, other, plan);
        self.settle();
        for client in [one, other] {
            self.world.clients[client].typed.push_back(Typed::GiveKeyPackages);
        }
        self.settle();
    }

    /// The first makes the group with these.
    pub fn create(&mut self, others: &[usize]) {
        let names = others.iter().map(|other| self.name(*other)).collect();
        self.world.clients[0].typed.push_back(Typed::CreateGroup(GROUP.to_owned(), names));
        self.settle();
    }

    /// The name by which contacts know a client.
    pub fn name(&self, client: usize) -> String {
        self.world.clients[client].name.clone()
    }

    /// Somebody wants the group changed.
    pub fn change(&mut self, client: usize, change: GroupChange) {
        self.world.clients[client].typed.push_back(Typed::Group(GROUP.to_owned(), change));
    }

    /// The same, answered at once.
    pub fn try_change(&mut self, client: usize, change: GroupChange) -> Result<(), CommandError> {
        let typed = Typed::Group(GROUP.to_owned(), change);
        self.world.clients[client].ask(&typed, self.world.now, &mut self.world.rng).map(|_| ())
    }

    /// Somebody gives a contact another name.
    pub fn call_contact(&mut self, client: usize, contact: usize, name: &str) {
        let typed = Typed::CallContact(self.name(contact), name.to_owned());
        let (now, rng) = (self.world.now, &mut self.world.rng);
        self.world.clients[client].ask(&typed, now, rng).expect("a free name");
    }

    /// Somebody writes to the group.
    pub fn say(&mut self, client: usize, text: &str) {
        let (key, _) = self.world.next_text();
        let typed = Typed::Send { to: GROUP.to_owned(), text: text.to_owned(), key };
        self.world.clients[client].typed.push_back(typed);
    }

    /// The same, stored at once and not on its way yet.
    pub fn try_say(&mut self, client: usize, text: &str) {
        let (key, _) = self.world.next_text();
        let typed = Typed::Send { to: GROUP.to_owned(), text: text.to_owned(), key };
        let (now, rng) = (self.world.now, &mut self.world.rng);
        self.world.clients[client].ask(&typed, now, rng).expect("a group");
    }

    /// Somebody says something about a message of the group, by its number there.
    pub fn mark(&mut self, client: usize, number: u64, change: MessageChange) -> Result<(), CommandError> {
        let typed = Typed::Message(Reference::new(GROUP, number), change);
        self.world.clients[client].ask(&typed, self.world.now, &mut self.world.rng).map(|_| ())
    }

    /// The group's history as a client has it.
    pub fn log(&self, client: usize) -> Vec<query::MessageView> {
        query::log(self.store(client), GROUP, None, usize::MAX).expect("memory").expect("a group")
    }

    /// Time passes for one client.
    pub fn tick(&mut self, client: usize) {
        self.world.clients[client].tick(self.world.now, &mut self.world.rng);
    }

    /// Somebody writes to a contact.
    pub fn write(&mut self, client: usize, to: usize, text: &str) {
        let (key, _) = self.world.next_text();
        let typed = Typed::Send { to: self.name(to), text: text.to_owned(), key };
        self.world.clients[client].typed.push_back(typed);
    }

    /// A client's process ends, and does not run until [`Self::start`].
    pub fn stop(&mut self, client: usize) {
        self.world.clients[client].stop();
        self.offline.insert(client);
    }

    /// It runs again.
    pub fn start(&mut self, client: usize) {
        self.offline.remove(&client);
    }

    /// Whether there is no room for a client's envelopes: they are lost.
    pub fn fill(&mut self, client: usize, full: bool) {
        if full {
            self.full.insert(client)
        } else {
            self.full.remove(&client)
        };
    }

    /// Whether the relay gives a client no blobs.
    pub fn withhold_blobs(&mut self, client: usize, withheld: bool) {
        let withholds = &mut self.world.without_blobs;
        if withheld {
            withholds.insert(client)
        } else {
            withholds.remove(&client)
        };
    }

    /// Whether the relay says of a blob that it does not have that it is gone.
    pub fn lose_blobs(&mut self, lost: bool) {
        self.world.missing_blobs_are_gone = lost;
    }

    /// The relay as it is.
    pub fn copy_relay(&self) -> RelayCopy {
        RelayCopy(self.world.relay.copy())
    }

    /// The relay goes back to a copy of its store; every connection is lost.
    pub fn put_relay_back(&mut self, copy: RelayCopy) {
        self.world.relay.put_back(copy.0);
        self.world.restart_relay();
    }

    /// The first client's relay takes new mailboxes only with one of these registration tokens.
    pub fn ask_for_tokens(&mut self, tokens: &[&str]) {
        self.world.relay.ask_for_tokens(tokens, self.world.now);
    }

    /// The mailboxes at other relays that a client has.
    pub fn guests(&self, client: usize) -> Vec<query::GuestView> {
        query::guests(self.store(client)).expect("memory")
    }

    /// Something comes to a client's only mailbox at another relay that its relay makes up.
    pub fn forge_at_guest(&mut self, client: usize, event: GuestEvent) {
        let guest = self.guests(client)[0].guest;
        let event = LinkEvent::Guest(guest, event);
        self.world.clients[client].take(event, self.world.now, &mut self.world.rng);
    }

    /// A client connects anew.
    pub fn reconnect(&mut self, client: usize) {
        self.world.clients[client].lose_mailbox();
    }

    /// A copy of a client's store, which the relay is then told to be an old one.
    pub fn copy(&mut self, client: usize) -> MemoryStore {
        let copy = self.world.clients[client].store.clone();
        if let Some(link) = &mut self.world.clients[client].link {
            link.claim_due = true;
        }
        self.settle();
        copy
    }

    /// A client goes back to a copy of its store.
    pub fn put_back(&mut self, client: usize, copy: &MemoryStore) {
        self.world.clients[client].put_back(copy.clone());
    }

    /// Whose store a client's is.
    pub fn fingerprint(&self, client: usize) -> Fingerprint {
        let own = self.details(client).members.into_iter().find(|member| member.person.me);
        own.expect("a member").person.fingerprint
    }

    /// Envelopes that a client could not read.
    pub fn unreadable(&self, client: usize) -> u64 {
        query::summary(self.store(client)).expect("memory").unreadable
    }

    /// A client's store.
    pub fn store(&self, client: usize) -> &MemoryStore {
        &self.world.clients[client].store
    }

    /// Time passes, and nothing else.
    pub fn wait(&mut self, time: Duration) {
        self.world.now = self.world.now.after(time);
    }

    /// Carries everything until nothing is under way between those who are online.
    pub fn settle(&mut self) {
        self.settle_with(&[]);
    }

    /// The same, and processes die meanwhile. How many turns each took.
    pub fn settle_with(&mut self, deaths: &[Death]) -> u32 {
        let mut turn = 0;
        for _ in 0..ROUNDS {
            self.world.now = self.world.now.after(Duration::from_secs(5));
            for client in (0..self.world.clients.len()).filter(|client| !self.offline.contains(client)) {
                self.world.serve(client);
                if self.full.contains(&client) {
                    self.world.clients[client].lose_deliveries();
                }
                let dies = deaths.iter().find(|death| (death.client, death.turn) == (client, turn));
                let (now, doom) = (self.world.now, dies.map(|death| death.doom));
                self.world.clients[client].turn(now, doom, &mut self.world.rng);
                self.world.clients[client].pump();
            }
            turn += 1;
            if self.is_at_rest() {
                return turn;
            }
        }
        panic!("not at rest after {ROUNDS} rounds");
    }

    fn is_at_rest(&self) -> bool {
        let online = |(number, _): &(usize, _)| !self.offline.contains(number);
        let mut clients = self.world.clients.iter().enumerate().filter(online);
        clients.all(|(_, client)| self.world.is_at_rest(client))
    }

    /// A member's program is another one, and ends the epoch against the rules.
    pub fn break_rules(&mut self, client: usize, how: Breach) {
        let (channel, commit) = how.commit(self.store(client), &self.details(client));
        self.post(channel, [commit]);
    }

    /// A member's program says that the group goes on somewhere else.
    pub fn lead_astray(&mut self, client: usize, how: FalseWay) {
        let (channel, posts) = how.posts(self.store(client), &self.details(client));
        self.post(channel, posts);
    }

    /// A member's program posts what it likes.
    pub fn post_content(&mut self, client: usize, content: &Content) {
        let (channel, post) = breach::post(self.store(client), &self.details(client), content);
        self.post(channel, [post]);
    }

    fn post(&mut self, channel: ChannelId, posts: impl IntoIterator<Item = ToDrop>) {
        let row = |post| DropRequest {
            chat: ChatId([0; 16]),
            relay: near(),
            place: query::Place::Channel(channel),
            what: DropBody::Row(OutboxKey { chat: ChatId([0; 16]), position: 0 }, Box::new(post)),
        };
        let requests: Vec<_> = posts.into_iter().map(row).collect();
        let taken = |event: &LinkEvent| matches!(event, LinkEvent::Deposited(_));
        match self.world.relay.drop_requests(requests, self.world.now) {
            Answer::Events(events) => assert!(events.iter().all(taken), "{events:?}"),
            Answer::Closed(_) => panic!("the relay knows no rules"),
        }
    }

    /// The relay refuses for good what a client is about to post to the group.
    pub fn refuse_posts(&mut self, client: usize, refusal: &Refusal) {
        let chat = self.details(client).group.chat;
        for row in query::outbox(self.store(client), chat, None, 1).expect("memory") {
            let event = LinkEvent::DepositRefused(row.key, refusal.clone());
            self.world.clients[client].take(event, self.world.now, &mut self.world.rng);
        }
    }

    /// The group as a client sees it.
    pub fn details(&self, client: usize) -> GroupDetails {
        query::group_named(self.store(client), GROUP).expect("memory").expect("a group")
    }

    /// How it stands there.
    pub fn standing(&self, client: usize) -> GroupStanding {
        self.details(client).group.standing
    }

    /// What shows that members agree.
    pub fn authenticator(&self, client: usize) -> Authenticator {
        query::group_authenticator(self.store(client), GROUP).expect("memory").expect("a group")
    }

    /// What others wrote to the group, as a client has it.
    pub fn heard(&self, client: usize) -> Vec<String> {
        let log = query::log(self.store(client), GROUP, None, usize::MAX).expect("memory").expect("a group");
        let heard = log.into_iter().filter_map(|message| match (message.direction, message.text) {
            (MessageDirection::Received { .. }, Text::Plain(text)) => Some(text),
            _ => None,
        });
        heard.collect()
    }
}

fn calm(clients: usize) -> Plan {
    Plan { clients, events: 0, crash_one_in: 0 }
}
