//! The ratchet, with the secrets of a session's record marked.

use std::hint::black_box;

use hermes_protocol::{Envelope, OpenError, RatchetMessage, Session, SkippedChain, SkippedKey, SkippedKeys};

use crate::{
    support::{NOW, Peer, fresh_peers, rng, settled_peers},
    taint::{SecretRng, public, secret},
};

/// Which of a session's keys are secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// All.
    All,
    /// All but the header keys. What a header says, once it has opened, decides what is done next: a recipient that
    /// looks up a key by its number cannot hide the number from itself.
    BehindHeaders,
}

/// The same session, its keys secret.
pub fn secret_session(session: &Session, marked: Marked) -> Session {
    let mut record = session.to_bytes();
    for (start, length, header) in fields(&record) {
        if marked == Marked::All || !header {
            secret(&mut record[start..start + length]);
        }
    }
    Session::from_bytes(&record).expect("the layout is untouched")
}

/// Where the secrets stand in a record, and which are header keys: the layout of `Session::to_bytes`.
fn fields(record: &[u8]) -> Vec<(usize, usize, bool)> {
    let mut fields = Vec::new();
    let mut at = 1 + 16 + 32;
    // Public bytes in front, then a secret of so many bytes.
    let mut field = |at: &mut usize, public: usize, bytes: usize, header: bool| {
        fields.push((*at + public, bytes, header));
        *at += public + bytes;
    };
    // Root key and ratchet secret, then behind the public ratchet key the next header keys.
    field(&mut at, 0, 64, false);
    field(&mut at, 32, 64, true);
    // The previous chain: its length and ephemeral key.
    at += 1;
    if record[at - 1] == 1 {
        field(&mut at, 4, 32, false);
    }
    // The sending chain: chain key, header key, number, ephemeral key.
    at += 1;
    if record[at - 1] == 1 {
        field(&mut at, 0, 32, false);
        field(&mut at, 0, 32, true);
        field(&mut at, 4, 32, false);
    }
    // The receiving chain: number, chain key, header key, two numbers, ephemeral key.
    at += 1;
    if record[at - 1] == 1 {
        field(&mut at, 4, 32, false);
        field(&mut at, 0, 32, true);
        field(&mut at, 8, 32, false);
    }
    // The ML-KEM step: numbers, role, and the seed of a key on offer.
    at += 4 + 8 + 4 + 1;
    if record[at - 1] == 1 {
        field(&mut at, 0, 64, false);
    }
    fields
}

/// Skipped keys whose secrets are marked.
pub struct SecretRows<'a>(pub &'a Peer, pub Marked);

impl SkippedKeys for SecretRows<'_> {
    fn chains(&self) -> Vec<SkippedChain> {
        let chain = |bytes: &Vec<u8>| {
            let mut bytes = bytes.clone();
            if self.1 == Marked::All {
                // Behind version, number and time.
                secret(&mut bytes[13..45]);
            }
            SkippedChain::from_bytes(&bytes).expect("the layout is untouched")
        };
        self.0.rows.chains.values().rev().map(chain).collect()
    }

    fn message_key(&self, chain: u32, index: u32) -> Option<SkippedKey> {
        let mut bytes = self.0.rows.keys.get(&(chain, index))?.clone();
        // Behind version, chain, index and time.
        secret(&mut bytes[17..49]);
        Some(SkippedKey::from_bytes(&bytes).expect("the layout is untouched"))
    }

    fn stored(&self) -> Vec<(u32, u32)> {
        self.0.rows.stored()
    }
}

pub fn message(envelope: &[u8]) -> RatchetMessage {
    Envelope::decode(envelope).expect("an envelope").message().expect("of the ratchet").clone()
}

fn seal_with(peer: &Peer) {
    let session = secret_session(&peer.session, Marked::All);
    // Only nonces are drawn, and they travel in the clear.
    black_box(session.seal(None, b"a text", &mut rng(9)).expect("sealed"));
}

fn open_with(peer: &Peer, message: &RatchetMessage, marked: Marked) -> Result<(), OpenError> {
    let session = secret_session(&peer.session, marked);
    let rows = SecretRows(peer, marked);
    let (_, opened) = session.open(message, &rows, NOW, &mut SecretRng::new(5))?;
    // Where the text lies and how long it is: an authentic message's length is known to whoever reads it.
    public(&opened.plaintext);
    Ok(())
}

pub fn seal() {
    seal_with(&settled_peers(1).0);
}

pub fn seal_offer() {
    seal_with(&offering().1);
}

pub fn seal_answer() {
    let (mut alice, mut bob) = offering();
    let offer = bob.send(b"an offer");
    alice.receive(&offer).expect("opened");
    seal_with(&alice);
}

/// Bob has opened his first message, and his chain offers a key.
fn offering() -> (Peer, Peer) {
    let (mut alice, mut bob) = fresh_peers(1);
    let envelope = alice.send(b"hello");
    bob.receive(&envelope).expect("opened");
    (alice, bob)
}

/// Every header key of the session is tried, and none fits.
pub fn header_trials() {
    let (mut alice, mut bob) = settled_peers(1);
    for _ in 0..3 {
        let envelope = alice.send(b"there");
        bob.receive(&envelope).expect("opened");
        let envelope = bob.send(b"and back");
        alice.receive(&envelope).expect("opened");
    }
    assert!(bob.rows.chains.len() > 2);
    let foreign = settled_peers(7).0.send(b"for another session");
    assert_eq!(open_with(&bob, &message(&foreign), Marked::All), Err(OpenError::NotForThisSession));
}

pub fn open_next() {
    let (mut alice, mut bob) = settled_peers(1);
    let turn = alice.send(b"a turn");
    bob.receive(&turn).expect("opened");
    let next = message(&alice.send(b"the next"));
    assert_eq!(open_with(&bob, &next, Marked::BehindHeaders), Ok(()));
}

pub fn open_ahead() {
    let (mut alice, (bob, _)) = skipped();
    alice.send(b"lost");
    let ahead = message(&alice.send(b"found"));
    assert_eq!(open_with(&bob, &ahead, Marked::BehindHeaders), Ok(()));
}

pub fn open_skipped() {
    let (_, (bob, late)) = skipped();
    assert_eq!(open_with(&bob, &late, Marked::BehindHeaders), Ok(()));
}

/// Bob, and a message that he has skipped.
pub fn skipped() -> (Peer, (Peer, RatchetMessage)) {
    let (mut alice, mut bob) = settled_peers(1);
    let turn = alice.send(b"a turn");
    bob.receive(&turn).expect("opened");
    let late = message(&alice.send(b"late"));
    let ahead = alice.send(b"ahead");
    bob.receive(&ahead).expect("opened");
    assert_eq!(bob.rows.keys.len(), 1);
    (alice, (bob, late))
}

pub fn open_turn() {
    let (mut alice, bob) = settled_peers(1);
    let turn = message(&alice.send(b"a turn"));
    assert_eq!(open_with(&bob, &turn, Marked::BehindHeaders), Ok(()));
}

pub fn open_offer() {
    let (alice, mut bob) = offering();
    let offer = message(&bob.send(b"an offer"));
    assert_eq!(open_with(&alice, &offer, Marked::BehindHeaders), Ok(()));
}

pub fn open_answer() {
    let (mut alice, mut bob) = offering();
    let offer = bob.send(b"an offer");
    alice.receive(&offer).expect("opened");
    let answer = message(&alice.send(b"an answer"));
    assert_eq!(open_with(&bob, &answer, Marked::BehindHeaders), Ok(()));
}

/// The MAC is the envelope's end.
pub fn open_forged() {
    let (mut alice, bob) = settled_peers(1);
    let mut envelope = alice.send(b"a turn");
    *envelope.last_mut().expect("not empty") ^= 1;
    assert_eq!(open_with(&bob, &message(&envelope), Marked::BehindHeaders), Err(OpenError::Forged));
}
