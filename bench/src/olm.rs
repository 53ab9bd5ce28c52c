//! Olm as vodozemac does it, version 1: AES-256-CBC, HMAC-SHA256 cut to 8 bytes, no header encryption, no post-quantum
//! part.

use vodozemac::{
    Curve25519PublicKey,
    olm::{Account, OlmMessage, PreKeyMessage, Session, SessionConfig},
};

use crate::side::End;

/// One end of an Olm session.
pub struct OlmEnd(Session);

impl End for OlmEnd {
    type Wire = (usize, Vec<u8>);

    fn settled() -> (Self, Self) {
        let (initiator, mut responder) = (Initiator::new(), Responder::new());
        let (mut alice, first) = initiator.initiate(&responder.published(), b"hello");
        let (mut bob, _) = responder.respond(&initiator, &first);
        let reply = bob.seal(b"hello yourself");
        alice.open(&reply);
        (alice, bob)
    }

    fn seal(&mut self, text: &[u8]) -> Self::Wire {
        self.0.encrypt(text).expect("encrypted").to_parts()
    }

    fn open(&mut self, (kind, bytes): &Self::Wire) -> Vec<u8> {
        let message = OlmMessage::from_parts(*kind, bytes).expect("a message");
        self.0.decrypt(&message).expect("decrypted")
    }

    /// The pickle as JSON: vodozemac's own pickles are this, encrypted.
    fn record(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0.pickle()).expect("a pickle is JSON")
    }

    fn length((_, bytes): &Self::Wire) -> usize {
        bytes.len()
    }
}

/// Who starts sessions.
pub struct Initiator(Account);

/// Who has one-time keys out.
pub struct Responder {
    account: Account,
    /// The account before any one-time key was used up, as JSON.
    pickle: Vec<u8>,
    published: Published,
}

/// What an initiator fetches: a one-time key, signed as Matrix clients sign it.
#[derive(Clone, Copy)]
pub struct Published {
    identity: Curve25519PublicKey,
    one_time: Curve25519PublicKey,
    signer: vodozemac::Ed25519PublicKey,
    signature: vodozemac::Ed25519Signature,
}

impl Published {
    /// Checks the signature.
    pub fn verify(&self) {
        self.signer.verify(self.one_time.as_bytes(), &self.signature).expect("signed");
    }
}

impl Initiator {
    /// A fresh account.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        Self(Account::new())
    }

    /// A session and its first message.
    pub fn initiate(&self, peer: &Published, text: &[u8]) -> (OlmEnd, (usize, Vec<u8>)) {
        let session = self
            .0
            .create_outbound_session(SessionConfig::version_1(), peer.identity, peer.one_time)
            .expect("a session");
        let mut end = OlmEnd(session);
        let first = end.seal(text);
        (end, first)
    }
}

impl Responder {
    /// A fresh account with one one-time key.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        let mut account = Account::new();
        account.generate_one_time_keys(1);
        let one_time = *account.one_time_keys().values().next().expect("one key");
        let published = Published {
            identity: account.curve25519_key(),
            one_time,
            signer: account.ed25519_key(),
            signature: account.sign(one_time.as_bytes()),
        };
        let pickle = serde_json::to_vec(&account.pickle()).expect("a pickle is JSON");
        Self { account, pickle, published }
    }

    /// The same account with its one-time key still there.
    pub fn again(&self) -> Self {
        let account = Account::from_pickle(serde_json::from_slice(&self.pickle).expect("a pickle"));
        Self { account, pickle: Vec::new(), published: self.published }
    }

    /// What initiators fetch.
    pub fn published(&self) -> Published {
        self.published
    }

    /// The session and the text of its first message; uses the one-time key up.
    pub fn respond(&mut self, from: &Initiator, (_, first): &(usize, Vec<u8>)) -> (OlmEnd, Vec<u8>) {
        let message = PreKeyMessage::from_bytes(first).expect("a first message");
        let created = self
            .account
            .create_inbound_session(SessionConfig::version_1(), from.0.curve25519_key(), &message)
            .expect("a session");
        (OlmEnd(created.session), created.plaintext)
    }
}
