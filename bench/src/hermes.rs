//! Hermes as the daemon runs it: randomness from the system for each draw, each step a new session that replaces the
//! old one, records as they are committed.

use hermes_protocol::{
    Bundle, Envelope, IdentityKeyPair, PendingHandshake, PrekeySecret, Session,
    handshake::{InitiatorParams, initiate},
};
use hermes_wire::prekey::SealedBundle;
use rand::{rand_core::UnwrapErr, rngs::SysRng};

use crate::side::End;

#[path = "../../protocol/tests/support/mod.rs"]
#[expect(missing_docs, reason = "it belongs to the tests of the protocol")]
mod support;

pub use support::{Account, Rows};
use support::{NOW, Stock, first};

/// The random source of the daemon.
fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// One end of a session, with the rows of its skipped keys.
pub struct HermesEnd {
    session: Session,
    pending: Option<PendingHandshake>,
    rows: Rows,
}

impl End for HermesEnd {
    type Wire = Vec<u8>;

    /// The first ML-KEM step is behind them.
    fn settled() -> (Self, Self) {
        let (mut alice, mut bob) = fresh();
        for _ in 0..2 {
            let wire = alice.seal(b"hello");
            bob.open(&wire);
            let wire = bob.seal(b"hello yourself");
            alice.open(&wire);
        }
        (alice, bob)
    }

    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let (next, envelope) = self.session.seal(self.pending.as_ref(), text, &mut rng()).expect("sealed");
        self.session = next;
        envelope
    }

    fn open(&mut self, envelope: &Vec<u8>) -> Vec<u8> {
        let envelope = Envelope::decode(envelope).expect("an envelope");
        let message = envelope.message().expect("a ratchet message");
        let (next, mut opened) = self.session.open(message, &self.rows, NOW, &mut rng()).expect("opened");
        self.session = next;
        self.pending = None;
        self.rows.apply(&opened.skipped);
        std::mem::take(&mut *opened.plaintext)
    }

    fn record(&self) -> Vec<u8> {
        std::mem::take(&mut *self.session.to_bytes())
    }

    fn length(wire: &Vec<u8>) -> usize {
        wire.len()
    }
}

impl HermesEnd {
    /// Bytes of the record, and of the rows of passed chains and skipped keys.
    pub fn state_bytes(&self) -> usize {
        let chains: usize = self.rows.chains.values().map(Vec::len).sum();
        let keys: usize = self.rows.keys.values().map(Vec::len).sum();
        self.session.to_bytes().len() + chains + keys
    }

    /// Bytes of the record while no part of an ML-KEM step is under way.
    pub fn quiet_record() -> usize {
        Self::settled().0.record().len()
    }
}

/// An initiator that has sent nothing, and a responder that has opened its first message.
pub fn fresh() -> (HermesEnd, HermesEnd) {
    let (initiator, responder) = (Initiator::new(), Responder::new());
    let (alice, first) = initiator.initiate(&responder.published(), b"hello");
    let (bob, _) = responder.respond(&first);
    (alice, bob)
}

/// Who starts sessions.
pub struct Initiator(Account);

/// Who has a prekey bundle out.
pub struct Responder {
    account: Account,
    sealed: SealedBundle,
}

/// A bundle as fetched, and for whom it is.
pub struct Published<'a> {
    responder: &'a Responder,
    bundle: Bundle,
}

impl Initiator {
    /// A fresh account.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        Self(Account::new(1))
    }

    /// A session and its first message.
    pub fn initiate(&self, peer: &Published<'_>, text: &[u8]) -> (HermesEnd, Vec<u8>) {
        let params = InitiatorParams {
            identity: &self.0.keys,
            mailbox: self.0.mailbox,
            peer_mailbox: peer.responder.account.mailbox,
            counter: 1,
            unopened: &[],
        };
        let initiated = initiate(params, &peer.bundle, &mut rng()).expect("a session");
        let mut end =
            HermesEnd { session: initiated.session, pending: Some(initiated.pending), rows: Rows::default() };
        let envelope = end.seal(text);
        (end, envelope)
    }
}

impl Responder {
    /// A fresh account with a prekey of each kind.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        let mut account = Account::new(2);
        let sealed = account.sealed_bundle(Stock::Full);
        Self { account, sealed }
    }

    /// Opens the bundle and checks all that it has: five signatures, four public keys.
    pub fn published(&self) -> Published<'_> {
        let account = &self.account;
        let bundle = Bundle::open(&self.sealed, &account.bundle_key, &account.fingerprint(), NOW);
        Published { responder: self, bundle: bundle.expect("a bundle") }
    }

    /// Bytes of the bundle as it is fetched.
    pub fn bundle_bytes(&self) -> usize {
        hermes_wire::codec::encode(&self.sealed).len()
    }

    /// The same account, its prekeys as they come out of the store: what can be computed from them is still to be.
    pub fn again(&self) -> Self {
        let account = &self.account;
        let prekey = |key: &PrekeySecret| PrekeySecret::from_bytes(&key.to_bytes()).expect("a prekey");
        let account = Account {
            keys: IdentityKeyPair::from_bytes(&account.keys.to_bytes()),
            mailbox: account.mailbox,
            bundle_key: account.bundle_key.clone(),
            signed: prekey(&account.signed),
            one_time: prekey(&account.one_time),
            kem: prekey(&account.kem),
            last_resort: prekey(&account.last_resort),
            ff: prekey(&account.ff),
            rng: account.rng.clone(),
        };
        Self { account, sealed: self.sealed.clone() }
    }

    /// The session and the text of its first message.
    pub fn respond(&self, envelope: &[u8]) -> (HermesEnd, Vec<u8>) {
        let (handshake, message) = first(envelope);
        let responded = self.account.respond(&handshake).expect("a session");
        let (session, mut opened) =
            responded.session.open(&message, &Rows::default(), NOW, &mut rng()).expect("opened");
        let text = std::mem::take(&mut *opened.plaintext);
        (HermesEnd { session, pending: None, rows: Rows::default() }, text)
    }
}
