//! Two sessions seen from inside: what the exchanges do under loss, reorder and theft.

use std::{collections::BTreeMap, convert::Infallible};

use proptest::{prelude::*, sample::Index};
use rand_chacha::ChaCha20Rng;
use rand_core::{TryCryptoRng, TryRng};

use super::*;
use crate::{
    curve::CurveSecret,
    envelope::Envelope,
    ratchet::{
        Binding, Session, SessionId, SessionSecrets, SkippedChain, SkippedChanges, SkippedKey, SkippedKeys,
        header::Follows,
    },
    testing::rng,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Rows in memory, as their records.
#[derive(Default, Clone)]
struct Rows {
    chains: BTreeMap<u32, Vec<u8>>,
    keys: BTreeMap<(u32, u32), Vec<u8>>,
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
    fn apply(&mut self, changes: &SkippedChanges) {
        self.chains.extend(changes.put_chains.iter().map(|chain| (chain.number, chain.to_bytes().to_vec())));
        self.keys
            .extend(changes.put_keys.iter().map(|key| ((key.chain, key.index), key.to_bytes().to_vec())));
        self.keys.retain(|key, _| !changes.delete_keys.contains(key));
        self.chains.retain(|chain, _| !changes.delete_chains.contains(chain));
    }
}

/// Randomness of one step in two streams: the ratchet key is drawn first, ML-KEM's randomness after it. Whoever has the
/// same `curve` stream knows all X25519 secrets.
struct Draws {
    curve: ChaCha20Rng,
    kem: ChaCha20Rng,
    first: bool,
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are drawn as bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let stream = if std::mem::take(&mut self.first) { &mut self.curve } else { &mut self.kem };
        stream.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Draws {}

/// One end. A thief is an end too: it opens what its victim opens.
struct End {
    session: Session,
    rows: Rows,
    now: Timestamp,
    /// Seeds of the two streams.
    curve: u64,
    kem: u64,
    openings: u64,
    /// Messages since the last exchange and its time, kept apart from the session.
    since: (u32, Timestamp),
}

fn pair() -> (End, End) {
    let signed = CurveSecret::from_bytes(&[9; 32]);
    let secrets = || SessionSecrets::new(&[1; 32], &[2; 32], &[3; 32]);
    let (id, binding) = (SessionId([4; 16]), Binding([5; 32]));
    let alice = Session::initiator(id, binding, secrets(), &signed.public(), &mut rng(6)).unwrap();
    (End::new(alice, 1), End::new(Session::responder(id, binding, secrets(), &signed), 2))
}

impl End {
    fn new(session: Session, seed: u64) -> Self {
        let since = (0, Timestamp(0));
        Self { session, rows: Rows::default(), now: NOW, curve: seed, kem: seed, openings: 0, since }
    }

    /// A copy of everything that this end has. From now on it draws its own ML-KEM randomness, and X25519 keys from
    /// `curve`.
    fn stolen(&self, curve: u64) -> Self {
        Self { session: self.session.copy(), rows: self.rows.clone(), curve, kem: 99, ..*self }
    }

    fn steps(&self) -> u32 {
        self.session.kem.progress.steps
    }

    fn offers(&self) -> bool {
        matches!(self.session.kem.role, Role::Offering(_))
    }

    fn answers(&self) -> bool {
        matches!(self.session.kem.role, Role::Answering(_))
    }

    fn seal(&mut self) -> Option<Vec<u8>> {
        let (next, envelope) = self.session.seal(None, b"text", &mut rng(7)).ok()?;
        self.advance(next);
        Some(envelope)
    }

    fn open(&mut self, envelope: &[u8]) -> Result<(), OpenError> {
        let message = Envelope::decode(envelope).unwrap();
        self.openings += 1;
        let stream = |seed: u64| rng(seed << 32 | self.openings);
        let mut draws = Draws { curve: stream(self.curve), kem: stream(self.kem), first: true };
        let before = self.session.to_bytes();
        let result = self.session.open(message.message().unwrap(), &self.rows, self.now, &mut draws);
        assert_eq!(self.session.to_bytes(), before);
        let (next, opened) = result?;
        assert_eq!(opened.plaintext.as_slice(), b"text");
        self.rows.apply(&opened.skipped);
        self.advance(next);
        Ok(())
    }

    /// Takes the next state through its record. Checks that an exchange begins and ends with turns only, that it goes on
    /// for exactly one chain, and that it is offered neither early nor late.
    fn advance(&mut self, next: Session) {
        let next = Session::from_bytes(&next.to_bytes()).unwrap();
        let turned = next.ratchet_key.public != self.session.ratchet_key.public;
        let (offered, before) = (self.offers(), self.steps());
        self.session = next;
        self.since.0 += 1;
        if !turned {
            assert_eq!((self.offers(), self.steps()), (offered, before));
            return;
        }
        let step = offered || self.answers();
        assert_eq!(self.steps(), before + u32::from(step));
        if step {
            self.since = (0, self.now);
        }
        let (messages, last) = self.since;
        let due = before == 0 || messages >= KEM_INTERVAL_MESSAGES || self.now.since(last) >= KEM_INTERVAL;
        assert_eq!(self.offers(), due && !step, "{messages} messages");
    }
}

fn pass(from: &mut End, to: &mut End) -> Vec<u8> {
    let envelope = from.seal().unwrap();
    to.open(&envelope).unwrap();
    envelope
}

/// Back and forth until both have completed `steps` exchanges: the messages that it took.
fn until(steps: u32, alice: &mut End, bob: &mut End) -> u32 {
    let mut messages = 0;
    while alice.steps() < steps || bob.steps() < steps {
        pass(alice, bob);
        pass(bob, alice);
        messages += 2;
        assert!(messages < 2 * KEM_INTERVAL_MESSAGES);
    }
    messages
}

#[test]
fn the_first_reply_offers_and_the_next_turn_answers() {
    let (mut alice, mut bob) = pair();
    assert_eq!(pass(&mut alice, &mut bob).len(), 256);
    assert!(bob.offers());
    assert_eq!(pass(&mut bob, &mut alice).len(), 4096);
    assert!(alice.answers() && alice.steps() == 1);
    assert_eq!(pass(&mut bob, &mut alice).len(), 4096, "it rides in the whole chain");
    assert_eq!(pass(&mut alice, &mut bob).len(), 4096);
    assert!(!bob.offers() && bob.steps() == 1);
    assert_eq!(pass(&mut alice, &mut bob).len(), 4096);
    assert_eq!(pass(&mut bob, &mut alice).len(), 256);
    assert_eq!(pass(&mut alice, &mut bob).len(), 256);
}

/// A buffer that grows leaves a copy of its keys behind.
#[test]
fn the_largest_record_fills_its_buffer() {
    let (mut alice, mut bob) = pair();
    pass(&mut alice, &mut bob);
    pass(&mut bob, &mut alice);
    assert!(alice.answers());
    let record = alice.session.to_bytes();
    assert_eq!(record.len(), 1_561);
    assert_eq!(record.capacity(), record.len());
}

#[test]
fn another_step_comes_after_fifty_messages_or_a_day() {
    let (mut alice, mut bob) = pair();
    until(1, &mut alice, &mut bob);
    let messages = until(2, &mut alice, &mut bob);
    assert!((50..=54).contains(&messages), "{messages}");
    (alice.now, bob.now) = (NOW.after(KEM_INTERVAL), NOW.after(KEM_INTERVAL));
    assert!(until(3, &mut alice, &mut bob) <= 6);
}

#[test]
fn a_monologue_keeps_one_offer_and_any_message_of_it_is_enough() {
    let (mut alice, mut bob) = pair();
    until(1, &mut alice, &mut bob);
    alice.now = NOW.after(KEM_INTERVAL);
    pass(&mut alice, &mut bob);
    pass(&mut bob, &mut alice);
    assert!(alice.offers());
    let envelopes: Vec<_> = (0..300).map(|_| alice.seal().unwrap()).collect();
    assert_eq!(alice.session.to_bytes().len(), 537);
    for envelope in envelopes.iter().rev() {
        bob.open(envelope).unwrap();
    }
    assert_eq!(pass(&mut bob, &mut alice).len(), 4096);
    assert_eq!((alice.steps(), bob.steps()), (2, 2));
}

#[test]
fn a_changed_half_is_forged_and_the_genuine_one_still_works() {
    let (mut alice, mut bob) = pair();
    pass(&mut alice, &mut bob);
    pass(&mut bob, &mut alice);
    let envelope = alice.seal().unwrap();
    let part = 2 + 24 + 57;
    for at in part..part + Follows::Answer.sealed_bytes() {
        let mut changed = envelope.clone();
        changed[at] ^= 1;
        assert_eq!(bob.open(&changed), Err(OpenError::Forged));
    }
    assert_eq!(bob.open(&envelope[..700]), Err(OpenError::Forged));
    bob.open(&envelope).unwrap();
    assert_eq!(bob.steps(), 1);
}

#[test]
fn a_peer_that_breaks_the_rules_is_named() {
    let (mut alice, mut bob) = pair();
    pass(&mut alice, &mut bob);
    pass(&mut bob, &mut alice);
    let refuses = |bob: &mut End, alice: &End, kem: SparseKem| {
        let mut cheat = alice.session.copy();
        cheat.kem = kem;
        let (_, envelope) = cheat.seal(None, b"text", &mut rng(1)).unwrap();
        assert_eq!(bob.open(&envelope), Err(OpenError::BadKemStep));
    };
    let answering = alice.session.kem.clone();
    let offering = Role::Offering(KemSecret::from_bytes(&[1; SEED_BYTES]));
    refuses(&mut bob, &alice, SparseKem { role: Role::Quiet, ..answering.clone() });
    refuses(
        &mut bob,
        &alice,
        SparseKem { role: offering, progress: Progress { steps: 0, ..answering.progress } },
    );
    refuses(
        &mut bob,
        &alice,
        SparseKem { progress: Progress { steps: 2, ..answering.progress }, ..answering.clone() },
    );
    pass(&mut alice, &mut bob);
    pass(&mut bob, &mut alice);
    refuses(
        &mut bob,
        &alice,
        SparseKem { progress: Progress { steps: 2, ..answering.progress }, ..answering.clone() },
    );
    pass(&mut alice, &mut bob);
}

#[test]
fn a_malformed_key_is_refused() {
    let part = KemPart { step: 1, half: Half::Offer(Box::new([0xff; PUBLIC_BYTES])) };
    assert_eq!(SparseKem::new().peer_turn(Some(part), NOW).err(), Some(OpenError::BadKemStep));
}

/// At `moment` everything of Alice's is stolen, whether she is quiet, offering or answering. From then on the thief sees
/// every message to her and knows every X25519 secret, as if X25519 were broken: what shuts it out is ML-KEM alone.
#[test]
fn a_thief_who_breaks_x25519_is_shut_out_by_the_first_exchange_begun_after_the_theft() {
    let mut seen = [false; 3];
    for moment in 0..60 {
        let (mut alice, mut bob) = pair();
        pass(&mut alice, &mut bob);
        for _ in 0..moment {
            pass(&mut bob, &mut alice);
            pass(&mut alice, &mut bob);
        }
        seen[if alice.offers() { 0 } else { usize::from(alice.answers()) + 1 }] = true;
        let mut thief = alice.stolen(alice.curve);
        let fresh = alice.steps() + 1 + u32::from(alice.offers());
        for _ in 0..130 {
            let before = alice.steps();
            let envelope = pass(&mut bob, &mut alice);
            let stolen = thief.open(&envelope).is_ok();
            if alice.steps() < fresh {
                assert!(stolen, "X25519 alone does not stop the thief");
            }
            if before >= fresh {
                assert!(!stolen, "shut out, moment {moment}");
            }
            pass(&mut alice, &mut bob);
        }
        assert!(alice.steps() > fresh);
    }
    assert_eq!(seen, [true; 3], "thefts at every kind of moment");
}

/// The same without the broken X25519: the next turn shuts the thief out.
#[test]
fn a_thief_is_shut_out_by_the_next_turn() {
    let (mut alice, mut bob) = pair();
    until(1, &mut alice, &mut bob);
    pass(&mut alice, &mut bob);
    let mut thief = alice.stolen(98);
    let envelope = pass(&mut bob, &mut alice);
    assert!(thief.open(&envelope).is_ok(), "the turn itself was begun before");
    for _ in 0..60 {
        pass(&mut alice, &mut bob);
        let envelope = pass(&mut bob, &mut alice);
        assert!(thief.open(&envelope).is_err());
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many messages of one side at once.
    Send {
        by_alice: bool,
        count: u8,
    },
    /// One message in flight to one side, which the network may keep a copy of.
    Deliver {
        to_alice: bool,
        which: Index,
        keep: bool,
    },
    /// The latest of them, as a network in order does.
    Latest {
        to_alice: bool,
    },
    Lose {
        to_alice: bool,
        which: Index,
    },
    /// Hours go by, not the same number for each.
    Wait {
        hours: [u8; 2],
    },
}

fn event() -> impl Strategy<Value = Event> {
    let (side, which) = (any::<bool>, any::<Index>);
    prop_oneof![
        6 => (side(), 1u8..6).prop_map(|(by_alice, count)| Event::Send { by_alice, count }),
        8 => (side(), which(), any::<bool>())
            .prop_map(|(to_alice, which, keep)| Event::Deliver { to_alice, which, keep }),
        8 => side().prop_map(|to_alice| Event::Latest { to_alice }),
        2 => (side(), which()).prop_map(|(to_alice, which)| Event::Lose { to_alice, which }),
        1 => any::<[bool; 2]>().prop_map(|long| Event::Wait { hours: long.map(|long| if long { 25 } else { 3 }) }),
    ]
}

/// Two ends and the messages in flight to each.
struct World {
    ends: [End; 2],
    flying: [Vec<Vec<u8>>; 2],
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Send { by_alice, count } => {
                let (from, to) = (usize::from(!by_alice), usize::from(by_alice));
                let envelopes = (0..count).filter_map(|_| self.ends[from].seal());
                self.flying[to].extend(envelopes);
            }
            Event::Deliver { to_alice, which, keep } => self.deliver(usize::from(!to_alice), which, keep),
            Event::Latest { to_alice } => {
                let to = usize::from(!to_alice);
                if let Some(envelope) = self.flying[to].pop() {
                    self.open(to, &envelope);
                }
            }
            Event::Lose { to_alice, which } => {
                let flying = &mut self.flying[usize::from(!to_alice)];
                if !flying.is_empty() {
                    flying.swap_remove(which.index(flying.len()));
                }
            }
            Event::Wait { hours } => {
                for (end, hours) in self.ends.iter_mut().zip(hours) {
                    end.now.0 += u64::from(hours) * 3_600_000;
                }
            }
        }
    }

    fn deliver(&mut self, to: usize, which: Index, keep: bool) {
        let flying = &mut self.flying[to];
        if flying.is_empty() {
            return;
        }
        let at = which.index(flying.len());
        let envelope = if keep { flying[at].clone() } else { flying.swap_remove(at) };
        self.open(to, &envelope);
    }

    /// A message opens, unless it is a copy or its chain is long forgotten; nothing about ML-KEM ever stops one.
    fn open(&mut self, to: usize, envelope: &[u8]) {
        let result = self.ends[to].open(envelope);
        assert!(
            matches!(
                result,
                Ok(()) | Err(OpenError::Duplicate | OpenError::NotForThisSession | OpenError::TooOld)
            ),
            "{result:?}"
        );
        let [alice, bob] = &self.ends;
        assert!(!(alice.offers() && bob.offers()), "one decapsulation key in the whole session");
        assert!(alice.steps().abs_diff(bob.steps()) <= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exchanges_go_on_whatever_the_network_does(events in proptest::collection::vec(event(), 1..400)) {
        let mut world = World { ends: pair().into(), flying: [Vec::new(), Vec::new()] };
        for event in events {
            world.happen(event);
        }
        let [mut alice, mut bob] = world.ends;
        let steps = alice.steps().max(bob.steps());
        until(steps + 1, &mut alice, &mut bob);
        assert_eq!(alice.steps(), bob.steps());
    }
}
