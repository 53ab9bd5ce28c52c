//! The world: a seed decides who does what, what is lost, and who dies.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use hermes_engine::{ChatId, query};
use hermes_relay::store::memory::MemoryStore as RelayStore;
use hermes_wire::{Timestamp, mailbox::ToClient};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{
    abroad::{GuestLink, far, near},
    check::{Violation, check, check_stores},
    client::{Client, DropBody, DropRequest, FromMailbox, Typed},
    relay::{Answer, SimRelay},
    store::{Doom, MemoryStore},
};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Clients, each paired with the next.
    pub clients: usize,
    /// Things that happen while there are faults.
    pub events: usize,
    /// One commit in so many kills its process; 0 is never.
    pub crash_one_in: u32,
}

/// What happens to the relay besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayLife {
    /// It keeps its store.
    Ordinary,
    /// It is put back from an old copy now and then.
    PutBack,
}

/// What a run was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages accepted, delivered and shown once.
    pub messages: u64,
    /// Connections lost, processes killed, requests repeated.
    pub faults: u64,
    /// Rounds until quiet after the last fault.
    pub rounds: u32,
}

/// Rounds within which everything must be quiet once the faults have ended; each passes messages one way and their
/// receipts back.
const QUIET_ROUNDS: u32 = 60;

/// The same without faults, where each piece of a blob takes one.
const CALM_ROUNDS: u32 = 20_000;
/// Between two rounds: long enough that something may be due at those to whom nothing happens.
const LONG_PAUSE: Duration = Duration::from_secs(60);
/// Clients hear that time has passed once in so many.
const ROUNDS_A_TICK: u32 = 8;

pub(super) struct World {
    pub(super) rng: ChaCha8Rng,
    pub(super) now: Timestamp,
    pub(super) clients: Vec<Client>,
    pub(super) relay: SimRelay,
    /// Another relay, of those who have their mailbox there.
    pub(super) far: SimRelay,
    /// Requests whose stream was given up, still on their way, each stream's in order.
    orphans: Vec<VecDeque<DropRequest>>,
    texts: u64,
    pub(super) faults: u64,
    relay_life: RelayLife,
    relay_copy: RelayStore,
    /// Clients to whom the relay gives no blob.
    pub(super) without_blobs: BTreeSet<usize>,
    /// Whether it says so when it does not have one.
    pub(super) missing_blobs_are_gone: bool,
    /// Old copies of clients' stores.
    pub(super) store_copies: BTreeMap<usize, MemoryStore>,
}

/// Runs one seed. Equal seeds and plans give equal runs.
pub fn run(seed: u64, plan: Plan) -> Result<Report, Violation> {
    let mut world = World::new(seed, plan.clients, RelayLife::Ordinary);
    world.pair_neighbours(plan);
    for _ in 0..plan.events {
        world.happen(plan);
    }
    check_stores(&world.clients)?;
    let rounds = world.settle()?;
    let messages = check(&world.clients, &world.relay)?;
    Ok(Report { messages, faults: world.faults, rounds })
}

/// Runs one seed with a relay that is put back from old copies of its store, which loses messages and nothing else: no
/// client takes its own store for an old one.
pub fn run_with_relay_put_back(seed: u64, plan: Plan) -> Result<u64, Violation> {
    let mut world = World::new(seed, plan.clients, RelayLife::PutBack);
    for _ in 0..plan.events {
        world.happen(plan);
    }
    check_stores(&world.clients)?;
    Ok(world.faults)
}

impl World {
    pub(super) fn new(seed: u64, clients: usize, relay_life: RelayLife) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Timestamp(1_790_000_000_000);
        let clients = (0..clients).map(|i| Client::new(&format!("user{i}"), near(), now, &mut rng)).collect();
        let relay = SimRelay::new();
        let relay_copy = relay.copy();
        let orphans = Vec::new();
        Self {
            rng,
            now,
            clients,
            relay,
            far: SimRelay::new(),
            orphans,
            texts: 0,
            faults: 0,
            relay_life,
            relay_copy,
            without_blobs: BTreeSet::new(),
            missing_blobs_are_gone: false,
            store_copies: BTreeMap::new(),
        }
    }

    /// A client that has done nothing yet has its mailbox at the other relay.
    pub(super) fn move_far(&mut self, client: usize) {
        self.clients[client] = Client::new(&format!("user{client}"), far(), self.now, &mut self.rng);
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % (bound as u64)).expect("below a usize")
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Every client invites its successor, with faults on from the start.
    fn pair_neighbours(&mut self, plan: Plan) {
        for inviter in 0..self.clients.len() - 1 {
            self.pair(inviter, inviter + 1, plan);
        }
    }

    /// One client accepts another's invite.
    pub(super) fn pair(&mut self, inviter: usize, accepter: usize, plan: Plan) {
        while !query::summary(&self.clients[inviter].store).expect("memory").registered {
            self.clients[inviter].pump();
            self.relay_turn(plan);
            self.client_turn(inviter, plan);
        }
        self.clients[inviter].typed.push_back(Typed::Invite);
        while self.clients[inviter].invites.is_empty() {
            self.client_turn(inviter, plan);
        }
        let link = self.clients[inviter].invites.remove(0);
        self.clients[accepter].typed.push_back(Typed::Accept(link));
    }

    /// One thing happens.
    pub(super) fn happen(&mut self, plan: Plan) {
        let client = self.below(self.clients.len());
        self.now = self.now.after(Duration::from_millis(self.below(400) as u64));
        match self.below(100) {
            0..20 => self.type_text(client),
            20..40 => self.clients[client].pump(),
            40..60 => self.relay_turn(plan),
            60..70 => self.deliver(client),
            70..88 => self.client_turn(client, plan),
            88..91 => self.lose_mailbox(client),
            91..95 => self.lose_drop(client),
            95..97 => self.repeat_request(client),
            97 => self.repeat_delivery(client),
            98 => {
                self.now = self.now.after(Duration::from_secs(self.below(3_600) as u64));
                self.claims_are_due();
                self.put_relay_back();
            }
            _ => self.relay.sweep(self.now),
        }
    }

    fn claims_are_due(&mut self) {
        for link in self.clients.iter_mut().filter_map(|client| client.link.as_mut()) {
            link.claim_due = true;
        }
    }

    fn put_relay_back(&mut self) {
        if self.relay_life == RelayLife::Ordinary {
            return;
        }
        if self.chance(50) {
            self.relay_copy = self.relay.copy();
        } else {
            let copy = self.relay_copy.clone();
            self.relay.put_back(copy);
            self.restart_relay();
        }
    }

    fn type_text(&mut self, client: usize) {
        let contacts = query::contacts(&self.clients[client].store).expect("memory");
        let ready: Vec<_> = contacts.into_iter().filter(|c| c.state == query::ContactState::Ready).collect();
        if ready.is_empty() {
            return;
        }
        let to = ready[self.below(ready.len())].name.clone();
        let (key, text) = self.next_text();
        self.clients[client].typed.push_back(Typed::Send { to, text, key });
    }

    /// An idempotency key and a text that nobody has written yet.
    pub(super) fn next_text(&mut self) -> (String, String) {
        self.texts += 1;
        let text = format!("text {} {}", self.texts, "x".repeat(self.texts as usize % 300));
        (format!("key {}", self.texts), text)
    }

    pub(super) fn client_turn(&mut self, client: usize, plan: Plan) {
        let doom = if plan.crash_one_in == 0 { None } else { Doom::draw(plan.crash_one_in, &mut self.rng) };
        self.faults += u64::from(doom.is_some());
        self.clients[client].turn(self.now, doom, &mut self.rng);
    }

    /// The relay takes some of what has arrived, from streams in an order drawn at random.
    pub(super) fn relay_turn(&mut self, plan: Plan) {
        let doom = if plan.crash_one_in == 0 { None } else { Doom::draw(plan.crash_one_in, &mut self.rng) };
        let mut order: Vec<_> = (0..self.clients.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, self.below(i + 1));
        }
        for client in order {
            self.serve_guests(client);
            self.serve_blobs(client);
            let count = self.below(4);
            self.take_control(client, count, doom);
            for chat in self.clients[client].drops.keys().copied().collect::<Vec<_>>() {
                let count = self.below(4);
                self.take_drop(client, chat, count, doom);
            }
        }
        if !self.orphans.is_empty() {
            let which = self.below(self.orphans.len());
            let count = 1 + self.below(3);
            self.take_orphans(which, count);
        }
        if doom.is_some() {
            self.restart_relay();
        }
    }

    fn take_control(&mut self, client: usize, count: usize, doom: Option<Doom>) {
        let (mailbox, home) = (self.clients[client].mailbox, self.clients[client].home.clone());
        for _ in 0..count {
            let Some(link) = &mut self.clients[client].link else { return };
            let Some(frame) = link.to_relay.pop_front() else { return };
            if doom == Some(Doom::BeforeCommit) {
                continue;
            }
            let relay = if home == far() { &mut self.far } else { &mut self.relay };
            let answers = relay.control(mailbox, &mut link.attached, frame, self.now);
            if doom.is_none() {
                link.to_client.extend(answers.into_iter().map(|frame: ToClient| FromMailbox::Control(frame)));
            }
        }
    }

    fn take_drop(&mut self, client: usize, chat: ChatId, count: usize, doom: Option<Doom>) {
        let Some(link) = self.clients[client].drops.get_mut(&chat) else { return };
        let requests: Vec<_> = link.to_relay.drain(..count.min(link.to_relay.len())).collect();
        if doom == Some(Doom::BeforeCommit) {
            return;
        }
        let Some(address) = requests.first().map(|request| request.relay.clone()) else { return };
        let now = self.now;
        let answer = self.relay_at(&address).drop_requests(requests, now);
        let Some(link) = self.clients[client].drops.get_mut(&chat) else { return };
        match answer {
            _ if doom.is_some() => {}
            Answer::Events(events) => link.to_client.extend(events),
            Answer::Closed(events) => {
                // What was answered arrives; what was not is sent again on the next stream.
                self.clients[client].close_drop(chat, events);
            }
        }
    }

    /// Whoever waits for a blob that is there gets it.
    fn serve_blobs(&mut self, client: usize) {
        for fetch in query::blob_fetches(&self.clients[client].store).expect("memory") {
            let gone = self.without_blobs.contains(&client);
            let bytes = self.relay_at(&fetch.relay).blob(fetch.blob);
            if (bytes.is_some() || self.missing_blobs_are_gone)
                && let Some(link) = &mut self.clients[client].link
            {
                link.fetched.push_back((fetch.clone(), bytes.filter(|_| !gone)));
            }
        }
    }

    /// Nobody waits for these answers.
    fn take_orphans(&mut self, which: usize, count: usize) {
        let stream = &mut self.orphans[which];
        let requests: Vec<_> = stream.drain(..count.min(stream.len())).collect();
        let Some(address) = requests.first().map(|request| request.relay.clone()) else { return };
        let now = self.now;
        if matches!(self.relay_at(&address).drop_requests(requests, now), Answer::Closed(_)) {
            self.orphans[which].clear();
        }
        if self.orphans[which].is_empty() {
            self.orphans.swap_remove(which);
        }
    }

    pub(super) fn restart_relay(&mut self) {
        self.faults += 1;
        self.relay.restart();
        self.orphans.clear();
        for client in &mut self.clients {
            client.lose_mailbox();
            client.drops.clear();
        }
    }

    fn deliver(&mut self, client: usize) {
        let (mailbox, home) = (self.clients[client].mailbox, self.clients[client].home.clone());
        if let Some(link) = &mut self.clients[client].link {
            let relay = if home == far() { &self.far } else { &self.relay };
            let frames = relay.deliver(mailbox, &mut link.attached);
            link.to_client.extend(frames.into_iter().map(FromMailbox::Deliver));
        }
    }

    fn lose_mailbox(&mut self, client: usize) {
        self.faults += 1;
        self.clients[client].lose_mailbox();
    }

    fn lose_drop(&mut self, client: usize) {
        let chats: Vec<_> = self.clients[client].drops.keys().copied().collect();
        if chats.is_empty() {
            return;
        }
        self.faults += 1;
        let chat = chats[self.below(chats.len())];
        let under_way = self.clients[client].lose_drop(chat);
        if !under_way.is_empty() && self.chance(70) {
            self.orphans.push(under_way);
        }
    }

    /// A request arrives twice, the copy later.
    fn repeat_request(&mut self, client: usize) {
        let first = self.clients[client].drops.values().find_map(|link| link.to_relay.front()).cloned();
        if let Some(request) = first.filter(|request| matches!(request.what, DropBody::Row(..))) {
            self.faults += 1;
            self.orphans.push(VecDeque::from([request]));
        }
    }

    /// The relay delivers again what it has delivered.
    fn repeat_delivery(&mut self, client: usize) {
        if let Some(link) = &mut self.clients[client].link
            // One stream brings all that is said about the mailbox itself, once.
            && let Some(frame @ FromMailbox::Deliver(_)) = link.to_client.front().cloned()
        {
            self.faults += 1;
            link.to_client.push_front(frame);
        }
    }

    /// No more faults: everything must come to rest.
    pub(super) fn settle(&mut self) -> Result<u32, Violation> {
        let calm = Plan { clients: self.clients.len(), events: 0, crash_one_in: 0 };
        for round in 1..=QUIET_ROUNDS {
            // Longer than any refusal's delay, so that what waits for a rate goes on.
            self.now = self.now.after(Duration::from_secs(700));
            for client in 0..self.clients.len() {
                self.clients[client].pump();
                for _ in 0..32 {
                    self.relay_turn(calm);
                    self.deliver(client);
                    self.client_turn(client, calm);
                    self.clients[client].pump();
                }
            }
            if self.is_quiet() {
                return Ok(round);
            }
        }
        let stuck: Vec<_> = self
            .clients
            .iter()
            .map(|c| format!("{}: {:?}", c.name, query::summary(&c.store).expect("memory")))
            .collect();
        Err(Violation(format!("not quiet after {QUIET_ROUNDS} rounds: {stuck:#?}")))
    }

    /// The same world, in which another seed decides from here on. All processes have ended.
    pub(super) fn fork(&self, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Not the numbers that this world was made from.
        rng.set_stream(1);
        Self {
            rng,
            now: self.now,
            clients: self.clients.iter().map(Client::fork).collect(),
            relay: self.relay.fork(),
            far: self.far.fork(),
            orphans: Vec::new(),
            texts: self.texts,
            faults: 0,
            relay_life: self.relay_life,
            relay_copy: self.relay.copy(),
            store_copies: BTreeMap::new(),
            without_blobs: self.without_blobs.clone(),
            missing_blobs_are_gone: self.missing_blobs_are_gone,
        }
    }

    /// Comes to rest without luck in it: everybody in turn, as far as they get, with a pause between two rounds.
    pub(super) fn settle_calmly(&mut self, pause: Duration) -> Result<(), Violation> {
        let calm = Plan { clients: self.clients.len(), events: 0, crash_one_in: 0 };
        for round in 1..=CALM_ROUNDS {
            self.now = self.now.after(pause);
            while !self.orphans.is_empty() {
                self.take_orphans(0, usize::MAX);
            }
            let ticks = round % ROUNDS_A_TICK == 0;
            for client in 0..self.clients.len() {
                // To whom nothing happens, nothing comes of so little time either.
                if self.keeps_resting(client) && !(ticks && pause >= LONG_PAUSE) {
                    continue;
                }
                self.serve(client);
                self.take_inputs(client, calm);
                while self.clients[client].is_uploading() {
                    self.take_control(client, usize::MAX, None);
                    self.take_inputs(client, calm);
                }
                if ticks {
                    self.client_turn(client, calm);
                }
            }
            if self.is_quiet() {
                return Ok(());
            }
        }
        let stuck = |client: &&Client| !self.is_at_rest(client);
        let stuck = self.clients.iter().filter(stuck).map(|client| {
            let summary = query::summary(&client.store).expect("memory");
            let chats = query::outbox_chats(&client.store).expect("memory");
            (&client.name, &client.typed, summary.outbox, chats, self.relay.waiting(client.mailbox))
        });
        let stuck: Vec<_> = stuck.collect();
        Err(Violation(format!("not quiet after {CALM_ROUNDS} rounds: {stuck:?}")))
    }

    /// Takes everything that a client puts under way, and delivers what there is for it.
    pub(super) fn serve(&mut self, client: usize) {
        self.clients[client].pump();
        self.serve_guests(client);
        self.serve_blobs(client);
        self.take_control(client, usize::MAX, None);
        for chat in self.clients[client].drops.keys().copied().collect::<Vec<_>>() {
            self.take_drop(client, chat, usize::MAX, None);
        }
        self.deliver(client);
    }

    fn take_inputs(&mut self, client: usize, plan: Plan) {
        while self.clients[client].has_input() {
            self.client_turn(client, plan);
        }
    }

    fn is_quiet(&mut self) -> bool {
        self.orphans.is_empty() && (0..self.clients.len()).all(|client| self.comes_to_rest(client))
    }

    /// Whether a client that was found at rest is so still.
    fn keeps_resting(&self, client: usize) -> bool {
        let client = &self.clients[client];
        client.still_rests() && self.relay.waiting(client.mailbox) == 0
    }

    fn comes_to_rest(&mut self, client: usize) -> bool {
        let rests = self.keeps_resting(client) || self.is_at_rest(&self.clients[client]);
        if rests {
            self.clients[client].note_rest();
        }
        rests
    }

    /// Whether nothing is under way to or from a client.
    pub(super) fn is_at_rest(&self, client: &Client) -> bool {
        let links_empty =
            client.link.as_ref().is_some_and(|l| l.to_relay.is_empty() && l.to_client.is_empty())
                && client.guests.values().all(GuestLink::is_empty)
                && client.drops.values().all(|l| l.to_relay.is_empty() && l.to_client.is_empty());
        // What takes long to know comes last.
        client.typed.is_empty()
            && links_empty
            && self.relay.waiting(client.mailbox) == 0
            && self.far.waiting(client.mailbox) == 0
            && query::guests(&client.store).expect("memory").iter().all(|guest| guest.registered)
            && query::uploads(&client.store).expect("memory").is_empty()
            && query::blob_fetches(&client.store).expect("memory").is_empty()
            && query::outbox_chats(&client.store).expect("memory").is_empty()
            && query::fetches(&client.store).expect("memory").is_empty()
    }
}
