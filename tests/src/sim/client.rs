//! A client: an engine on a store, and the links that a daemon would run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hermes_engine::{
    ChatId, Command, CommandError, CommandId, ContactChange, Effect, Engine, GroupChange, GuestEvent,
    GuestId, Input, LinkEvent, MessageChange, NewAccount, OutboxKey, Reference, Reply, Send, SendError,
    query::{self, BlobFetch, Claiming, PendingFetch, Place},
};
use hermes_wire::{
    BlobId, FetchId, MailboxId, MoveClaim, RelayAddress, RunId, Sequence, Timestamp,
    blob::PutBlob,
    drop::ToDrop,
    limits::{CREDIT_BYTES, CREDIT_ENVELOPES},
    mailbox::{Credit, Deliver, Register, ToClient, ToRelay},
    prekey::PrekeyId,
};
use rand_chacha::ChaCha8Rng;
use serde_bytes::ByteBuf;

use super::{
    abroad::GuestLink,
    relay::Attached,
    store::{Died, Doom, MemoryStore},
};

/// Outbox rows under way on one stream.
const WINDOW: usize = 8;
/// Inputs that one commit takes at most.
const BATCH: usize = 16;

/// One simulated user: what the user did, what the process knows, what the disk holds.
pub struct Client {
    pub name: String,
    pub store: MemoryStore,
    pub mailbox: MailboxId,
    /// Where that is.
    pub home: RelayAddress,
    engine: Option<Engine>,
    pub link: Option<MailboxLink>,
    /// Connections to mailboxes at other relays.
    pub guests: BTreeMap<GuestId, GuestLink>,
    pub drops: BTreeMap<ChatId, DropLink>,
    /// Commands typed and not yet answered; typed again, with the same idempotency key, after a crash.
    pub typed: VecDeque<Typed>,
    next_command: u64,
    /// Chats that may wait for a bundle.
    fetching: BTreeSet<ChatId>,
    /// The revision of the store at which nothing was under way.
    rests_at: Option<u64>,
    /// Texts that were accepted, by recipient, in order.
    pub accepted: BTreeMap<String, Vec<String>>,
    /// Invites that were handed out by a command.
    pub invites: Vec<String>,
    pub crashes: u64,
}

/// A command at a prompt.
#[derive(Clone, Debug)]
pub enum Typed {
    Send {
        to: String,
        text: String,
        key: String,
    },
    Invite,
    Accept(String),
    GiveKeyPackages,
    /// A contact is to have another name.
    CallContact(String, String),
    CreateGroup(String, Vec<String>),
    Group(String, GroupChange),
    Message(Reference, MessageChange),
}

/// The mailbox connection as the client sees it.
#[derive(Default)]
pub struct MailboxLink {
    pub to_relay: VecDeque<ToRelay>,
    pub to_client: VecDeque<FromMailbox>,
    /// The relay's end of it.
    pub attached: Attached,
    /// The highest prekey id that was put on this connection.
    offered: Option<PrekeyId>,
    /// Whether the store may hold prekeys that were not.
    more_prekeys: bool,
    /// Whether the store may want something claimed.
    more_claims: bool,
    /// The claim that was put on this connection last.
    asked: Option<Box<MoveClaim>>,
    /// Whether the relay has taken one on it.
    settled: bool,
    /// Whether the relay has answered a claim since the store was looked at.
    answered: bool,
    /// Whether its shell says that a claim is due.
    pub claim_due: bool,
    /// Blobs of which the first piece was put on this connection.
    uploading: BTreeSet<BlobId>,
    /// Blobs that were asked for and have come, or are not to be had.
    pub fetched: VecDeque<(BlobFetch, Option<Vec<u8>>)>,
}

/// What arrives on a mailbox connection, control and deliveries alike.
#[derive(Clone, Debug)]
pub enum FromMailbox {
    Control(ToClient),
    Deliver(Deliver),
}

/// A drop stream as the client sees it.
#[derive(Default)]
pub struct DropLink {
    pub to_relay: VecDeque<DropRequest>,
    pub to_client: VecDeque<LinkEvent>,
    sent_through: Option<u64>,
    fetched: Option<FetchId>,
}

/// A request with everything the relay needs to judge it, so that it can arrive after its stream is gone.
#[derive(Clone, Debug)]
pub struct DropRequest {
    pub chat: ChatId,
    pub relay: RelayAddress,
    pub place: Place,
    pub what: DropBody,
}

/// An outbox row or a fetch.
#[derive(Clone, Debug)]
pub enum DropBody {
    Row(OutboxKey, Box<ToDrop>),
    Fetch(FetchId),
}

impl Client {
    pub fn new(name: &str, relay: RelayAddress, now: Timestamp, rng: &mut ChaCha8Rng) -> Self {
        let mut store = MemoryStore::default();
        let home = relay.clone();
        let account = NewAccount { name: name.to_owned(), relay, registration_token: None };
        let (engine, _) =
            Engine::create(account, now, rng).commit(&mut store, now, rng).expect("the first commit");
        let mailbox = query::mailbox(&store).expect("an account").mailbox;
        Self {
            name: name.to_owned(),
            store,
            mailbox,
            home,
            engine: Some(engine),
            link: None,
            guests: BTreeMap::new(),
            drops: BTreeMap::new(),
            typed: VecDeque::new(),
            next_command: 0,
            fetching: BTreeSet::new(),
            rests_at: None,
            accepted: BTreeMap::new(),
            invites: Vec::new(),
            crashes: 0,
        }
    }

    /// Connects what is not connected and puts under way what the store says is waiting.
    pub fn pump(&mut self) {
        if self.link.is_none() {
            let fetches = query::fetches(&self.store).expect("memory");
            self.fetching = fetches.into_iter().map(|fetch| fetch.chat).collect();
        }
        self.pump_mailbox();
        let mut chats = query::outbox_chats(&self.store).expect("memory");
        let fetch = |chat: &ChatId| query::fetch_of(&self.store, *chat).expect("memory");
        let fetches: Vec<_> = self.fetching.iter().filter_map(fetch).collect();
        self.fetching = fetches.iter().map(|fetch| fetch.chat).collect();
        chats.extend(&self.fetching);
        for chat in chats {
            self.pump_drop(chat, &fetches);
        }
    }

    fn pump_mailbox(&mut self) {
        let link = self.link.get_or_insert_with(|| {
            let settings = query::mailbox(&self.store).expect("memory");
            let register = Register {
                version: hermes_wire::VERSION,
                instance: settings.instance,
                run: RunId([0; 16]),
                registration_token: None,
                drop_key: settings.drop_key,
            };
            let to_relay = VecDeque::from([ToRelay::Register(register)]);
            MailboxLink { to_relay, more_prekeys: true, ..MailboxLink::default() }
        });
        if std::mem::take(&mut link.more_claims) {
            link.claim(query::claiming(&self.store).expect("memory"));
        }
        if link.settled {
            for upload in query::uploads(&self.store).expect("memory") {
                if link.uploading.insert(upload.blob) {
                    let bytes = query::upload_part(&self.store, upload.blob, 0).expect("memory");
                    let put = PutBlob {
                        blob: upload.blob,
                        total: upload.total,
                        offset: 0,
                        bytes: ByteBuf::from(bytes.expect("the first piece")),
                    };
                    link.to_relay.push_back(ToRelay::PutBlob(put));
                }
            }
        }
        if !link.settled || !std::mem::take(&mut link.more_prekeys) {
            return;
        }
        let entries: Vec<_> = query::prekeys_to_publish(&self.store)
            .expect("memory")
            .into_iter()
            .filter(|entry| Some(entry.id) > link.offered)
            .collect();
        if let Some(last) = entries.last() {
            link.offered = Some(last.id);
            let floor = query::prekey_floor(&self.store).expect("memory");
            link.to_relay.push_back(ToRelay::DropPrekeys(floor));
            link.to_relay.push_back(ToRelay::PutPrekeys(entries));
        }
    }

    fn pump_drop(&mut self, chat: ChatId, fetches: &[PendingFetch]) {
        let link = self.drops.entry(chat).or_default();
        let fetch = fetches.iter().find(|fetch| fetch.chat == chat);
        if let Some(fetch) = fetch.filter(|fetch| link.fetched != Some(fetch.fetch)) {
            link.fetched = Some(fetch.fetch);
            link.to_relay.push_back(DropRequest {
                chat,
                relay: fetch.destination.relay.clone(),
                place: fetch.destination.place.clone(),
                what: DropBody::Fetch(fetch.fetch),
            });
        }
        let Some(destination) = query::destination(&self.store, chat).expect("memory") else { return };
        let room = WINDOW.saturating_sub(link.to_relay.len());
        for row in query::outbox(&self.store, chat, link.sent_through, room).expect("memory") {
            link.sent_through = Some(row.key.position);
            link.to_relay.push_back(DropRequest {
                chat,
                relay: destination.relay.clone(),
                place: destination.place.clone(),
                what: DropBody::Row(row.key, Box::new(row.frame)),
            });
        }
    }

    /// The same user with a copy of the disk; no process runs.
    pub fn fork(&self) -> Self {
        Self {
            name: self.name.clone(),
            store: self.store.clone(),
            mailbox: self.mailbox,
            home: self.home.clone(),
            engine: None,
            link: None,
            guests: BTreeMap::new(),
            drops: BTreeMap::new(),
            typed: VecDeque::new(),
            next_command: self.next_command,
            fetching: BTreeSet::new(),
            rests_at: None,
            accepted: self.accepted.clone(),
            invites: Vec::new(),
            crashes: 0,
        }
    }

    /// The process ends, and its store is put back from a copy.
    pub fn put_back(&mut self, copy: MemoryStore) {
        self.store = copy;
        self.stop();
    }

    /// The process ends.
    pub fn stop(&mut self) {
        self.engine = None;
        self.link = None;
        self.guests.clear();
        self.drops.clear();
    }

    /// What was delivered is lost, and never comes again.
    pub fn lose_deliveries(&mut self) {
        let Some(link) = &mut self.link else { return };
        let last = link.to_client.iter().filter_map(|frame| match frame {
            FromMailbox::Deliver(Deliver::Envelope(delivered)) => Some(delivered.sequence),
            FromMailbox::Deliver(Deliver::Gone(..) | Deliver::Ephemeral(_)) | FromMailbox::Control(_) => None,
        });
        let acked = last.max().map(ToRelay::Ack);
        link.to_relay.extend(acked);
        link.to_client.retain(|frame| matches!(frame, FromMailbox::Control(_)));
    }

    /// The mailbox connection is lost with everything on it.
    pub fn lose_mailbox(&mut self) {
        self.link = None;
    }

    /// A drop stream is given up. What was under way may still reach the relay; its answers will not come back.
    pub fn lose_drop(&mut self, chat: ChatId) -> VecDeque<DropRequest> {
        self.drops.remove(&chat).map(|link| link.to_relay).unwrap_or_default()
    }

    /// The relay closes a drop stream: what it answered stands, the rest is sent again.
    pub fn close_drop(&mut self, chat: ChatId, answered: Vec<LinkEvent>) {
        let link = DropLink { to_client: VecDeque::from(answered), ..DropLink::default() };
        self.drops.insert(chat, link);
    }

    /// Nothing is under way to or from it.
    pub fn note_rest(&mut self) {
        self.rests_at = Some(self.store.revision());
    }

    /// Whether nothing has happened to it since nothing was under way. The relay may have something for it.
    pub fn still_rests(&self) -> bool {
        let quiet = |link: &MailboxLink| {
            link.to_relay.is_empty() && !link.claim_due && !link.more_claims && !link.more_prekeys
        };
        self.rests_at == Some(self.store.revision())
            && self.link.as_ref().is_some_and(quiet)
            && !self.has_input()
            && self.drops.values().all(|link| link.to_relay.is_empty())
    }

    /// Whether a piece of a blob is on its way, behind which the next one waits.
    pub fn is_uploading(&self) -> bool {
        let uploads = |link: &MailboxLink| link.to_relay.iter().any(|f| matches!(f, ToRelay::PutBlob(_)));
        self.link.as_ref().is_some_and(uploads)
    }

    /// Whether a turn has something to take.
    pub fn has_input(&self) -> bool {
        let arrived = |link: &MailboxLink| !link.to_client.is_empty() || !link.fetched.is_empty();
        !self.typed.is_empty()
            || self.link.as_ref().is_some_and(arrived)
            || self.guests.values().any(|link| !link.to_client.is_empty())
            || self.drops.values().any(|link| !link.to_client.is_empty())
    }

    /// Takes what has arrived and what was typed, in an order drawn at random, commits once, acts on the effects.
    pub fn turn(&mut self, now: Timestamp, doom: Option<Doom>, rng: &mut ChaCha8Rng) {
        let mut inputs: Vec<Input> = Vec::new();
        let mut commands: BTreeMap<CommandId, Typed> = BTreeMap::new();
        for typed in std::mem::take(&mut self.typed) {
            self.next_command += 1;
            let id = CommandId(self.next_command);
            inputs.push(Input::Command(id, command(&typed)));
            commands.insert(id, typed);
        }
        if let Some(link) = &mut self.link {
            let count = link.to_client.len().min(BATCH);
            let arrived: Vec<_> = link.to_client.drain(..count).collect();
            link.answered |= arrived.iter().any(is_claim_answer);
            for frame in arrived {
                match frame {
                    FromMailbox::Control(ToClient::BlobStored(blob, upto)) => {
                        inputs.extend(link.blob_stored(&self.store, blob, upto).map(Input::Link));
                    }
                    frame => inputs.extend(input_from(frame)),
                }
            }
            for (fetch, bytes) in link.fetched.drain(..) {
                let blob = fetch.blob;
                inputs.push(Input::Link(match (bytes, fetch.mailbox) {
                    (Some(bytes), None) => LinkEvent::BlobFetched(blob, bytes),
                    (None, None) => LinkEvent::BlobGone(blob),
                    (Some(bytes), Some(guest)) => {
                        LinkEvent::Guest(guest, GuestEvent::BlobFetched(blob, bytes))
                    }
                    (None, Some(guest)) => LinkEvent::Guest(guest, GuestEvent::BlobGone(blob)),
                }));
            }
            if std::mem::take(&mut link.claim_due) {
                inputs.push(Input::Link(LinkEvent::ClaimDue));
            }
        }
        for (guest, link) in &mut self.guests {
            let events = link.to_client.drain(..).map(|event| LinkEvent::Guest(*guest, event));
            inputs.extend(events.map(Input::Link));
        }
        for link in self.drops.values_mut() {
            inputs.extend(link.to_client.drain(..).map(Input::Link));
        }
        // Time passes for those to whom nothing happens: looking at every prekey at each turn would take longest of all.
        if inputs.is_empty() {
            inputs.push(Input::Tick);
        }
        self.store.doom = doom;
        match self.step(inputs, now, rng) {
            Ok(effects) => self.act(effects, &mut commands),
            Err(Died) => {
                self.crashes += 1;
                self.stop();
            }
        }
        // Whoever was not answered types it again. Without an idempotency key (an invite) that only makes another.
        self.typed.extend(commands.into_values());
        self.store.doom = None;
    }

    /// Takes what a link reports.
    pub fn take(&mut self, event: LinkEvent, now: Timestamp, rng: &mut ChaCha8Rng) {
        self.step(vec![Input::Link(event)], now, rng).expect("no death was ordered");
    }

    /// Takes one command and returns its answer.
    pub fn ask(
        &mut self,
        typed: &Typed,
        now: Timestamp,
        rng: &mut ChaCha8Rng,
    ) -> Result<Reply, CommandError> {
        let input = Input::Command(CommandId(0), command(typed));
        let effects = self.step(vec![input], now, rng).expect("no death was ordered");
        let reply = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply(_, reply) => Some(reply),
            _ => None,
        });
        reply.expect("each command is answered")
    }

    /// Hears that time has passed.
    pub fn tick(&mut self, now: Timestamp, rng: &mut ChaCha8Rng) {
        self.step(vec![Input::Tick], now, rng).expect("no death was ordered");
    }

    fn step(
        &mut self,
        inputs: Vec<Input>,
        now: Timestamp,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Effect>, Died> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::load(&self.store).expect("an account was committed"),
        };
        let mut inputs = inputs.into_iter();
        let first = inputs.next().unwrap_or(Input::Tick);
        let mut step = engine.handle(first, &self.store, now, rng).expect("reads from memory succeed");
        for input in inputs {
            step = step.then(input, &self.store, now, rng).expect("reads from memory succeed");
        }
        let (engine, effects) = step.commit(&mut self.store, now, rng).map_err(|_| Died)?;
        self.engine = Some(engine);
        self.fetching.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Fetch(chat) => Some(*chat),
            _ => None,
        }));
        Ok(effects)
    }

    fn act(&mut self, effects: Vec<Effect>, commands: &mut BTreeMap<CommandId, Typed>) {
        let mut ack = Sequence(0);
        for effect in effects {
            match effect {
                Effect::Ack(through) => ack = ack.max(through),
                Effect::Reply(id, reply) => {
                    let typed = commands.remove(&id).expect("a reply to a command of this turn");
                    match (typed, reply) {
                        // Typed by somebody who does not know yet how the group stands, or typed again.
                        (Typed::Group(..), _) => {}
                        // It died between the commit and the answer: the group is there.
                        (Typed::CreateGroup(..), Err(CommandError::NameTaken(_))) => {}
                        (typed, reply) => {
                            self.answered(typed, reply.expect("the simulation types nothing invalid"));
                        }
                    }
                }
                Effect::Prekeys => {
                    if let Some(link) = &mut self.link {
                        link.more_prekeys = true;
                    }
                }
                Effect::Claim => {
                    if let Some(link) = &mut self.link {
                        link.more_claims = true;
                    }
                }
                Effect::GuestAck(guest, through) => {
                    if let Some(link) = self.guests.get_mut(&guest) {
                        link.acknowledge(through);
                    }
                }
                // Whoever serves them looks into the store.
                Effect::Guests | Effect::GuestStrays(_) => {}
                // The drop links look into the store themselves.
                Effect::Event(_) | Effect::Due(_) | Effect::Outbox(_) | Effect::Fetch(_) | Effect::Blobs => {}
                // Nobody is promised any of it.
                Effect::Ephemeral(_) | Effect::Revocations => {}
            }
        }
        if let Some(link) = &mut self.link
            && link.answered
        {
            (link.answered, link.more_claims, link.asked) = (false, true, None);
        }
        if let Some(link) = &mut self.link
            && ack > Sequence(0)
        {
            // Nothing is acknowledged that the disk does not hold.
            assert!(
                ack <= query::mailbox(&self.store).expect("memory").cursor,
                "I5: an ack before its commit"
            );
            link.to_relay.push_back(ToRelay::Ack(ack));
            link.to_relay
                .push_back(ToRelay::Credit(Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES }));
        }
    }

    fn answered(&mut self, typed: Typed, reply: Reply) {
        match (typed, reply) {
            (Typed::Send { to, text, .. }, Reply::Sent(results)) => match &results[0].outcome {
                Ok(_) => self.accepted.entry(to).or_default().push(text),
                Err(SendError::GroupClosed(..)) => {}
                Err(error) => panic!("a ready contact takes messages: {error}"),
            },
            (Typed::Invite, Reply::Invite { link, .. }) => self.invites.push(link),
            (Typed::Accept(_), Reply::Accepted { .. }) => {}
            (Typed::Message(..), Reply::Marked { .. }) => {}
            (Typed::CreateGroup(..), Reply::Group(_)) | (Typed::GiveKeyPackages, Reply::Given) => {}
            (typed, reply) => panic!("{typed:?} was answered with {reply:?}"),
        }
    }
}

impl MailboxLink {
    /// The relay has so much of a blob: the next piece, or the news that it is all.
    fn blob_stored(&mut self, store: &MemoryStore, blob: BlobId, upto: u32) -> Option<LinkEvent> {
        let uploads = query::uploads(store).expect("memory");
        let total = uploads.into_iter().find(|upload| upload.blob == blob)?.total;
        if upto >= total {
            return Some(LinkEvent::BlobStored(blob));
        }
        let bytes = ByteBuf::from(query::upload_part(store, blob, upto).expect("memory")?);
        self.to_relay.push_back(ToRelay::PutBlob(PutBlob { blob, total, offset: upto, bytes }));
        None
    }

    /// Asks for what is to be claimed; once there is nothing more, for deliveries.
    fn claim(&mut self, claiming: Claiming) {
        match claiming {
            Claiming::Ask(asked) if self.asked.as_ref() != Some(&asked) => {
                self.to_relay.push_back(ToRelay::Claim((*asked).clone()));
                self.asked = Some(asked);
            }
            Claiming::Settled if !self.settled => {
                self.settled = true;
                let credit = Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES };
                self.to_relay.push_back(ToRelay::Credit(credit));
            }
            Claiming::Ask(_) | Claiming::Settled | Claiming::Stopped => {}
        }
    }
}

fn is_claim_answer(frame: &FromMailbox) -> bool {
    matches!(frame, FromMailbox::Control(ToClient::Claimed(_) | ToClient::ClaimRefused(_)))
}

fn command(typed: &Typed) -> Command {
    match typed {
        Typed::Send { to, text, key } => Command::Send(Send {
            to: vec![to.clone()],
            text: text.clone(),
            reply_to: None,
            ttl: None,
            idempotency: Some(key.clone()),
        }),
        Typed::GiveKeyPackages => Command::GiveKeyPackages,
        Typed::CallContact(name, other) => {
            Command::Contact(name.clone(), ContactChange::Rename(other.clone()))
        }
        Typed::CreateGroup(name, members) => Command::CreateGroup(name.clone(), members.clone()),
        Typed::Group(name, change) => Command::Group(name.clone(), change.clone()),
        Typed::Message(reference, change) => Command::Message(reference.clone(), change.clone()),
        Typed::Invite => Command::CreateInvite { validity: std::time::Duration::from_secs(30 * 86_400) },
        Typed::Accept(link) => Command::Accept(Box::new(link.parse().expect("our own invite parses"))),
    }
}

fn input_from(frame: FromMailbox) -> Option<Input> {
    let event = match frame {
        FromMailbox::Deliver(Deliver::Envelope(delivered)) => LinkEvent::Delivered(delivered),
        FromMailbox::Deliver(Deliver::Gone(first, last)) => LinkEvent::Gone(first, last),
        FromMailbox::Deliver(Deliver::Ephemeral(passing)) => LinkEvent::Ephemeral(passing),
        FromMailbox::Control(ToClient::Registered(registered)) => LinkEvent::Registered {
            relay_time: registered.relay_time,
            next_prekey_id: registered.next_prekey_id,
            stock: registered.stock,
            head: registered.head,
            claim: registered.claim,
            replaced: registered.replaced,
        },
        FromMailbox::Control(ToClient::Claimed(claim)) => LinkEvent::Claimed(claim),
        FromMailbox::Control(ToClient::ClaimRefused(held)) => {
            LinkEvent::ClaimRefused { held, replaced: false }
        }
        FromMailbox::Control(ToClient::PrekeysStored(through)) => LinkEvent::PrekeysStored(through),
        FromMailbox::Control(ToClient::PrekeyStock(stock)) => LinkEvent::PrekeyStock(stock),
        FromMailbox::Control(_) => return None,
    };
    Some(Input::Link(event))
}
