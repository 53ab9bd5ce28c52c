//! A session that gave way to another opens what was on its way, and nothing that came later.

use crate::support::*;
use hermes_protocol::*;

/// Bob's session, given way, with Bob's rows.
fn retired(bob: &Peer) -> RetiredSession {
    let retired = bob.session.retire().expect("it has opened a message");
    RetiredSession::from_bytes(&retired.to_bytes()).unwrap()
}

fn open(session: &RetiredSession, bob: &mut Peer, envelope: &[u8]) -> Result<Vec<u8>, OpenError> {
    let envelope = Envelope::decode(envelope).unwrap();
    let before = session.to_bytes();
    let (next, opened) = session.open(envelope.message().unwrap(), &bob.rows, bob.now)?;
    assert_eq!(session.to_bytes(), before, "opening leaves the old state as it is");
    assert_eq!(next.id(), session.id());
    bob.rows.apply(&opened.skipped);
    Ok(opened.plaintext.to_vec())
}

#[test]
fn what_was_on_its_way_opens_once() {
    let (mut alice, mut bob) = settled_peers(1);
    let skipped = alice.send(b"skipped before");
    bob.receive(&alice.send(b"current")).unwrap();
    let (overtaken, last) = (alice.send(b"overtaken"), alice.send(b"last"));
    let session = retired(&bob);
    assert_eq!(open(&session, &mut bob, &skipped).unwrap(), b"skipped before");
    let (session, opened) =
        session.open(Envelope::decode(&last).unwrap().message().unwrap(), &bob.rows, bob.now).unwrap();
    bob.rows.apply(&opened.skipped);
    assert_eq!(*opened.plaintext, b"last");
    assert_eq!(open(&session, &mut bob, &overtaken).unwrap(), b"overtaken");
    for envelope in [&skipped, &last, &overtaken] {
        assert_eq!(open(&session, &mut bob, envelope), Err(OpenError::Duplicate));
    }
}

#[test]
fn it_does_not_turn() {
    let (mut alice, mut bob) = settled_peers(1);
    bob.receive(&alice.send(b"current")).unwrap();
    let session = retired(&bob);
    alice.receive(&bob.send(b"a reply from before")).unwrap();
    let turned = alice.send(b"of the next chain");
    assert_eq!(open(&session, &mut bob, &turned), Err(OpenError::NotForThisSession));
}

#[test]
fn its_record_holds_no_secret_that_a_turn_would_need() {
    let (_, bob) = settled_peers(1);
    let whole = bob.session.to_bytes();
    let left = retired(&bob).to_bytes();
    // Root, own ratchet secret, and the next header keys: see the record's layout.
    let (root, rest) = whole[1 + 16 + 32..].split_at(32);
    let (ratchet, rest) = rest.split_at(32);
    let (next_headers, rest) = rest[32..].split_at(64);
    // Of the chains, the ephemeral keys: behind the previous one's length and the sending one's number.
    let (previous, sending) = (&rest[5..37], &rest[37 + 69..37 + 101]);
    let receiving = &rest[37 + 101 + 77..37 + 101 + 109];
    for secret in [root, ratchet, &next_headers[..32], &next_headers[32..], previous, sending, receiving] {
        assert!(!left.windows(32).any(|window| window == secret));
    }
    assert_eq!(left.len(), 1 + 124);
    assert_eq!(left.capacity(), left.len(), "a buffer that grows leaves a copy of its keys behind");
}

#[test]
fn a_changed_message_opens_nowhere() {
    let (mut alice, mut bob) = settled_peers(1);
    bob.receive(&alice.send(b"current")).unwrap();
    let session = retired(&bob);
    let mut envelope = alice.send(b"x");
    *envelope.last_mut().unwrap() ^= 1;
    assert_eq!(open(&session, &mut bob, &envelope), Err(OpenError::Forged));
}

#[test]
fn a_session_that_opened_nothing_leaves_nothing() {
    let (alice, bob) = fresh_peers(1);
    assert!(alice.session.retire().is_none() && bob.session.retire().is_none());
}
