//! Two engines side by side, with the network in the test's own hands: it carries envelopes, or does not.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use crate::way::{body_of, permission};
use hermes_engine::{
    ChangeSet, ChatId, Command, CommandError, CommandId, Effect, Engine, Event, Input, LinkEvent, NewAccount,
    Order, OutboxKey, Privacy, Range, Reply, Send, Store, Table, Text, Value,
    query::{self, Claiming},
};
use hermes_protocol::{Body, Content, MessageId, Newer, Session};
use hermes_wire::{
    ContactId, EnvelopeId, FetchId, MoveClaim, RelayAddress, RelayPin, Sequence, SignedClaim, Timestamp,
    mailbox::{Delivered, PrekeyStock},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde_bytes::ByteBuf;

use crate::sim::{Doom, MemoryStore};

/// One account, its store, and what the relay would hold for it.
pub struct Peer<S = MemoryStore> {
    /// The store.
    pub store: S,
    engine: Option<Engine>,
    rng: ChaCha8Rng,
    /// The peer's clock.
    pub now: Timestamp,
    /// Everything the last turn asked for.
    pub effects: Vec<Effect>,
    published: BTreeMap<PrekeyKind, Vec<PrekeyEntry>>,
    /// The highest prekey id that the relay took.
    pub last_prekey: PrekeyId,
    /// The highest sequence that the relay has assigned.
    pub head: u64,
    /// The envelope that was taken last.
    last: Option<Flying>,
    /// The store claim that the relay holds.
    pub held: Option<SignedClaim>,
}

/// A store as it was, to go back to.
pub struct Snapshot(MemoryStore);

/// An envelope on its way.
#[derive(Clone, Debug)]
pub struct Flying {
    /// The sender's outbox row.
    pub key: OutboxKey,
    /// Under whose permission.
    pub contact: ContactId,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Peer {
    /// A registered account whose prekeys are at the relay.
    pub fn new(name: &str, seed: u64) -> Self {
        let mut peer = Self::unregistered(name, seed);
        peer.register(0);
        peer
    }

    /// The same with a mailbox at this relay.
    pub fn at(name: &str, seed: u64, relay: RelayAddress) -> Self {
        let mut peer = Self::unregistered_at(name, seed, relay);
        peer.register(0);
        peer
    }

    /// An account that no relay has heard of.
    pub fn unregistered(name: &str, seed: u64) -> Self {
        Self::unregistered_at(name, seed, Self::relay())
    }

    fn relay() -> RelayAddress {
        RelayAddress::new("relay.test", 4433, RelayPin([0; 32])).expect("a valid address")
    }

    fn unregistered_at(name: &str, seed: u64, relay: RelayAddress) -> Self {
        Self::unregistered_in(MemoryStore::default(), name, seed, relay)
    }

    /// The store as it is.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.store.clone())
    }

    /// Goes back to an old store and connects, as a daemon would that is started on it.
    pub fn restore(&mut self, old: &Snapshot) {
        self.put_back(old);
        self.register(self.head);
    }

    /// The same, and no relay has been asked yet.
    pub fn put_back(&mut self, old: &Snapshot) {
        self.store = old.0.clone();
        self.restart();
    }

    /// Takes one input, dies around the commit, and starts again.
    pub fn die_at(&mut self, input: Input, doom: Doom) {
        let engine = self.engine.take().expect("an engine");
        let step = engine.handle(input, &self.store, self.now, &mut self.rng).expect("memory");
        self.store.doom = Some(doom);
        assert!(step.commit(&mut self.store, self.now, &mut self.rng).is_err(), "it was to die");
        self.restart();
    }
}

impl<S: Store> Peer<S> {
    /// A registered account whose prekeys are at the relay, in this empty store.
    pub fn with_store(name: &str, seed: u64, store: S) -> Self {
        let mut peer = Self::unregistered_in(store, name, seed, Peer::relay());
        peer.register(0);
        peer
    }

    fn unregistered_in(mut store: S, name: &str, seed: u64, relay: RelayAddress) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = Timestamp(1_790_000_000_000);
        let account = NewAccount { name: name.to_owned(), relay, registration_token: None };
        let (engine, _) =
            Engine::create(account, now, &mut rng).commit(&mut store, now, &mut rng).expect("memory");
        Self {
            store,
            engine: Some(engine),
            rng,
            now,
            effects: Vec::new(),
            published: BTreeMap::new(),
            last_prekey: PrekeyId(0),
            head: 0,
            last: None,
            held: None,
        }
    }

    /// The relay opens the mailbox, its clock as the peer's, and takes what prekeys there are.
    pub fn register(&mut self, head: u64) {
        self.register_at(head, self.now);
    }

    /// The relay opens the mailbox and tells this time. Claims are settled, and prekeys taken.
    pub fn register_at(&mut self, head: u64, relay_time: Timestamp) {
        self.open_mailbox(head, relay_time, false);
        self.settle_claims();
        let floor = query::prekey_floor(&self.store).expect("memory");
        for entries in self.published.values_mut() {
            entries.retain(|entry| entry.id >= floor);
        }
        self.publish();
    }

    /// The relay opens the mailbox; nothing more has been said yet.
    pub fn open_mailbox(&mut self, head: u64, relay_time: Timestamp, replaced: bool) {
        let count = |kind| self.published.get(&kind).map_or(0, Vec::len);
        let count = |kind| PrekeyStock { kind, count: u32::try_from(count(kind)).expect("few") };
        self.link(LinkEvent::Registered {
            relay_time,
            next_prekey_id: PrekeyId(self.last_prekey.0 + 1),
            stock: PrekeyKind::ALL.map(count).to_vec(),
            head: Sequence(head),
            claim: self.held.clone(),
            replaced,
        });
    }

    /// Asks the relay for what is to be claimed, until there is nothing more.
    pub fn settle_claims(&mut self) {
        while let Some(asked) = self.claim_asked() {
            let event = self.relay_claims(asked);
            self.link(event);
            // Another epoch has emptied the shelf, and the relay says so.
            if self.published.is_empty() {
                let stock = PrekeyKind::ALL.map(|kind| PrekeyStock { kind, count: 0 });
                self.link(LinkEvent::PrekeyStock(stock.to_vec()));
            }
        }
    }

    /// What this peer asks the relay to hold, if anything.
    pub fn claim_asked(&self) -> Option<MoveClaim> {
        match query::claiming(&self.store).expect("memory") {
            Claiming::Ask(asked) => Some(*asked),
            Claiming::Settled | Claiming::Stopped => None,
        }
    }

    /// The relay decides on a claim; its answer is still on the way.
    pub fn relay_claims(&mut self, asked: MoveClaim) -> LinkEvent {
        let held = self.held.as_ref().map(SignedClaim::unverified).copied();
        let next = *asked.next.unverified();
        if held != Some(next) {
            if held != asked.expected {
                return LinkEvent::ClaimRefused { held: self.held.clone(), replaced: false };
            }
            if held.is_some_and(|held| held.epoch != next.epoch) {
                self.published.clear();
            }
            self.held = Some(asked.next);
        }
        LinkEvent::Claimed(next)
    }

    /// The relay takes what prekeys there are.
    pub fn publish(&mut self) {
        loop {
            let entries = query::prekeys_to_publish(&self.store).expect("memory");
            let Some(last) = entries.last().map(|entry| entry.id) else { break };
            for entry in entries.into_iter().filter(|entry| entry.id > self.last_prekey) {
                self.published.entry(entry.kind).or_default().push(entry);
            }
            self.last_prekey = self.last_prekey.max(last);
            self.link(LinkEvent::PrekeysStored(last));
        }
    }

    /// The process ends and starts again.
    pub fn restart(&mut self) {
        self.engine = Some(Engine::load(&self.store).expect("memory"));
    }

    /// Tells others no more than this, until the next restart.
    pub fn obey(&mut self, privacy: Privacy) {
        self.engine = self.engine.take().map(|engine| engine.with_privacy(privacy));
    }

    /// Takes one input and commits.
    pub fn turn(&mut self, input: Input) {
        let engine = self.engine.take().expect("an engine");
        let step = engine.handle(input, &self.store, self.now, &mut self.rng).expect("memory");
        let (engine, effects) = step.commit(&mut self.store, self.now, &mut self.rng).expect("memory");
        self.engine = Some(engine);
        self.effects = effects;
    }

    /// Takes a link event.
    pub fn link(&mut self, event: LinkEvent) {
        self.turn(Input::Link(event));
    }

    /// Takes a command and returns its answer.
    pub fn command(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.turn(Input::Command(CommandId(1), command));
        let reply = self.effects.iter().find_map(|effect| match effect {
            Effect::Reply(_, reply) => Some(reply.clone()),
            _ => None,
        });
        reply.expect("each command is answered")
    }

    /// An invite for a day.
    pub fn invite(&mut self) -> String {
        match self.command(Command::CreateInvite { validity: Duration::from_secs(86_400) }) {
            Ok(Reply::Invite { link, .. }) => link,
            other => panic!("an invite was answered with {other:?}"),
        }
    }

    /// An invite for requests, for a day.
    pub fn invite_requests(&mut self) -> String {
        match self.command(Command::InviteRequests { validity: Duration::from_secs(86_400) }) {
            Ok(Reply::Invite { link, .. }) => link,
            other => panic!("an invite was answered with {other:?}"),
        }
    }

    /// Accepts an invite; the relay has not been asked yet.
    pub fn accept(&mut self, link: &str) -> (ChatId, FetchId) {
        self.command(Command::Accept(Box::new(link.parse().expect("an invite")))).expect("accepted");
        let fetch = query::fetches(&self.store).expect("memory").pop().expect("a fetch");
        (fetch.chat, fetch.fetch)
    }

    /// A bundle as the relay would give it; one-time keys are given once.
    pub fn bundle(&mut self) -> Box<SealedBundle> {
        let newest = |peer: &Self, kind| peer.published[&kind].last().expect("published").clone();
        let one_time = self.published.get_mut(&PrekeyKind::OneTime).and_then(Vec::pop);
        let kem = self.published.get_mut(&PrekeyKind::OneTimeKem).and_then(Vec::pop);
        Box::new(SealedBundle {
            signed: newest(self, PrekeyKind::Signed),
            one_time,
            kem: kem.unwrap_or_else(|| newest(self, PrekeyKind::LastResortKem)),
            ff: newest(self, PrekeyKind::SignedFf),
        })
    }

    /// Sends a text.
    pub fn send(&mut self, to: &str, text: &str) -> Result<Reply, CommandError> {
        self.send_with(to, text, None)
    }

    /// Sends a text under an idempotency key.
    pub fn send_with(&mut self, to: &str, text: &str, key: Option<&str>) -> Result<Reply, CommandError> {
        self.command(Command::Send(Send {
            to: vec![to.to_owned()],
            text: text.to_owned(),
            reply_to: None,
            ttl: None,
            idempotency: key.map(str::to_owned),
        }))
    }

    /// Everything in the outbox, as the relay of `recipient` would see it. It stays in the outbox.
    pub fn flying(&self, recipient: &Peer<impl Store>) -> Vec<Flying> {
        let owner = query::mailbox(&recipient.store).expect("memory");
        let mut flying = Vec::new();
        for chat in query::outbox_chats(&self.store).expect("memory") {
            let destination = query::destination(&self.store, chat).expect("memory").expect("a contact");
            let token =
                permission(&destination).verify(owner.mailbox, owner.drop_key).expect("its own token");
            for row in query::outbox(&self.store, chat, None, usize::MAX).expect("memory") {
                flying.push(Flying { key: row.key, contact: token.contact, body: body_of(row.frame) });
            }
        }
        flying.sort_by_key(|flying| flying.key.position);
        flying
    }

    /// Takes the last envelope again under a new sequence, which makes the engine doubt the session.
    pub fn repeat_last(&mut self) {
        let Flying { contact, body, .. } = self.last.clone().expect("something was taken");
        self.take(contact, body);
    }

    /// Takes an envelope under `other`'s permission that no session opens.
    pub fn take_garbage_from(&mut self, other: &Peer<impl Store>) {
        let owner = query::mailbox(&self.store).expect("memory");
        let chat = query::contacts(&other.store).expect("memory")[0].chat;
        let destination = query::destination(&other.store, chat).expect("memory").expect("a contact");
        let token = permission(&destination).verify(owner.mailbox, owner.drop_key).expect("its own token");
        self.head += 1;
        let mut body = vec![7; 256];
        body[..2].copy_from_slice(&[1, 2]);
        self.link(LinkEvent::Delivered(Delivered {
            sequence: Sequence(self.head),
            envelope: EnvelopeId([0; 16]),
            contact: token.contact,
            stored: self.now,
            body: ByteBuf::from(body),
        }));
    }

    /// Its prekey secrets are gone, and the relay has none of them.
    pub fn lose_prekeys(&mut self) {
        let mut gone = ChangeSet::default();
        let found = self.store.scan(Table::Prekey, &Range::all(), Order::Ascending, &mut |key, _| {
            gone.delete(Table::Prekey, key.to_vec());
            ControlFlow::Continue(())
        });
        found.expect("memory");
        self.store.commit(&gone).expect("memory");
        self.published.clear();
        self.restart();
    }

    /// Names the session that seals for a contact.
    pub fn active_session(&self, contact: &str) -> Option<Vec<u8>> {
        let chat =
            query::contacts(&self.store).expect("memory").into_iter().find(|known| known.name == contact);
        let row = self.store.get(Table::Contact, &chat?.chat.0).expect("memory").expect("a contact");
        let row: ciborium::Value = ciborium::from_reader(row.as_slice()).expect("a record");
        let fields = row.as_map().expect("a map");
        let active = fields.iter().find(|(key, _)| key.as_text() == Some("active")).expect("a field");
        active.1.as_bytes().cloned()
    }

    /// Takes an envelope under the next sequence.
    pub fn take(&mut self, contact: ContactId, body: Vec<u8>) {
        let position = OutboxKey { chat: ChatId([0; 16]), position: 0 };
        self.last = Some(Flying { key: position, contact, body: body.clone() });
        self.head += 1;
        self.link(LinkEvent::Delivered(Delivered {
            sequence: Sequence(self.head),
            envelope: EnvelopeId([0; 16]),
            contact,
            stored: self.now,
            body: ByteBuf::from(body),
        }));
    }

    /// A body that this peer's engine would not send, sealed with its only session.
    pub fn forge(&mut self, recipient: &Peer<impl Store>, body: Body) -> Flying {
        let content =
            Content { id: MessageId([1; 16]), sent: self.now, place: None, body, newer: Newer::default() };
        self.forge_content(recipient, &content)
    }

    /// Content that this peer's engine would not send, sealed with its only session.
    pub fn forge_content(&mut self, recipient: &Peer<impl Store>, content: &Content) -> Flying {
        let mut row = None;
        let found = self.store.scan(Table::Session, &Range::all(), Order::Ascending, &mut |key, value| {
            row = Some((key.to_vec(), value));
            ControlFlow::Break(())
        });
        found.expect("memory");
        let (key, record) = row.expect("a session");
        let mut record: ciborium::Value = ciborium::from_reader(record.as_slice()).expect("a record");
        let fields = record.as_map_mut().expect("a map");
        let core = fields.iter_mut().find(|(key, _)| key.as_text() == Some("core")).expect("a core");
        let session = Session::from_bytes(core.1.as_bytes().expect("bytes")).expect("a session");
        let (next, body) = session.seal(None, &content.encode(), &mut rand::rng()).expect("sealed");
        core.1 = next.to_bytes().to_vec().into();
        let mut changes = ChangeSet::default();
        changes.put(Table::Session, key, Value::new(hermes_wire::encode(&record)));
        self.store.commit(&changes).expect("memory");
        self.flying_alone(recipient, body)
    }

    /// The same content in an ephemeral message.
    pub fn forge_ephemeral(&self, recipient: &Peer<impl Store>, body: Body) -> Flying {
        let session = self.only_session();
        let body = session.seal_ephemeral(&self.content(body), &mut rand::rng()).expect("sealed");
        self.flying_alone(recipient, body)
    }

    fn content(&self, body: Body) -> Vec<u8> {
        let (id, newer) = (MessageId([1; 16]), Newer::default());
        Content { id, sent: self.now, place: None, body, newer }.encode()
    }

    fn only_session(&self) -> Session {
        let mut record = None;
        let found = self.store.scan(Table::Session, &Range::all(), Order::Ascending, &mut |_, value| {
            record = Some(value);
            ControlFlow::Break(())
        });
        found.expect("memory");
        let record: ciborium::Value =
            ciborium::from_reader(record.expect("a session").as_slice()).expect("a record");
        let fields = record.as_map().expect("a map");
        let core = fields.iter().find(|(key, _)| key.as_text() == Some("core")).expect("a core");
        Session::from_bytes(core.1.as_bytes().expect("bytes")).expect("a session")
    }

    fn flying_alone(&self, recipient: &Peer<impl Store>, body: Vec<u8>) -> Flying {
        let owner = query::mailbox(&recipient.store).expect("memory");
        let chat = query::contacts(&self.store).expect("memory")[0].chat;
        let destination = query::destination(&self.store, chat).expect("memory").expect("a contact");
        let token = permission(&destination).verify(owner.mailbox, owner.drop_key).expect("its own token");
        Flying { key: OutboxKey { chat, position: 0 }, contact: token.contact, body }
    }

    /// What the last turn told.
    pub fn events(&self) -> Vec<Event> {
        let event = |effect: &Effect| match effect {
            Effect::Event(event) => Some(event.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(event).collect()
    }

    /// The texts of a chat, both ways.
    pub fn texts(&self, chat: &str) -> Vec<String> {
        let log = query::log(&self.store, chat, None, usize::MAX).expect("memory").unwrap_or_default();
        let text = |message: query::MessageView| match message.text {
            Text::GroupChanged(_) => None,
            Text::Plain(text) => Some(text),
            Text::NeedsNewerVersion => Some("?".to_owned()),
            Text::SessionRenewed(_) | Text::TimerSet(_) | Text::Action(_) => None,
            Text::Withdrawn => Some("(withdrawn)".to_owned()),
            Text::Expired => Some("(expired)".to_owned()),
        };
        log.into_iter().filter_map(text).collect()
    }

    /// What is missing, of this chat or of all.
    pub fn audit(&self, chat: Option<&str>) -> query::Audit {
        query::audit(&self.store, chat).expect("memory").expect("a chat")
    }

    /// The account at a glance.
    pub fn summary(&self) -> query::Summary {
        query::summary(&self.store).expect("memory")
    }

    /// Names of the contacts.
    pub fn contacts(&self) -> Vec<String> {
        query::contacts(&self.store).expect("memory").into_iter().map(|contact| contact.name).collect()
    }
}

/// Carries everything from one outbox to the other's mailbox, receipts of the relay included.
pub fn carry(from: &mut Peer<impl Store>, to: &mut Peer<impl Store>) {
    let flying = from.flying(to);
    deliver(from, to, flying);
}

/// Carries these, receipts of the relay included.
pub fn deliver(from: &mut Peer<impl Store>, to: &mut Peer<impl Store>, envelopes: Vec<Flying>) {
    for flying in envelopes {
        from.link(LinkEvent::Deposited(flying.key));
        to.take(flying.contact, flying.body);
    }
}

/// Gives `guest` the bundles of `host` that it asked for.
pub fn serve_fetches(guest: &mut Peer<impl Store>, host: &mut Peer<impl Store>) {
    for fetch in query::fetches(&guest.store).expect("memory") {
        let bundle = host.bundle();
        guest.link(LinkEvent::Bundle(fetch.chat, fetch.fetch, bundle));
    }
}

/// Carries both ways until both outboxes are empty.
pub fn settle(a: &mut Peer<impl Store>, b: &mut Peer<impl Store>) {
    while a.summary().outbox + b.summary().outbox > 0 {
        carry(a, b);
        carry(b, a);
    }
}

/// `guest` accepts an invite of `host`, up to the greeting in the guest's outbox.
pub fn greet(guest: &mut Peer<impl Store>, host: &mut Peer<impl Store>) {
    let link = host.invite();
    let (chat, fetch) = guest.accept(&link);
    let bundle = host.bundle();
    guest.link(LinkEvent::Bundle(chat, fetch, bundle));
}

/// Two accounts that know each other.
pub fn paired() -> (Peer, Peer) {
    pair_up(1, 2)
}

/// As [`paired`], with keys drawn from these seeds.
pub fn pair_up(alice: u64, bob: u64) -> (Peer, Peer) {
    let (mut alice, mut bob) = (Peer::new("alice", alice), Peer::new("bob", bob));
    greet(&mut alice, &mut bob);
    settle(&mut alice, &mut bob);
    (alice, bob)
}
