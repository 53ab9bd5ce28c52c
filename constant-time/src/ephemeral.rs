//! Ephemeral messages, with the secrets of both sessions marked.

use std::hint::black_box;

use hermes_protocol::{Envelope, EphemeralMessage, OpenEphemeralError};

use crate::{
    ratchet::{Marked, secret_session},
    support::{Peer, rng, settled_peers},
    taint::public,
};

fn message(envelope: &[u8]) -> EphemeralMessage {
    match Envelope::decode(envelope) {
        Ok(Envelope::Ephemeral(message)) => message,
        other => panic!("no ephemeral envelope: {other:?}"),
    }
}

fn open_with(peer: &Peer, message: &EphemeralMessage) -> Result<(), OpenEphemeralError> {
    let text = secret_session(&peer.session, Marked::All).open_ephemeral(message)?;
    // Where the text lies and how long it is: an authentic message's length is known to whoever reads it.
    public(&text);
    Ok(())
}

pub fn seal() {
    let (alice, _) = settled_peers(1);
    let session = secret_session(&alice.session, Marked::All);
    // Only the nonce is drawn, and it travels in the clear.
    black_box(session.seal_ephemeral(b"typing", &mut rng(9)).expect("sealed"));
}

pub fn open() {
    let (alice, bob) = settled_peers(1);
    let envelope = alice.session.seal_ephemeral(b"typing", &mut rng(9)).expect("sealed");
    assert_eq!(open_with(&bob, &message(&envelope)), Ok(()));
}

/// Bob has begun another chain since: the key of the newest one does not fit, that of the one before does.
pub fn open_late() {
    let (mut alice, mut bob) = settled_peers(1);
    let envelope = alice.session.seal_ephemeral(b"typing", &mut rng(9)).expect("sealed");
    let turn = alice.send(b"a turn");
    bob.receive(&turn).expect("opened");
    assert_eq!(open_with(&bob, &message(&envelope)), Ok(()));
}

/// The MAC is the envelope's end: neither key fits.
pub fn open_forged() {
    let (alice, bob) = settled_peers(1);
    let mut envelope = alice.session.seal_ephemeral(b"typing", &mut rng(9)).expect("sealed");
    *envelope.last_mut().expect("not empty") ^= 1;
    assert_eq!(open_with(&bob, &message(&envelope)), Err(OpenEphemeralError::NoKey));
}
