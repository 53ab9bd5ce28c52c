//! Conversations over a bad network, and messages that must not open.

use std::collections::BTreeSet;

use crate::support::*;
use hermes_protocol::{
    limits::{
        CHAIN_JUMP, SKIPPED_CHAINS, SKIPPED_KEYS_PER_CHAIN, SKIPPED_KEYS_PER_SESSION, SKIPPED_LIFETIME,
    },
    *,
};
use hermes_wire::limits::ENVELOPE_BYTES;
use proptest::prelude::*;

#[test]
fn a_long_conversation() {
    let (mut alice, mut bob) = settled_peers(1);
    for turn in 0..20u32 {
        let (from, to) = if turn % 2 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        for number in 0..turn {
            let text = format!("turn {turn}, message {number}");
            let envelope = from.send(text.as_bytes());
            assert_eq!(to.receive(&envelope).unwrap(), text.as_bytes());
        }
        assert!(to.rows.keys.is_empty());
    }
}

#[test]
fn envelopes_meet_their_buckets_exactly() {
    let (mut alice, mut bob) = settled_peers(1);
    // Two bytes of envelope, 129 of message, two of length: see the layouts.
    let overhead = 133;
    for (length, bucket) in [
        (0, 256),
        (256 - overhead, 256),
        (256 - overhead + 1, 1024),
        (1024 - overhead, 1024),
        (1024 - overhead + 1, 4096),
        (4096 - overhead + 1, 16 * 1024),
        (16 * 1024 - overhead, 16 * 1024),
        (16 * 1024 - overhead + 1, 17 * 1024),
        (ENVELOPE_BYTES - overhead, ENVELOPE_BYTES),
    ] {
        let envelope = alice.send(&vec![7; length]);
        assert_eq!(envelope.len(), bucket, "{length}");
        assert_eq!(bob.receive(&envelope).unwrap().len(), length);
    }
    let too_long = vec![7; ENVELOPE_BYTES - overhead + 1];
    let result = alice.session.seal(None, &too_long, &mut rng(1));
    assert!(matches!(result, Err(SealError::TooLong { length }) if length > ENVELOPE_BYTES));
    let huge = vec![7; 1 << 20];
    assert!(matches!(alice.session.seal(None, &huge, &mut rng(1)), Err(SealError::TooLong { .. })));
}

#[test]
fn first_envelopes_meet_their_buckets_too() {
    let (mut alice, mut bob) = fresh_peers(1);
    for length in [0, 1_000, 3_000, 14_000, 16_384] {
        let envelope = alice.send(&vec![7; length]);
        assert!([4096, 16 * 1024, 18 * 1024, 19 * 1024].contains(&envelope.len()), "{}", envelope.len());
        assert_eq!(bob.receive(&envelope).unwrap().len(), length);
    }
}

#[test]
fn no_changed_envelope_opens_and_none_changes_the_session() {
    let (mut alice, mut bob) = settled_peers(1);
    let turn = alice.send(b"the first of a chain");
    let mut opened = Peer::new(Session::from_bytes(&bob.session.to_bytes()).unwrap(), None, 5);
    opened.rows = bob.rows.clone();
    opened.receive(&turn).unwrap();
    let follow = alice.send(b"the second");
    for (peer, envelope) in [(&mut bob, &turn), (&mut opened, &follow)] {
        for position in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[position] ^= 1 << (position % 8);
            if let Ok(Envelope::Ordinary(message)) = Envelope::decode(&changed) {
                assert!(peer.open(&message).is_err(), "byte {position}");
            }
        }
        for length in 0..envelope.len() {
            if let Ok(Envelope::Ordinary(message)) = Envelope::decode(&envelope[..length]) {
                assert!(peer.open(&message).is_err(), "length {length}");
            }
        }
        assert!(peer.receive(envelope).is_ok(), "the genuine one still opens");
    }
}

#[test]
fn a_changed_body_under_a_genuine_header_is_named_forged() {
    let (mut alice, mut bob) = settled_peers(1);
    let mut envelope = alice.send(b"x");
    *envelope.last_mut().unwrap() ^= 1;
    assert_eq!(bob.receive(&envelope), Err(OpenError::Forged));
}

#[test]
fn a_strangers_message_belongs_to_no_session() {
    let (mut alice, _) = settled_peers(1);
    let (_, mut other) = settled_peers(20);
    let envelope = alice.send(b"x");
    assert_eq!(other.receive(&envelope), Err(OpenError::NotForThisSession));
}

#[test]
fn an_own_message_sent_back_does_not_open() {
    let (mut alice, _) = settled_peers(1);
    let envelope = alice.send(b"x");
    assert_eq!(alice.receive(&envelope), Err(OpenError::NotForThisSession));
}

#[test]
fn equal_texts_give_unequal_envelopes() {
    let (mut alice, _) = settled_peers(1);
    let envelopes: BTreeSet<_> = (0..10).map(|_| alice.send(b"same")).collect();
    assert_eq!(envelopes.len(), 10);
}

#[test]
fn a_restored_sender_repeats_no_keystream() {
    let (alice, _) = settled_peers(1);
    let text = [0; 64];
    let (_, one) = alice.session.seal(None, &text, &mut rng(1)).unwrap();
    let (_, two) = alice.session.seal(None, &text, &mut rng(2)).unwrap();
    let body = 2 + 24 + 57;
    assert_ne!(one[body..body + 66], two[body..body + 66]);
}

#[test]
fn a_jump_beyond_the_limit_is_refused_and_one_within_keeps_the_newest_keys() {
    let (mut alice, mut bob) = settled_peers(1);
    let early = alice.send(b"early");
    let mut envelopes = Vec::new();
    for number in 1..=CHAIN_JUMP + 1 {
        let (next, envelope) = alice.session.seal(None, b"", &mut alice.rng).unwrap();
        alice.session = next;
        if number > CHAIN_JUMP - 1_002 {
            envelopes.push((number, envelope));
        }
    }
    let (last, too_far) = envelopes.pop().unwrap();
    assert_eq!(bob.receive(&too_far), Err(OpenError::TooFarAhead { jump: last }));
    let (_, far) = envelopes.pop().unwrap();
    assert!(bob.receive(&far).is_ok());
    assert_eq!(bob.rows.keys.len(), SKIPPED_KEYS_PER_CHAIN);
    assert_eq!(bob.receive(&early), Err(OpenError::TooOld));
    let (_, kept) = &envelopes[envelopes.len() - SKIPPED_KEYS_PER_CHAIN];
    let (_, given_up) = &envelopes[envelopes.len() - SKIPPED_KEYS_PER_CHAIN - 1];
    assert_eq!(bob.receive(given_up), Err(OpenError::TooOld));
    assert!(bob.receive(kept).is_ok());
    assert_eq!(bob.receive(kept), Err(OpenError::Duplicate));
    // The jump was measured from the chain's head.
    assert!(bob.receive(&too_far).is_ok());
}

#[test]
fn a_chain_keeps_its_newest_keys_over_several_jumps() {
    let (mut alice, mut bob) = settled_peers(1);
    let mut skipped = Vec::new();
    for _ in 0..2 {
        skipped.extend((0..600).map(|_| alice.send(b"")));
        let envelope = alice.send(b"");
        bob.receive(&envelope).unwrap();
    }
    assert_eq!(bob.rows.keys.len(), SKIPPED_KEYS_PER_CHAIN);
    assert_eq!(bob.receive(&skipped[199]), Err(OpenError::TooOld));
    assert!(bob.receive(&skipped[200]).is_ok());
}

#[test]
fn keys_of_a_forgotten_chain_do_not_count_against_the_session() {
    let (mut alice, mut bob) = settled_peers(1);
    let mut turn = |skipped: usize| {
        let lost: Vec<_> = (0..skipped).map(|_| alice.send(b"")).collect();
        let envelope = alice.send(b"");
        bob.receive(&envelope).unwrap();
        let envelope = bob.send(b"");
        alice.receive(&envelope).unwrap();
        (bob.rows.keys.len(), lost)
    };
    for (skipped, stored) in [(900, 900), (900, 1_800), (200, 2_000)] {
        assert_eq!(turn(skipped).0, stored);
    }
    // The first of these chains is passed, as is the one before it; seven more are remembered besides.
    for _ in 0..SKIPPED_CHAINS - 2 {
        assert_eq!(turn(0).0, SKIPPED_KEYS_PER_SESSION);
    }
    assert_eq!(turn(1).0, 1_101);
}

#[test]
fn a_session_keeps_its_newest_keys_over_all_chains() {
    let (mut alice, mut bob) = settled_peers(1);
    let mut oldest = Vec::new();
    for _ in 0..3 {
        let mut skipped: Vec<_> = (0..900).map(|_| alice.send(b"")).collect();
        oldest.push(skipped.swap_remove(0));
        let envelope = alice.send(b"");
        bob.receive(&envelope).unwrap();
        let envelope = bob.send(b"");
        alice.receive(&envelope).unwrap();
    }
    assert_eq!(bob.rows.keys.len(), SKIPPED_KEYS_PER_SESSION);
    assert_eq!(bob.receive(&oldest[0]), Err(OpenError::TooOld));
    assert!(bob.receive(&oldest[1]).is_ok());
    assert!(bob.receive(&oldest[2]).is_ok());
}

#[test]
fn skipped_keys_have_their_time() {
    let (mut alice, mut bob) = settled_peers(1);
    let (late, later) = (alice.send(b"late"), alice.send(b"later"));
    let envelope = alice.send(b"on time");
    bob.receive(&envelope).unwrap();
    bob.now = NOW.after(SKIPPED_LIFETIME);
    assert_eq!(bob.receive(&late).unwrap(), b"late");
    bob.now.0 += 1;
    assert_eq!(bob.receive(&later), Err(OpenError::TooOld));
}

#[test]
fn a_swept_key_of_a_passed_chain_is_too_old_and_no_duplicate() {
    let (mut alice, mut bob) = settled_peers(1);
    let late = alice.send(b"late");
    for _ in 0..2 {
        let envelope = alice.send(b"");
        bob.receive(&envelope).unwrap();
        let envelope = bob.send(b"");
        alice.receive(&envelope).unwrap();
    }
    bob.now = NOW.after(SKIPPED_LIFETIME);
    bob.now.0 += 1;
    bob.rows.keys.clear();
    assert_eq!(bob.receive(&late), Err(OpenError::TooOld));
}

#[test]
fn chains_are_remembered_up_to_their_limit() {
    let (mut alice, mut bob) = settled_peers(1);
    let (lost, seen) = (alice.send(b"lost"), alice.send(b"seen"));
    bob.receive(&seen).unwrap();
    for _ in 0..SKIPPED_CHAINS {
        let envelope = bob.send(b"");
        alice.receive(&envelope).unwrap();
        let envelope = alice.send(b"");
        bob.receive(&envelope).unwrap();
    }
    assert_eq!(bob.receive(&seen), Err(OpenError::Duplicate));
    assert_eq!(bob.rows.chains.len(), SKIPPED_CHAINS);
    assert_eq!(bob.rows.keys.len(), 1);
    let envelope = bob.send(b"");
    alice.receive(&envelope).unwrap();
    let envelope = alice.send(b"");
    bob.receive(&envelope).unwrap();
    assert_eq!(bob.receive(&lost), Err(OpenError::NotForThisSession));
    assert!(bob.rows.keys.is_empty(), "a forgotten chain leaves no keys");
}

#[test]
fn a_sender_that_went_back_to_an_old_state_is_named() {
    let (mut alice, mut bob) = settled_peers(1);
    let envelope = alice.send(b"x");
    bob.receive(&envelope).unwrap();
    let old = alice.session.to_bytes();
    let envelope = bob.send(b"x");
    alice.receive(&envelope).unwrap();
    let envelope = alice.send(b"x");
    bob.receive(&envelope).unwrap();
    alice.session = Session::from_bytes(&old).unwrap();
    let envelope = alice.send(b"again in the old chain");
    assert_eq!(bob.receive(&envelope), Err(OpenError::ChainEnded));
}

/// What happens next on a bad network. Numbers pick a side and a message in flight.
#[derive(Clone, Copy, Debug)]
enum Event {
    Send { by_alice: bool },
    Deliver { to_bob: bool, which: prop::sample::Index, again: bool },
    Lose { to_bob: bool, which: prop::sample::Index },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => any::<bool>().prop_map(|by_alice| Event::Send { by_alice }),
        6 => any::<(bool, prop::sample::Index, bool)>()
            .prop_map(|(to_bob, which, again)| Event::Deliver { to_bob, which, again }),
        1 => any::<(bool, prop::sample::Index)>().prop_map(|(to_bob, which)| Event::Lose { to_bob, which }),
    ]
}

/// One end with what the model knows of it: chains are counted from 0 on each side.
struct End {
    peer: Peer,
    sending: Option<usize>,
    receiving: Option<usize>,
    opened: BTreeSet<(usize, usize)>,
    /// To this end: chain, number within it, envelope.
    inbound: Vec<(usize, usize, Vec<u8>)>,
    sent_in_chain: usize,
}

impl End {
    fn new(peer: Peer, sending: Option<usize>) -> Self {
        Self {
            peer,
            sending,
            receiving: None,
            opened: BTreeSet::new(),
            inbound: Vec::new(),
            sent_in_chain: 0,
        }
    }

    fn send(&mut self, to: &mut Self) {
        let Some(chain) = self.sending else {
            let result = self.peer.session.seal(None, b"", &mut self.peer.rng);
            assert_eq!(result.err(), Some(SealError::NothingOpened));
            return;
        };
        let envelope = self.peer.send(format!("{chain} {}", self.sent_in_chain).as_bytes());
        to.inbound.push((chain, self.sent_in_chain, envelope));
        self.sent_in_chain += 1;
    }

    fn deliver(&mut self, which: prop::sample::Index, again: bool) {
        if self.inbound.is_empty() {
            return;
        }
        let at = which.index(self.inbound.len());
        let (chain, number, envelope) =
            if again { self.inbound[at].clone() } else { self.inbound.swap_remove(at) };
        let forgotten = self.receiving.is_some_and(|current| chain + SKIPPED_CHAINS < current);
        let result = self.peer.receive(&envelope);
        if forgotten {
            assert_eq!(result, Err(OpenError::NotForThisSession));
        } else if self.opened.contains(&(chain, number)) {
            assert_eq!(result, Err(OpenError::Duplicate));
        } else {
            assert_eq!(result.unwrap(), format!("{chain} {number}").as_bytes());
            self.opened.insert((chain, number));
            if self.receiving.is_none_or(|current| chain > current) {
                self.receiving = Some(chain);
                self.sending = Some(self.sending.map_or(0, |sending| sending + 1));
                self.sent_in_chain = 0;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_message_opens_once_whatever_the_network_does(
        seed in 0u64..1_000_000,
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let (alice, bob) = fresh_peers(seed);
        let mut alice = End::new(alice, Some(0));
        let mut bob = End::new(bob, None);
        for event in events {
            match event {
                Event::Send { by_alice: true } => alice.send(&mut bob),
                Event::Send { by_alice: false } => bob.send(&mut alice),
                Event::Deliver { to_bob, which, again } => {
                    if to_bob { &mut bob } else { &mut alice }.deliver(which, again);
                }
                Event::Lose { to_bob, which } => {
                    let inbound = if to_bob { &mut bob.inbound } else { &mut alice.inbound };
                    if !inbound.is_empty() {
                        inbound.swap_remove(which.index(inbound.len()));
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_arrives_as_it_was(text in any::<String>(), more in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let (mut alice, mut bob) = fresh_peers(1);
        for text in [text.as_bytes(), &more] {
            let envelope = alice.send(text);
            prop_assert_eq!(bob.receive(&envelope).unwrap(), text);
        }
    }
}
