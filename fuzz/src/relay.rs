//! The relay's rules: one request of a stranger's making, and a history of what owners and depositors do.

use std::{
    collections::{BTreeMap, btree_map::Entry as Row},
    sync::OnceLock,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use hermes_relay::{
    Entry, Limits, Outcome, Policy, Registration, Relay, Request, Store,
    fanout::Seed as Nonces,
    limits::{RECEIPT_MEMORY, Rate},
    store::memory::MemoryStore,
};
use hermes_wire::{
    ChannelId, ContactId, DropKey, EnvelopeId, FetchId, InstanceId, MailboxId, RunId, Sequence, Timestamp,
    VERSION,
    drop::{Deposit, Open, ToDrop},
    frame,
    mailbox::{Credit, Deliver, Register, ToRelay},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
    token::{DropToken, Permission, SignedDropToken},
};
use serde_bytes::ByteBuf;

use super::seeds::{Seed, channel};

/// Actions of one history, so that an input has its end.
const ACTIONS: usize = 300;
/// When everything begins.
const BEGINNING: Timestamp = Timestamp(1_700_000_000_000);
const HOUR: u64 = 3_600_000;
/// How long an envelope waits, in a history.
const TTL: u64 = 48 * HOUR;
/// As much as one delivery may bring.
const EVERYTHING: Credit = Credit { envelopes: u32::MAX, bytes: u32::MAX };
/// The channel of single requests.
const CHANNEL: ChannelId = ChannelId([21; 32]);

/// A frame as an owner, a depositor or a member sends it, to a relay that has a little of everything. Whatever it is, the
/// relay decides; a refusal changes nothing; and the same request again is no surprise.
pub fn request(bytes: &[u8]) {
    let mut requests = Vec::new();
    if let Ok(frame) = frame::decode::<ToRelay>(bytes) {
        requests.extend(owner_asks(frame));
    }
    if let Ok(frame) = frame::decode::<ToDrop>(bytes) {
        requests.extend(stranger_asks(frame));
    }
    for request in requests {
        let mut relay = furnished();
        let before = format!("{:?}", relay.store());
        let outcomes = relay.apply(BEGINNING, vec![request.clone()]).expect("memory");
        let refused = |outcome: &Outcome| match outcome {
            Outcome::Refused(_) => true,
            Outcome::Deposited(answers) => answers.iter().all(|(_, answer)| answer.is_err()),
            _ => false,
        };
        if outcomes.iter().all(refused) {
            assert_eq!(format!("{:?}", relay.store()), before);
        }
        let again = relay.apply(BEGINNING, vec![request]).expect("memory");
        assert_eq!(again.len(), outcomes.len());
        let there = relay.deliver(mailbox(0), Sequence(0), EVERYTHING).expect("memory");
        let mut ids: Vec<_> = there.iter().filter_map(envelope_id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an envelope is there twice");
    }
}

fn owner_asks(frame: ToRelay) -> Option<Request> {
    let mailbox = mailbox(0);
    match frame {
        ToRelay::Register(register) => Some(Request::Register { mailbox, register }),
        ToRelay::PutPrekeys(entries) => Some(Request::PutPrekeys { mailbox, entries }),
        ToRelay::DropPrekeys(below) => Some(Request::DropPrekeys { mailbox, below }),
        ToRelay::Revoke(contact, until) => Some(Request::Revoke { mailbox, contact, until }),
        ToRelay::Ack(upto) => Some(Request::Ack { mailbox, upto }),
        ToRelay::Claim(claim) => Some(Request::Claim { mailbox, claim }),
        ToRelay::PutBlob(put) => Some(Request::PutBlob { mailbox, put }),
        ToRelay::Credit(_) | ToRelay::Ping => None,
    }
}

fn stranger_asks(frame: ToDrop) -> Option<Request> {
    let (entry, channel, seed) = (entry(0, 1).clone(), CHANNEL, Nonces([7; 32]));
    match frame {
        ToDrop::Open(open) => Some(Request::Open(open)),
        ToDrop::Deposit(deposit) => Some(Request::Deposit { entry, deposits: vec![deposit] }),
        ToDrop::Ephemeral(deposit) => Some(Request::Ephemeral { entry, deposit }),
        ToDrop::FetchPrekeys(fetch) => Some(Request::FetchPrekeys { entry, fetch }),
        ToDrop::Create(create) => Some(Request::Create { channel, create, seed }),
        ToDrop::Post(post) => Some(Request::Post { channel, post, seed }),
        ToDrop::Commit(commit) => Some(Request::Commit { channel, commit, seed }),
        ToDrop::OpenChannel(_) | ToDrop::FetchBlob(_) => None,
    }
}

fn envelope_id(deliver: &Deliver) -> Option<[u8; 16]> {
    match deliver {
        Deliver::Envelope(row) => Some(row.envelope.0),
        _ => None,
    }
}

/// A relay with a mailbox that has prekeys and an envelope, and a channel.
fn furnished() -> Relay<MemoryStore> {
    static STORE: OnceLock<MemoryStore> = OnceLock::new();
    let furnish = || {
        let mut relay = relay(MemoryStore::new(), Limits::default());
        let kinds = [&PrekeyKind::ALL[..], &PrekeyKind::ALL].concat();
        let entries = kinds.into_iter().zip(1..).map(|(kind, id)| prekey(kind, id)).collect();
        let entry = entry(0, 1).clone();
        let deposit = Deposit { envelope: EnvelopeId([9; 16]), body: ByteBuf::from(vec![1; 100]) };
        let requests = vec![
            Request::PutPrekeys { mailbox: mailbox(0), entries },
            Request::Deposit { entry, deposits: vec![deposit] },
            Request::Create { channel: CHANNEL, create: channel::first(), seed: Nonces([1; 32]) },
        ];
        let outcomes = relay.apply(BEGINNING, requests).expect("memory");
        assert!(matches!(outcomes[..], [Outcome::PrekeysStored(_), Outcome::Deposited(_), Outcome::Created]));
        relay.into_store()
    };
    relay(STORE.get_or_init(furnish).clone(), Limits::default())
}

/// The way in of a contact to an owner's mailbox, asked for once: signatures take most of the time.
fn entry(owner: u8, contact: u8) -> &'static Entry {
    static ENTRIES: OnceLock<BTreeMap<(u8, u8), Entry>> = OnceLock::new();
    let all = || {
        let mut relay = relay(MemoryStore::new(), Limits::default());
        let who = [0, 1].into_iter().flat_map(|owner| [0, 1, 2, 3].map(|contact| (owner, contact)));
        who.map(|(owner, contact)| ((owner, contact), opened(&mut relay, owner, contact))).collect()
    };
    &ENTRIES.get_or_init(all)[&(owner, contact)]
}

/// With both owners' mailboxes.
fn relay(store: MemoryStore, limits: Limits) -> Relay<MemoryStore> {
    let is_new = store.mailbox_count().expect("memory") == 0;
    let policy = Policy { registration: Registration::Open, limits };
    let mut relay = Relay::new(store, policy).expect("memory");
    if is_new {
        for owner in [0, 1] {
            let register = Register {
                version: VERSION,
                instance: InstanceId([7; 16]),
                run: RunId([8; 16]),
                registration_token: None,
                drop_key: DropKey(key(owner).verifying_key().to_bytes()),
            };
            relay
                .apply(BEGINNING, vec![Request::Register { mailbox: mailbox(owner), register }])
                .expect("memory");
        }
    }
    relay
}

fn opened(relay: &mut Relay<MemoryStore>, owner: u8, contact: u8) -> Entry {
    let token = DropToken {
        contact: ContactId([contact; 16]),
        permission: Permission::DepositAndPrekeys,
        expiry: Timestamp(BEGINNING.0 + 10_000 * HOUR),
        uses: None,
    };
    let token = SignedDropToken::issue(&token, mailbox(owner), &key(owner));
    let open = Request::Open(Open { version: VERSION, mailbox: mailbox(owner), token });
    match relay.apply(BEGINNING, vec![open]).expect("memory").pop() {
        Some(Outcome::Opened(entry)) => entry,
        other => panic!("the token is good: {other:?}"),
    }
}

/// Those of the real values' rosters. That its owner has the key is proven by a connection, of which there is none here.
fn mailbox(owner: u8) -> MailboxId {
    MailboxId([owner + 1; 32])
}

fn key(owner: u8) -> SigningKey {
    SigningKey::from_bytes(&[owner + 1; 32])
}

fn prekey(kind: PrekeyKind, id: u64) -> PrekeyEntry {
    let expiry = Timestamp(BEGINNING.0 + 10_000 * HOUR);
    PrekeyEntry { kind, id: PrekeyId(id), expiry, sealed: ByteBuf::from(id.to_be_bytes().to_vec()) }
}

/// Deposits, as the first of an action's four bytes names what is done. The second says whose mailbox and which contact, the
/// third and the fourth with what.
pub const DEPOSIT: u8 = 0;
/// An owner has everything up to somewhere.
pub const ACK: u8 = 1;
/// Time passes.
pub const WAIT: u8 = 2;
/// What is over is forgotten.
pub const SWEEP: u8 = 3;
/// The relay ends and starts again.
pub const RESTART: u8 = 4;
/// A contact is shut out.
pub const REVOKE: u8 = 5;
/// Several deposits in one commit.
pub const TOGETHER: u8 = 6;
/// A bundle is asked for.
pub const FETCH: u8 = 7;

/// What each mailbox has to have.
#[derive(Default)]
struct Book {
    /// Envelopes that were taken, by their place: their id, their length, and when they came.
    taken: BTreeMap<u64, (EnvelopeId, usize, Timestamp)>,
    /// When each id was taken last.
    ids: BTreeMap<EnvelopeId, (usize, Timestamp)>,
    acked: u64,
    /// Until when contacts are shut out.
    shut: BTreeMap<u8, Timestamp>,
}

/// What was taken is delivered in its order until it is acknowledged or too old, and once; what was refused never is. Who is
/// shut out puts nothing in, and nobody more than there is room for.
pub fn ops(bytes: &[u8]) {
    let limits = Limits {
        mailbox_envelopes: 20,
        envelope_ttl: Duration::from_millis(TTL),
        deposits: Rate { burst: 40, period: Duration::from_secs(60) },
        ..Limits::default()
    };
    let mut world = History {
        relay: relay(MemoryStore::new(), limits.clone()),
        limits,
        now: BEGINNING,
        books: Default::default(),
    };
    for action in bytes.as_chunks().0.iter().take(ACTIONS) {
        world.act(*action);
        world.check();
    }
}

struct History {
    relay: Relay<MemoryStore>,
    limits: Limits,
    now: Timestamp,
    books: [Book; 2],
}

impl History {
    fn act(&mut self, [what, who, with, much]: [u8; 4]) {
        let (owner, contact) = (who & 1, who >> 1 & 3);
        match what % 8 {
            DEPOSIT => self.deposit(owner, contact, &[(with, much)]),
            TOGETHER => self.deposit(owner, contact, &[(with, much), (with ^ 1, much), (with, much)]),
            ACK => {
                let book = &mut self.books[usize::from(owner)];
                let head = book.taken.last_key_value().map_or(book.acked, |(last, _)| *last);
                let upto = u64::from(with) % (head + 2);
                let outcome = self.ask(Request::Ack { mailbox: mailbox(owner), upto: Sequence(upto) });
                let book = &mut self.books[usize::from(owner)];
                match outcome {
                    Outcome::Acked => book.acked = book.acked.max(upto),
                    other => assert!(upto > head, "{other:?}"),
                }
            }
            WAIT => self.now.0 += (1 + u64::from(with)) * HOUR / 8,
            SWEEP => while let Outcome::Swept { more: true } = self.ask(Request::Sweep) {},
            RESTART => {
                let store = self.relay.store().clone();
                self.relay = relay(store, self.limits.clone());
            }
            REVOKE => {
                let until = Timestamp(self.now.0 + u64::from(with) * HOUR);
                let id = ContactId([contact; 16]);
                let outcome = self.ask(Request::Revoke { mailbox: mailbox(owner), contact: id, until });
                assert_eq!(outcome, Outcome::Revoked(id));
                let shut = self.books[usize::from(owner)].shut.entry(contact).or_insert(until);
                *shut = until.max(*shut);
            }
            _ => {
                let entry = entry(owner, contact).clone();
                let outcome = self.ask(Request::FetchPrekeys { entry, fetch: FetchId([with; 16]) });
                assert!(matches!(outcome, Outcome::Refused(_)), "there are no prekeys");
            }
        }
    }

    fn deposit(&mut self, owner: u8, contact: u8, what: &[(u8, u8)]) {
        let entry = entry(owner, contact).clone();
        let deposit = |(id, length): &(u8, u8)| Deposit {
            envelope: EnvelopeId([*id; 16]),
            body: ByteBuf::from(vec![*length; usize::from(*length)]),
        };
        let deposits = what.iter().map(deposit).collect();
        let Outcome::Deposited(answers) = self.ask(Request::Deposit { entry, deposits }) else {
            panic!("a deposit is answered as one");
        };
        let head = self.relay.store().mailbox(mailbox(owner)).expect("memory").map_or(0, |row| row.head.0);
        let known_for = u64::try_from(RECEIPT_MEMORY.as_millis()).expect("a day");
        let book = &mut self.books[usize::from(owner)];
        let is_shut = book.shut.get(&contact).is_some_and(|until| self.now <= *until);
        assert!(!is_shut || answers.iter().all(|(_, answer)| answer.is_err()), "who is shut out got in");
        let mut last = book.taken.last_key_value().map_or(0, |(last, _)| *last);
        for ((envelope, answer), (_, length)) in answers.into_iter().zip(what) {
            if answer.is_err() {
                continue;
            }
            let length = usize::from(*length);
            match book.ids.entry(envelope) {
                // It is known for a while after it was acknowledged at the earliest; later it may be new.
                Row::Occupied(known) if last == head || self.now.0 < known.get().1.0 + known_for => {
                    assert_eq!(known.get().0, length, "another body under the same id");
                }
                row => {
                    last += 1;
                    row.insert_entry((length, self.now));
                    book.taken.insert(last, (envelope, length, self.now));
                }
            }
        }
        assert_eq!(last, head, "what was taken has a place");
    }

    fn ask(&mut self, request: Request) -> Outcome {
        let mut outcomes = self.relay.apply(self.now, vec![request]).expect("memory");
        outcomes.pop().expect("each request is answered")
    }

    fn check(&self) {
        for (owner, book) in (0..).zip(&self.books) {
            let delivered = self.relay.deliver(mailbox(owner), Sequence(0), EVERYTHING).expect("memory");
            let mut last = book.acked;
            let mut seen = Vec::new();
            for deliver in delivered {
                match deliver {
                    Deliver::Envelope(row) => {
                        assert_eq!(row.sequence.0, last + 1);
                        last += 1;
                        let expected = book.taken.get(&last).map(|(id, length, _)| (*id, *length));
                        assert_eq!(Some((row.envelope, row.body.len())), expected);
                        seen.push(last);
                    }
                    Deliver::Gone(first, upto) => {
                        assert_eq!(first.0, last + 1);
                        last = upto.0;
                    }
                    Deliver::Ephemeral(_) => panic!("the store holds nothing ephemeral"),
                }
            }
            assert!(seen.len() as u64 <= self.limits.mailbox_envelopes, "more than there is room for");
            let waiting = book.taken.range(book.acked + 1..);
            assert_eq!(last, book.taken.last_key_value().map_or(0, |(last, _)| *last));
            for (place, (.., came)) in waiting {
                let is_young = self.now.0 < came.0 + TTL;
                assert!(seen.contains(place) || !is_young, "{place} is gone");
            }
        }
    }
}

/// Frames of all kinds, and a few histories.
pub fn seeds(frames: &[Seed]) -> Vec<Seed> {
    let asked =
        |bytes: &[u8]| frame::decode::<ToRelay>(bytes).is_ok() || frame::decode::<ToDrop>(bytes).is_ok();
    let frames = frames.iter().filter(|(target, _, bytes)| *target == "frame_decode" && asked(bytes));
    let mut seeds: Vec<Seed> =
        frames.map(|(_, name, bytes)| ("relay_request", *name, bytes.clone())).collect();
    let deposit = |id| [DEPOSIT, 2, id, 9];
    let filled: Vec<_> = (0..24).map(deposit).collect();
    let histories = [
        ("taken-and-acknowledged", vec![deposit(1), deposit(2), [ACK, 0, 1, 0], deposit(3), [ACK, 0, 3, 0]]),
        ("repeated", vec![deposit(1), deposit(1), [DEPOSIT, 2, 1, 8], [RESTART, 0, 0, 0], deposit(1)]),
        ("full", [&filled[..], &[[ACK, 0, 9, 0], [SWEEP, 0, 0, 0]], &filled].concat()),
        (
            "too-old",
            vec![deposit(1), [WAIT, 0, 255, 0], [WAIT, 0, 255, 0], deposit(2), [SWEEP, 0, 0, 0], deposit(1)],
        ),
        (
            "one-too-old-and-one-not",
            vec![deposit(1), [WAIT, 0, 255, 0], deposit(2), [WAIT, 0, 255, 0], [SWEEP, 0, 0, 0]],
        ),
        ("full-of-many", (0..32).map(|id| [DEPOSIT, id % 4 * 2, id, 9]).collect()),
        ("shut-out", vec![deposit(1), [REVOKE, 2, 9, 0], deposit(2), [DEPOSIT, 4, 2, 9], [FETCH, 2, 1, 1]]),
        ("together", vec![[TOGETHER, 2, 1, 9], [TOGETHER, 3, 1, 9], [ACK, 1, 2, 0], [TOGETHER, 3, 1, 9]]),
    ];
    seeds.extend(histories.map(|(name, actions)| ("relay_ops", name, actions.concat())));
    seeds
}
