//! Ephemeral messages: what they cost, who can open them, and for how long.

use crate::support::*;
use hermes_protocol::{limits::EPHEMERAL_BYTES, *};

fn message(envelope: &[u8]) -> EphemeralMessage {
    match Envelope::decode(envelope) {
        Ok(Envelope::Ephemeral(message)) => message,
        other => panic!("no ephemeral envelope: {other:?}"),
    }
}

fn hint(from: &mut Peer, text: &[u8]) -> Vec<u8> {
    let before = from.session.to_bytes();
    let envelope = from.session.seal_ephemeral(text, &mut from.rng).unwrap();
    assert_eq!(from.session.to_bytes(), before, "sealing changes nothing");
    envelope
}

fn hear(at: &Peer, envelope: &[u8]) -> Result<Vec<u8>, OpenEphemeralError> {
    let before = at.session.to_bytes();
    let opened = at.session.open_ephemeral(&message(envelope));
    assert_eq!(at.session.to_bytes(), before, "opening changes nothing");
    opened.map(|text| text.to_vec())
}

fn pass(from: &mut Peer, to: &mut Peer) {
    let envelope = from.send(b"turn");
    to.receive(&envelope).unwrap();
}

#[test]
fn both_sides_hint_before_and_after_each_turn() {
    let (mut alice, mut bob) = fresh_peers(1);
    pass(&mut alice, &mut bob);
    for _ in 0..6 {
        let envelope = hint(&mut bob, b"bob types");
        assert_eq!(hear(&alice, &envelope).unwrap(), b"bob types");
        pass(&mut bob, &mut alice);
        let envelope = hint(&mut alice, b"alice types");
        assert_eq!(hear(&bob, &envelope).unwrap(), b"alice types");
        let envelope = hint(&mut bob, b"bob types on");
        assert_eq!(hear(&alice, &envelope).unwrap(), b"bob types on");
        pass(&mut alice, &mut bob);
    }
}

#[test]
fn a_side_that_has_heard_nothing_cannot_hint() {
    let (mut alice, mut bob) = fresh_peers(1);
    for peer in [&mut alice, &mut bob] {
        let result = peer.session.seal_ephemeral(b"x", &mut peer.rng);
        assert_eq!(result, Err(SealEphemeralError::NothingOpened));
    }
    let (mut other, mut stranger) = settled_peers(20);
    let envelope = hint(&mut stranger, b"x");
    assert!(hear(&other, &envelope).is_ok());
    assert_eq!(hear(&bob, &envelope), Err(OpenEphemeralError::NoKey), "a responder has no key at first");
    pass(&mut alice, &mut bob);
    let envelope = hint(&mut other, b"x");
    assert_eq!(hear(&bob, &envelope), Err(OpenEphemeralError::NoKey));
}

#[test]
fn lost_ones_cost_no_skipped_keys_and_no_numbers() {
    let (mut alice, mut bob) = settled_peers(1);
    let (with, without) = (alice.session.to_bytes(), bob.session.to_bytes());
    for _ in 0..100 {
        hint(&mut alice, b"lost");
    }
    assert_eq!((alice.session.to_bytes(), bob.session.to_bytes()), (with, without));
    let rows = bob.rows.clone();
    let envelope = alice.send(b"the next message");
    bob.receive(&envelope).unwrap();
    assert_eq!(bob.rows.keys, rows.keys);
}

#[test]
fn a_copy_opens_again() {
    let (mut alice, bob) = settled_peers(1);
    let envelope = hint(&mut alice, b"x");
    for _ in 0..3 {
        assert_eq!(hear(&bob, &envelope).unwrap(), b"x");
    }
}

/// Alice seals against Bob's chain. Bob keeps its key until he has begun the second chain after it.
#[test]
fn a_late_one_opens_until_its_chain_is_passed() {
    let (mut alice, mut bob) = settled_peers(1);
    let late = hint(&mut alice, b"late");
    pass(&mut alice, &mut bob);
    assert!(hear(&bob, &late).is_ok(), "Bob's next chain has not been heard");
    pass(&mut bob, &mut alice);
    let newer = hint(&mut alice, b"newer");
    pass(&mut alice, &mut bob);
    assert_eq!(hear(&bob, &late), Err(OpenEphemeralError::NoKey));
    assert!(hear(&bob, &newer).is_ok());
}

#[test]
fn no_changed_one_opens() {
    let (mut alice, bob) = settled_peers(1);
    let envelope = hint(&mut alice, b"typing");
    for position in 0..envelope.len() {
        for bit in 0..8 {
            let mut changed = envelope.clone();
            changed[position] ^= 1 << bit;
            if let Ok(Envelope::Ephemeral(message)) = Envelope::decode(&changed) {
                assert_eq!(
                    bob.session.open_ephemeral(&message),
                    Err(OpenEphemeralError::NoKey),
                    "{position}"
                );
            } else {
                assert!(position < 2);
            }
        }
    }
    let other = hint(&mut alice, b"typing");
    for at in 2..envelope.len() {
        let spliced = [&envelope[..at], &other[at..]].concat();
        assert_eq!(hear(&bob, &spliced).is_ok(), spliced == envelope || spliced == other, "{at}");
    }
}

#[test]
fn they_have_one_length() {
    let (mut alice, bob) = settled_peers(1);
    for length in [0, 1, EPHEMERAL_BYTES] {
        let envelope = hint(&mut alice, &vec![7; length]);
        assert_eq!(envelope.len(), 256);
        assert_eq!(hear(&bob, &envelope).unwrap(), vec![7; length]);
        assert_eq!(Envelope::decode(&envelope[..255]), Err(EnvelopeError::Malformed));
        assert_eq!(Envelope::decode(&[&envelope[..], &[0]].concat()), Err(EnvelopeError::Malformed));
    }
    for length in [EPHEMERAL_BYTES + 1, 1 << 17] {
        let result = alice.session.seal_ephemeral(&vec![7; length], &mut alice.rng);
        assert_eq!(result, Err(SealEphemeralError::TooLong { length }));
    }
}

#[test]
fn neither_kind_opens_as_the_other() {
    let (mut alice, mut bob) = settled_peers(1);
    let mut ephemeral = hint(&mut alice, b"typing");
    let mut ordinary = alice.send(b"a message");
    assert_eq!((ephemeral[1], ordinary[1]), (3, 2));
    (ephemeral[1], ordinary[1]) = (2, 3);
    assert_eq!(bob.receive(&ephemeral), Err(OpenError::NotForThisSession));
    assert_eq!(hear(&bob, &ordinary), Err(OpenEphemeralError::NoKey));
}

#[test]
fn neither_its_own_nor_a_strangers_opens() {
    let (mut alice, bob) = settled_peers(1);
    let envelope = hint(&mut alice, b"x");
    assert!(hear(&bob, &envelope).is_ok());
    assert_eq!(hear(&alice, &envelope), Err(OpenEphemeralError::NoKey), "the wrong direction");
    let (other, stranger) = settled_peers(20);
    for peer in [&other, &stranger] {
        assert_eq!(hear(peer, &envelope), Err(OpenEphemeralError::NoKey));
    }
}

#[test]
fn equal_texts_give_unequal_envelopes() {
    let (mut alice, _) = settled_peers(1);
    let (one, two) = (hint(&mut alice, &[0; 180]), hint(&mut alice, &[0; 180]));
    assert!(one[2..].iter().zip(&two[2..]).filter(|(left, right)| left == right).count() < 20);
}
