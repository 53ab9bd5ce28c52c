//! Two accounts and the wire between them, as the tests of this crate need them.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;

use hermes_protocol::{
    handshake::{
        HandshakeMessage, InitiatorParams, PendingHandshake, ResponderKeys, ResponderParams, initiate,
    },
    limits::{SKIPPED_CHAINS, SKIPPED_KEYS_PER_CHAIN, SKIPPED_KEYS_PER_SESSION},
    *,
};
use hermes_wire::{
    MailboxId, Timestamp,
    prekey::{PrekeyId, PrekeyKind, SealedBundle},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub const EXPIRY: Timestamp = Timestamp(1_800_000_000_000);

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// An account with one prekey of each kind.
pub struct Account {
    pub keys: IdentityKeyPair,
    pub mailbox: MailboxId,
    pub bundle_key: BundleKey,
    pub signed: PrekeySecret,
    pub one_time: PrekeySecret,
    pub kem: PrekeySecret,
    pub last_resort: PrekeySecret,
    pub ff: PrekeySecret,
    pub rng: ChaCha20Rng,
}

/// Which of the used-up keys a bundle still has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stock {
    Full,
    NoOneTime,
    LastResort,
}

impl Account {
    pub fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        let mut prekey = |kind, id| PrekeySecret::generate(kind, PrekeyId(id), &mut rng);
        let (signed, one_time) = (prekey(PrekeyKind::Signed, 1), prekey(PrekeyKind::OneTime, 2));
        let (kem, last_resort) = (prekey(PrekeyKind::OneTimeKem, 3), prekey(PrekeyKind::LastResortKem, 4));
        let ff = prekey(PrekeyKind::SignedFf, 5);
        let keys = IdentityKeyPair::generate(&mut rng);
        let (mailbox, bundle_key) = (MailboxId::random(&mut rng), BundleKey::generate(&mut rng));
        Self { keys, mailbox, bundle_key, signed, one_time, kem, last_resort, ff, rng }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.keys.identity().fingerprint()
    }

    pub fn sealed_bundle(&mut self, stock: Stock) -> SealedBundle {
        let (keys, bundle_key, rng) = (&self.keys, &self.bundle_key, &mut self.rng);
        let mut publish = |prekey: &PrekeySecret| prekey.publish(keys, EXPIRY, bundle_key, rng);
        SealedBundle {
            signed: publish(&self.signed),
            one_time: (stock == Stock::Full).then(|| publish(&self.one_time)),
            kem: publish(if stock == Stock::LastResort { &self.last_resort } else { &self.kem }),
            ff: publish(&self.ff),
        }
    }

    pub fn bundle(&mut self, stock: Stock) -> Bundle {
        let sealed = self.sealed_bundle(stock);
        Bundle::open(&sealed, &self.bundle_key, &self.fingerprint(), NOW).unwrap()
    }

    pub fn initiate(&mut self, to: &mut Self, stock: Stock) -> Initiated {
        let bundle = to.bundle(stock);
        let params = InitiatorParams {
            identity: &self.keys,
            mailbox: self.mailbox,
            peer_mailbox: to.mailbox,
            counter: 7,
            unopened: &[],
        };
        initiate(params, &bundle, &mut self.rng).unwrap()
    }

    pub fn params(&self) -> ResponderParams<'_> {
        ResponderParams { identity: &self.keys, mailbox: self.mailbox }
    }

    /// The secrets that a message names.
    pub fn secrets(&self, ids: PrekeyIds) -> ResponderKeys<'_> {
        ResponderKeys {
            signed: &self.signed,
            one_time: ids.one_time.map(|_| &self.one_time),
            kem: if ids.kem == self.kem.id() { &self.kem } else { &self.last_resort },
            ff: &self.ff,
        }
    }

    pub fn respond(&self, handshake: &HandshakeMessage) -> Result<Responded, HandshakeError> {
        let secrets = self.secrets(handshake.prekeys());
        let initiator = handshake.open_identity(self.params(), &secrets)?;
        handshake.respond(self.params(), &secrets, &initiator)
    }
}

pub fn first(envelope: &[u8]) -> (HandshakeMessage, RatchetMessage) {
    match Envelope::decode(envelope).unwrap() {
        Envelope::First { handshake, message } => (handshake, message),
        Envelope::Ordinary(_) | Envelope::Ephemeral(_) => panic!("no first envelope"),
    }
}

/// Skipped-key rows in memory, through their records.
#[derive(Default, Clone, PartialEq, Debug)]
pub struct Rows {
    pub chains: BTreeMap<u32, Vec<u8>>,
    pub keys: BTreeMap<(u32, u32), Vec<u8>>,
}

impl SkippedKeys for Rows {
    fn chains(&self) -> Vec<SkippedChain> {
        self.chains.values().rev().map(|bytes| SkippedChain::from_bytes(bytes).unwrap()).collect()
    }

    fn message_key(&self, chain: u32, index: u32) -> Option<SkippedKey> {
        self.keys.get(&(chain, index)).map(|bytes| SkippedKey::from_bytes(bytes).unwrap())
    }

    fn stored(&self) -> Vec<(u32, u32)> {
        self.keys.keys().copied().collect()
    }
}

impl Rows {
    pub fn apply(&mut self, changes: &SkippedChanges) {
        for chain in &changes.put_chains {
            assert!(!changes.delete_chains.contains(&chain.number));
            self.chains.insert(chain.number, chain.to_bytes().to_vec());
        }
        for key in &changes.put_keys {
            assert!(!changes.delete_keys.contains(&(key.chain, key.index)));
            let old = self.keys.insert((key.chain, key.index), key.to_bytes().to_vec());
            assert!(old.is_none(), "a skipped key is stored once");
        }
        for key in &changes.delete_keys {
            assert!(self.keys.remove(key).is_some(), "only stored keys are deleted");
        }
        for chain in &changes.delete_chains {
            assert!(self.chains.remove(chain).is_some(), "only stored chains are deleted");
        }
        self.check_limits();
    }

    fn check_limits(&self) {
        assert!(self.chains.len() <= SKIPPED_CHAINS);
        assert!(self.keys.len() <= SKIPPED_KEYS_PER_SESSION);
        let mut per_chain = BTreeMap::<u32, usize>::new();
        for (chain, _) in self.keys.keys() {
            *per_chain.entry(*chain).or_default() += 1;
        }
        assert!(per_chain.values().all(|count| *count <= SKIPPED_KEYS_PER_CHAIN));
    }
}

/// One end of a session: steps are committed at once, errors are checked to change nothing.
pub struct Peer {
    pub session: Session,
    pub pending: Option<PendingHandshake>,
    pub rows: Rows,
    pub now: Timestamp,
    pub rng: ChaCha20Rng,
}

impl Peer {
    pub fn new(session: Session, pending: Option<PendingHandshake>, seed: u64) -> Self {
        Self { session, pending, rows: Rows::default(), now: NOW, rng: rng(seed) }
    }

    pub fn send(&mut self, text: &[u8]) -> Vec<u8> {
        let (next, envelope) = self.session.seal(self.pending.as_ref(), text, &mut self.rng).unwrap();
        self.session = next;
        envelope
    }

    pub fn receive(&mut self, envelope: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.open(Envelope::decode(envelope).unwrap().message().unwrap())
    }

    pub fn open(&mut self, message: &RatchetMessage) -> Result<Vec<u8>, OpenError> {
        let before = self.session.to_bytes();
        assert_eq!(Session::from_bytes(&before).unwrap().to_bytes(), before);
        assert!(before.len() <= 1_561);
        let result = self.session.open(message, &self.rows, self.now, &mut self.rng);
        assert_eq!(self.session.to_bytes(), before, "opening leaves the old session as it is");
        let (next, opened) = result?;
        self.session = next;
        self.rows.apply(&opened.skipped);
        self.pending = None;
        Ok(opened.plaintext.to_vec())
    }
}

/// An initiator that has sent nothing and a responder that has opened nothing.
pub fn fresh_peers(seed: u64) -> (Peer, Peer) {
    let (mut alice, mut bob) = (Account::new(seed), Account::new(seed + 1));
    let initiated = alice.initiate(&mut bob, Stock::Full);
    let alice = Peer::new(initiated.session, Some(initiated.pending), seed + 2);
    let (_, envelope) = alice.session.seal(alice.pending.as_ref(), b"", &mut rng(0)).unwrap();
    let responded = bob.respond(&first(&envelope).0).unwrap();
    (alice, Peer::new(responded.session, None, seed + 3))
}

/// Both have opened something, and the first ML-KEM step is behind them: no message carries a part of it.
pub fn settled_peers(seed: u64) -> (Peer, Peer) {
    let (mut alice, mut bob) = fresh_peers(seed);
    for _ in 0..2 {
        let envelope = alice.send(b"hello");
        assert_eq!(bob.receive(&envelope).unwrap(), b"hello");
        let envelope = bob.send(b"hello yourself");
        assert_eq!(alice.receive(&envelope).unwrap(), b"hello yourself");
    }
    (alice, bob)
}
