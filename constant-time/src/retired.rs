//! A session that has given way to another, with the secrets of its record marked.

use hermes_protocol::{OpenError, RatchetMessage, RetiredSession};

use crate::{
    ratchet::{Marked, SecretRows, message, skipped},
    support::{NOW, Peer, settled_peers},
    taint::{public, secret},
};

/// The peer's session, given way, its keys secret.
fn secret_retired(peer: &Peer, marked: Marked) -> RetiredSession {
    let mut record = peer.session.retire().expect("it has opened a message").to_bytes();
    // Behind version, id, binding and the chain's number stand the chain key and the header key.
    let chain = 1 + 16 + 32 + 4;
    let end = if marked == Marked::All { chain + 64 } else { chain + 32 };
    secret(&mut record[chain..end]);
    RetiredSession::from_bytes(&record).expect("the layout is untouched")
}

fn open_with(peer: &Peer, message: &RatchetMessage, marked: Marked) -> Result<(), OpenError> {
    let (_, opened) = secret_retired(peer, marked).open(message, &SecretRows(peer, marked), NOW)?;
    // Where the text lies and how long it is: an authentic message's length is known to whoever reads it.
    public(&opened.plaintext);
    Ok(())
}

pub fn open_next() {
    let (mut alice, mut bob) = settled_peers(1);
    let turn = alice.send(b"a turn");
    bob.receive(&turn).expect("opened");
    let next = message(&alice.send(b"on its way"));
    assert_eq!(open_with(&bob, &next, Marked::BehindHeaders), Ok(()));
}

pub fn open_skipped() {
    let (_, (bob, late)) = skipped();
    assert_eq!(open_with(&bob, &late, Marked::BehindHeaders), Ok(()));
}

/// Of the session that has taken its place: every header key is tried, and none fits.
pub fn header_trials() {
    let (_, (bob, _)) = skipped();
    let foreign = settled_peers(7).0.send(b"for another session");
    assert_eq!(open_with(&bob, &message(&foreign), Marked::All), Err(OpenError::NotForThisSession));
}

/// The MAC is the envelope's end.
pub fn open_forged() {
    let (mut alice, (bob, _)) = skipped();
    let mut envelope = alice.send(b"on its way");
    *envelope.last_mut().expect("not empty") ^= 1;
    assert_eq!(open_with(&bob, &message(&envelope), Marked::BehindHeaders), Err(OpenError::Forged));
}
