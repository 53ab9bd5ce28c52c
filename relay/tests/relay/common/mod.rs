//! People and frames for the relay's tests.

pub mod authority;
pub mod backend;
pub mod client;
pub mod counting;
pub mod gapped;
pub mod group;
pub mod program;
pub mod world;

use ed25519_dalek::SigningKey;
use hermes_relay::{Entry, Outcome, Relay, Request, Store};
use hermes_wire::{
    Claim, ClaimNonce, ContactId, DropKey, EnvelopeId, InstanceId, MailboxId, Refusal, RunId, Sequence,
    SignedClaim, StoreEpoch, Timestamp, VERSION,
    drop::{Deposit, Open},
    mailbox::{Credit, Deliver, Register},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
    token::{DropToken, Permission, SignedDropToken},
};
use serde_bytes::ByteBuf;

/// Each of the named functions as a test over both stores.
#[allow(unused_macros)]
macro_rules! over_both_stores {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $test() { super::$test(&crate::common::backend::InMemory); })*
        }
        mod fjall {
            $(#[test] fn $test() { super::$test(&crate::common::backend::OnDisk::new()); })*
        }
    };
}

/// An ordinary moment, away from zero.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub const DAY: u64 = 86_400_000;
pub const PLENTY: Credit = Credit { envelopes: 256, bytes: 1024 * 1024 };

pub fn at(millis: u64) -> Timestamp {
    Timestamp(NOW.0 + millis)
}

/// Someone with a mailbox.
#[derive(Clone)]
pub struct Owner {
    pub mailbox: MailboxId,
    key: SigningKey,
}

impl Owner {
    pub fn new(seed: u8) -> Self {
        Self { mailbox: MailboxId([seed; 32]), key: SigningKey::from_bytes(&[seed; 32]) }
    }

    /// An owner whose mailbox is the key that a TLS credential of the same seed proves.
    pub fn with_mailbox(seed: u8, mailbox: MailboxId) -> Self {
        Self { mailbox, ..Self::new(seed) }
    }

    pub fn register(&self, token: Option<&str>) -> Register {
        Register {
            version: VERSION,
            instance: InstanceId([7; 16]),
            run: RunId([8; 16]),
            registration_token: token.map(str::to_owned),
            drop_key: DropKey(self.key.verifying_key().to_bytes()),
        }
    }

    /// An owner whose mailbox is its key, which can sign claims.
    pub fn with_claims(seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        Self { mailbox: MailboxId(key.verifying_key().to_bytes()), key }
    }

    pub fn sign(&self, claim: Claim) -> SignedClaim {
        SignedClaim::issue(claim, &self.key)
    }

    pub fn token(&self, contact: u8) -> DropToken {
        DropToken {
            contact: ContactId([contact; 16]),
            permission: Permission::DepositAndPrekeys,
            expiry: at(365 * DAY),
            uses: None,
        }
    }

    pub fn open(&self, token: &DropToken) -> Open {
        Open { version: VERSION, mailbox: self.mailbox, token: self.issue(token) }
    }

    pub fn issue(&self, token: &DropToken) -> SignedDropToken {
        SignedDropToken::issue(token, self.mailbox, &self.key)
    }
}

/// A claim of the epoch with that number.
pub fn claim(epoch: u8, counter: u64) -> Claim {
    Claim { epoch: StoreEpoch([epoch; 16]), counter, nonce: ClaimNonce([7; 16]), succeeds: None }
}

pub fn deposit(id: u32, body: &[u8]) -> Deposit {
    let mut envelope = [0; 16];
    envelope[..4].copy_from_slice(&id.to_be_bytes());
    Deposit { envelope: EnvelopeId(envelope), body: ByteBuf::from(body.to_vec()) }
}

pub fn prekey(kind: PrekeyKind, id: u64) -> PrekeyEntry {
    PrekeyEntry {
        kind,
        id: PrekeyId(id),
        expiry: at(180 * DAY),
        sealed: ByteBuf::from(id.to_be_bytes().to_vec()),
    }
}

/// Ids 1 to 3 that every bundle needs, then one-time keys.
pub fn prekeys() -> Vec<PrekeyEntry> {
    vec![
        prekey(PrekeyKind::Signed, 1),
        prekey(PrekeyKind::SignedFf, 2),
        prekey(PrekeyKind::LastResortKem, 3),
        prekey(PrekeyKind::OneTime, 4),
        prekey(PrekeyKind::OneTime, 5),
        prekey(PrekeyKind::OneTimeKem, 6),
    ]
}

/// What tests ask a relay, one request at a time.
pub trait Ask {
    fn ask(&mut self, now: Timestamp, request: Request) -> Outcome;

    fn registers(&mut self, now: Timestamp, owner: &Owner) -> Outcome {
        self.ask(now, Request::Register { mailbox: owner.mailbox, register: owner.register(None) })
    }

    fn opens(&mut self, now: Timestamp, open: Open) -> Result<Entry, Refusal> {
        match self.ask(now, Request::Open(open)) {
            Outcome::Opened(entry) => Ok(entry),
            Outcome::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn deposits(&mut self, now: Timestamp, entry: &Entry, deposits: &[Deposit]) -> Vec<Result<(), Refusal>> {
        let request = Request::Deposit { entry: entry.clone(), deposits: deposits.to_vec() };
        match self.ask(now, request) {
            Outcome::Deposited(answers) => answers.into_iter().map(|(_, answer)| answer).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn acks(&mut self, owner: &Owner, upto: u64) -> Outcome {
        self.ask(NOW, Request::Ack { mailbox: owner.mailbox, upto: Sequence(upto) })
    }

    fn sweeps(&mut self, now: Timestamp) {
        while let Outcome::Swept { more: true } = self.ask(now, Request::Sweep) {}
    }
}

impl<S: Store> Ask for Relay<S> {
    fn ask(&mut self, now: Timestamp, request: Request) -> Outcome {
        let mut outcomes = self.apply(now, vec![request]).unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }
}

/// The sequences of envelopes, and of gaps as pairs.
pub fn summary(delivered: &[Deliver]) -> Vec<(u64, u64)> {
    delivered
        .iter()
        .map(|deliver| match deliver {
            Deliver::Envelope(envelope) => (envelope.sequence.0, envelope.sequence.0),
            Deliver::Gone(first, last) => (first.0, last.0),
            Deliver::Ephemeral(_) => panic!("the store holds nothing ephemeral"),
        })
        .collect()
}
