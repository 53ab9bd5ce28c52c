//! The relay's side of the simulated network: the real rules on a store in memory.

use std::collections::BTreeMap;

use hermes_engine::{LinkEvent, query::Place};
use hermes_relay::{
    Outcome, Policy, Registration, Relay, Request,
    fanout::Seed,
    store::{TokenHash, TokenRow, memory::MemoryStore},
};
use hermes_wire::{
    BlobId, ChannelId, MailboxId, Sequence, Timestamp,
    blob::PutBlob,
    drop::{Open, ToDrop},
    mailbox::{Credit, Deliver, ToClient, ToRelay},
    prekey::{PrekeyEntry, PrekeyId},
    refusal::Advice,
    token::SignedDropToken,
};

use super::client::{DropBody, DropRequest};

/// A relay that can die and come back with its store.
pub struct SimRelay {
    relay: Relay<MemoryStore>,
    /// Every prekey that was ever offered, whatever became of it.
    prekeys: BTreeMap<(MailboxId, PrekeyId), PrekeyEntry>,
    seeds: u64,
}

/// What the relay knows of one mailbox connection.
#[derive(Default)]
pub struct Attached {
    registered: bool,
    sent_through: Sequence,
    envelopes: u32,
    bytes: u32,
}

/// What came of a request on a drop stream.
pub enum Answer {
    /// For the client, in order.
    Events(Vec<LinkEvent>),
    /// The stream is closed after these; everything behind is to be sent again.
    Closed(Vec<LinkEvent>),
}

impl SimRelay {
    pub fn new() -> Self {
        Self { relay: Self::start(MemoryStore::new()), prekeys: BTreeMap::new(), seeds: 0 }
    }

    fn start(store: MemoryStore) -> Relay<MemoryStore> {
        let policy = Policy { registration: Registration::Open, ..Policy::default() };
        Relay::new(store, policy).expect("memory")
    }

    /// Takes new mailboxes with one of these registration tokens only, each once.
    pub fn ask_for_tokens(&mut self, tokens: &[&str], now: Timestamp) {
        let policy = Policy { registration: Registration::Token, ..Policy::default() };
        self.relay = Relay::new(self.copy(), policy).expect("memory");
        for token in tokens {
            let row = TokenRow { uses: 1, expiry: Timestamp(u64::MAX) };
            self.apply(now, Request::AddToken { token: TokenHash::of(token), row });
        }
    }

    /// Dies and starts again with what was committed.
    pub fn restart(&mut self) {
        self.relay = Self::start(self.relay.store().clone());
    }

    /// Comes back from an old copy of its store.
    pub fn put_back(&mut self, copy: MemoryStore) {
        self.relay = Self::start(copy);
    }

    /// Another one, with all that this one has.
    pub fn fork(&self) -> Self {
        Self { relay: Self::start(self.copy()), prekeys: self.prekeys.clone(), seeds: self.seeds }
    }

    /// A copy of its store.
    pub fn copy(&self) -> MemoryStore {
        self.relay.store().clone()
    }

    pub fn sweep(&mut self, now: Timestamp) {
        self.apply(now, Request::Sweep);
    }

    /// The highest sequence of a mailbox and what waits there.
    pub fn waiting(&self, mailbox: MailboxId) -> usize {
        let credit = Credit { envelopes: u32::MAX, bytes: u32::MAX };
        self.relay.deliver(mailbox, Sequence(0), credit).expect("memory").iter().filter(is_envelope).count()
    }

    /// Takes a frame of a mailbox connection.
    pub fn control(
        &mut self,
        mailbox: MailboxId,
        side: &mut Attached,
        frame: ToRelay,
        now: Timestamp,
    ) -> Vec<ToClient> {
        let request = match frame {
            ToRelay::Credit(credit) => {
                side.envelopes = side.envelopes.saturating_add(credit.envelopes);
                side.bytes = side.bytes.saturating_add(credit.bytes);
                return Vec::new();
            }
            ToRelay::Ping => return vec![ToClient::Pong],
            ToRelay::Register(register) => Request::Register { mailbox, register },
            ToRelay::PutPrekeys(entries) => {
                self.check_ids(mailbox, &entries);
                Request::PutPrekeys { mailbox, entries }
            }
            ToRelay::DropPrekeys(below) => Request::DropPrekeys { mailbox, below },
            ToRelay::Revoke(contact, until) => Request::Revoke { mailbox, contact, until },
            ToRelay::Ack(upto) => Request::Ack { mailbox, upto },
            ToRelay::Claim(claim) => Request::Claim { mailbox, claim },
            ToRelay::PutBlob(put) => return vec![self.put_blob(mailbox, put, now)],
        };
        match self.apply(now, request) {
            Outcome::Registered { registered, acked } => {
                side.registered = true;
                side.sent_through = acked;
                vec![ToClient::Registered(registered)]
            }
            Outcome::Claimed { claim, stock } => {
                let stock = stock.map(ToClient::PrekeyStock);
                [ToClient::Claimed(claim)].into_iter().chain(stock).collect()
            }
            Outcome::ClaimRefused(held) => vec![ToClient::ClaimRefused(held)],
            Outcome::PrekeysStored(through) => vec![ToClient::PrekeysStored(through)],
            Outcome::Revoked(contact) => vec![ToClient::Revoked(contact)],
            Outcome::Refused(refusal) => vec![ToClient::Refused(refusal)],
            _ => Vec::new(),
        }
    }

    fn put_blob(&mut self, mailbox: MailboxId, put: PutBlob, now: Timestamp) -> ToClient {
        let blob = put.blob;
        match self.apply(now, Request::PutBlob { mailbox, put }) {
            Outcome::BlobStored(upto) => ToClient::BlobStored(blob, upto),
            Outcome::Refused(refusal) => ToClient::BlobRefused(blob, refusal),
            outcome => panic!("a blob was answered with {outcome:?}"),
        }
    }

    /// An id is one key, whoever died in between.
    fn check_ids(&mut self, mailbox: MailboxId, entries: &[PrekeyEntry]) {
        for entry in entries {
            let before = self.prekeys.insert((mailbox, entry.id), entry.clone());
            assert!(before.is_none_or(|before| before == *entry), "prekey id {:?} was given twice", entry.id);
        }
    }

    /// What a mailbox connection gets next.
    pub fn deliver(&self, mailbox: MailboxId, side: &mut Attached) -> Vec<Deliver> {
        if !side.registered {
            return Vec::new();
        }
        let credit = Credit { envelopes: side.envelopes, bytes: side.bytes };
        let frames = self.relay.deliver(mailbox, side.sent_through, credit).expect("memory");
        for frame in &frames {
            match frame {
                Deliver::Envelope(delivered) => {
                    side.sent_through = delivered.sequence;
                    side.envelopes -= 1;
                    side.bytes -= u32::try_from(delivered.body.len()).expect("an envelope's size");
                }
                Deliver::Gone(_, last) => side.sent_through = *last,
                Deliver::Ephemeral(_) => panic!("the store holds nothing ephemeral"),
            }
        }
        frames
    }

    /// Takes consecutive requests of one drop stream.
    pub fn drop_requests(&mut self, requests: Vec<DropRequest>, now: Timestamp) -> Answer {
        let mut events = Vec::new();
        for request in requests {
            let result = match &request.place {
                Place::Mailbox(mailbox, token) => self.at_mailbox(*mailbox, token, &request.what, now),
                Place::Channel(channel) => self.at_channel(*channel, &request.what, now),
            };
            let overtaken =
                matches!(&result, Outcome::Refused(refusal) if refusal.advice() == Advice::CatchUp);
            match settle(&request, result) {
                Ok(event) => events.push(event),
                Err(Retry) => return Answer::Closed(events),
            }
            if overtaken {
                return Answer::Closed(events);
            }
        }
        Answer::Events(events)
    }

    fn at_mailbox(
        &mut self,
        mailbox: MailboxId,
        token: &SignedDropToken,
        what: &DropBody,
        now: Timestamp,
    ) -> Outcome {
        let open = Open { version: hermes_wire::VERSION, mailbox, token: token.clone() };
        match self.apply(now, Request::Open(open)) {
            Outcome::Opened(entry) => match what {
                DropBody::Row(_, frame) => {
                    let ToDrop::Deposit(deposit) = &**frame else { panic!("a mailbox is told {frame:?}") };
                    let deposits = vec![deposit.clone()];
                    self.apply(now, Request::Deposit { entry, deposits })
                }
                DropBody::Fetch(fetch) => self.apply(now, Request::FetchPrekeys { entry, fetch: *fetch }),
            },
            outcome => outcome,
        }
    }

    fn at_channel(&mut self, channel: ChannelId, what: &DropBody, now: Timestamp) -> Outcome {
        // Of the relay alone, so that the clients' luck does not hang on it.
        self.seeds += 1;
        let mut seed = Seed([0; 32]);
        seed.0[..8].copy_from_slice(&self.seeds.to_be_bytes());
        let DropBody::Row(_, frame) = what else { panic!("a channel has no prekeys") };
        let request = match (**frame).clone() {
            ToDrop::Create(create) => Request::Create { channel, create, seed },
            ToDrop::Post(post) => Request::Post { channel, post, seed },
            ToDrop::Commit(commit) => Request::Commit { channel, commit, seed },
            other => panic!("a channel is told {other:?}"),
        };
        self.apply(now, request)
    }

    /// A whole blob, once it is there.
    pub fn blob(&self, blob: BlobId) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let offset = u32::try_from(bytes.len()).expect("a blob's size");
            let part = hermes_relay::blob::read(self.relay.store(), blob, offset).expect("memory")?;
            bytes.extend_from_slice(&part.bytes);
            if bytes.len() >= part.total as usize {
                return Some(bytes);
            }
        }
    }

    fn apply(&mut self, now: Timestamp, request: Request) -> Outcome {
        let mut outcomes = self.relay.apply(now, vec![request]).expect("memory");
        outcomes.pop().expect("an outcome for each request")
    }
}

/// The request has to be repeated.
struct Retry;

fn settle(request: &DropRequest, outcome: Outcome) -> Result<LinkEvent, Retry> {
    let refusal = match (&request.what, outcome) {
        (DropBody::Row(key, _), Outcome::Created | Outcome::Posted { .. }) => {
            return Ok(LinkEvent::Deposited(*key));
        }
        (DropBody::Row(key, _), Outcome::Deposited(results)) => match results.into_iter().next() {
            Some((_, Ok(()))) => return Ok(LinkEvent::Deposited(*key)),
            Some((_, Err(refusal))) => refusal,
            None => return Err(Retry),
        },
        (DropBody::Fetch(fetch), Outcome::Bundle { bundle, .. }) => {
            return Ok(LinkEvent::Bundle(request.chat, *fetch, Box::new(bundle)));
        }
        (_, Outcome::Refused(refusal)) => refusal,
        (what, outcome) => panic!("{what:?} was answered with {outcome:?}"),
    };
    match (refusal.advice(), &request.what) {
        (Advice::RetryAfter(_), _) => Err(Retry),
        (Advice::Permanent | Advice::CatchUp, DropBody::Fetch(fetch)) => {
            Ok(LinkEvent::FetchRefused(request.chat, *fetch, refusal))
        }
        (Advice::Permanent | Advice::CatchUp, DropBody::Row(key, _)) => {
            Ok(LinkEvent::DepositRefused(*key, refusal))
        }
    }
}

fn is_envelope(frame: &&Deliver) -> bool {
    matches!(frame, Deliver::Envelope(_))
}
