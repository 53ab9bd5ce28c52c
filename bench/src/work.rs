//! What is measured: each work takes a number of iterations and returns the time that they took, without what had to be
//! prepared for them.

use std::{hint::black_box, time::Duration};

use crate::{
    clock::Stopwatch,
    hermes::{self, HermesEnd},
    locks::{Curve, FiniteField, Kem},
    olm::{self, OlmEnd},
    side::End,
};

/// Takes iterations, returns their time.
pub type Work = fn(u64) -> Duration;

/// One thing to do, on one side or on both.
pub struct Pair {
    /// As it is called in criterion's output and by the report.
    pub name: &'static str,
    /// On Hermes' side.
    pub hermes: Work,
    /// On Olm's side, where there is such a thing.
    pub olm: Option<Work>,
}

/// Names of what the report computes with.
pub mod name {
    #![expect(missing_docs, reason = "the names say it")]
    pub const ENCRYPT_64: &str = "encrypt, 64 B";
    pub const DECRYPT_64: &str = "decrypt, 64 B";
    pub const ENCRYPT_1K: &str = "encrypt, 1 KiB";
    pub const DECRYPT_1K: &str = "decrypt, 1 KiB";
    pub const ENCRYPT_RECORD: &str = "encrypt and record, 64 B";
    pub const DECRYPT_RECORD: &str = "decrypt and record, 64 B";
    pub const PING_PONG: &str = "ping-pong, 64 B";
    pub const PING_PONG_QUIET: &str = "ping-pong without ML-KEM messages, 64 B";
    pub const BUNDLE: &str = "setup, check the fetched keys";
    pub const INITIATE: &str = "setup, initiator with first encrypt";
    pub const RESPOND: &str = "setup, responder with first decrypt";
    pub const INITIATE_CURVE: &str = "initiator's X25519 alone";
    pub const INITIATE_KEM: &str = "initiator's ML-KEM-1024 alone";
    pub const INITIATE_FF: &str = "initiator's ffdhe2048 and PBKDF2 alone";
    pub const RESPOND_CURVE: &str = "responder's X25519 alone";
    pub const RESPOND_KEM: &str = "responder's ML-KEM-1024 alone";
    pub const RESPOND_FF: &str = "responder's ffdhe2048 and PBKDF2 alone";
}

/// Everything that is measured, in the order of the report.
pub fn pairs() -> Vec<Pair> {
    use name::*;
    let both = |name, hermes, olm| Pair { name, hermes, olm: Some(olm) };
    let alone = |name, hermes| Pair { name, hermes, olm: None };
    vec![
        both(ENCRYPT_64, encrypt::<HermesEnd, 64>, encrypt::<OlmEnd, 64>),
        both(DECRYPT_64, decrypt::<HermesEnd, 64>, decrypt::<OlmEnd, 64>),
        both(ENCRYPT_1K, encrypt::<HermesEnd, 1024>, encrypt::<OlmEnd, 1024>),
        both(DECRYPT_1K, decrypt::<HermesEnd, 1024>, decrypt::<OlmEnd, 1024>),
        both(ENCRYPT_RECORD, encrypt_and_record::<HermesEnd>, encrypt_and_record::<OlmEnd>),
        both(DECRYPT_RECORD, decrypt_and_record::<HermesEnd>, decrypt_and_record::<OlmEnd>),
        both(PING_PONG, ping_pong::<HermesEnd>, ping_pong::<OlmEnd>),
        alone(PING_PONG_QUIET, ping_pong_quiet),
        both(BUNDLE, check_hermes, check_olm),
        both(INITIATE, initiate_hermes, initiate_olm),
        both(RESPOND, respond_hermes, respond_olm),
        alone(INITIATE_CURVE, |n| repeat(&Curve::new(), n, Curve::initiate)),
        alone(INITIATE_KEM, |n| repeat(&Kem::new(), n, Kem::initiate)),
        alone(INITIATE_FF, |n| repeat(&FiniteField::new(), n, FiniteField::initiate)),
        alone(RESPOND_CURVE, |n| repeat(&Curve::new(), n, Curve::respond)),
        alone(RESPOND_KEM, |n| repeat(&Kem::new(), n, Kem::respond)),
        alone(RESPOND_FF, |n| repeat(&FiniteField::new(), n, FiniteField::respond)),
    ]
}

/// Inputs made at a time while the clock stands still.
const BATCH: u64 = 64;

/// The time of `work` on each input that `prepare` makes.
fn timed<S, T>(
    mut state: S,
    iterations: u64,
    mut prepare: impl FnMut(&mut S) -> T,
    mut work: impl FnMut(&mut S, &mut T),
) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let batch = left.min(BATCH);
        left -= batch;
        let mut inputs: Vec<T> = (0..batch).map(|_| prepare(&mut state)).collect();
        let began = Stopwatch::start();
        for input in &mut inputs {
            work(&mut state, input);
        }
        time += began.elapsed();
    }
    time
}

fn repeat<S>(state: &S, iterations: u64, work: impl Fn(&S)) -> Duration {
    let began = Stopwatch::start();
    for _ in 0..iterations {
        work(black_box(state));
    }
    began.elapsed()
}

/// Two ends in the middle of a chain of the first: whatever its first message costs has been paid.
fn one_chain<E: End>() -> (E, E) {
    let (mut alice, mut bob) = E::settled();
    let wire = alice.seal(b"the first of a chain");
    bob.open(&wire);
    (alice, bob)
}

fn encrypt<E: End, const N: usize>(iterations: u64) -> Duration {
    let (alice, _) = one_chain::<E>();
    timed(
        alice,
        iterations,
        |_| (),
        |alice, ()| {
            black_box(alice.seal(black_box(&[7; N])));
        },
    )
}

fn decrypt<E: End, const N: usize>(iterations: u64) -> Duration {
    timed(
        one_chain::<E>(),
        iterations,
        |(alice, _)| alice.seal(&[7; N]),
        |(_, bob), wire| {
            black_box(bob.open(wire));
        },
    )
}

fn encrypt_and_record<E: End>(iterations: u64) -> Duration {
    let (alice, _) = one_chain::<E>();
    timed(
        alice,
        iterations,
        |_| (),
        |alice, ()| {
            black_box(alice.seal(black_box(&[7; 64])));
            black_box(alice.record());
        },
    )
}

fn decrypt_and_record<E: End>(iterations: u64) -> Duration {
    timed(
        one_chain::<E>(),
        iterations,
        |(alice, _)| alice.seal(&[7; 64]),
        |(_, bob), wire| {
            black_box(bob.open(wire));
            black_box(bob.record());
        },
    )
}

/// Each message answers the one before it: a turn for each.
fn ping_pong<E: End>(iterations: u64) -> Duration {
    let (mut from, mut to) = E::settled();
    let began = Stopwatch::start();
    for _ in 0..iterations {
        pass(&mut from, &mut to);
        std::mem::swap(&mut from, &mut to);
    }
    began.elapsed()
}

fn pass<E: End>(from: &mut E, to: &mut E) -> usize {
    let wire = from.seal(black_box(&[7; 64]));
    black_box(to.open(&wire));
    E::length(&wire)
}

/// The same, but only messages count that take no part in an ML-KEM step: none carries a key or a ciphertext, and none
/// makes its receiver begin or answer.
fn ping_pong_quiet(iterations: u64) -> Duration {
    let (mut from, mut to) = HermesEnd::settled();
    let quiet = HermesEnd::quiet_record();
    let (mut time, mut left) = (Duration::ZERO, iterations);
    while left > 0 {
        let before = from.record().len() == quiet;
        let began = Stopwatch::start();
        pass(&mut from, &mut to);
        let taken = began.elapsed();
        if before && to.record().len() == quiet {
            time += taken;
            left -= 1;
        }
        std::mem::swap(&mut from, &mut to);
    }
    time
}

fn check_hermes(iterations: u64) -> Duration {
    repeat(&hermes::Responder::new(), iterations, |responder| {
        black_box(responder.published());
    })
}

fn check_olm(iterations: u64) -> Duration {
    repeat(&olm::Responder::new().published(), iterations, olm::Published::verify)
}

fn initiate_hermes(iterations: u64) -> Duration {
    let (initiator, responder) = (hermes::Initiator::new(), hermes::Responder::new());
    let published = responder.published();
    repeat(&published, iterations, |published| {
        black_box(initiator.initiate(published, &[7; 64]));
    })
}

fn initiate_olm(iterations: u64) -> Duration {
    let (initiator, responder) = (olm::Initiator::new(), olm::Responder::new());
    repeat(&responder.published(), iterations, |published| {
        black_box(initiator.initiate(published, &[7; 64]));
    })
}

fn respond_hermes(iterations: u64) -> Duration {
    let (initiator, responder) = (hermes::Initiator::new(), hermes::Responder::new());
    let published = responder.published();
    timed(
        (),
        iterations,
        |()| (initiator.initiate(&published, &[7; 64]).1, responder.again()),
        |(), (first, responder)| {
            black_box(responder.respond(first));
        },
    )
}

/// A one-time key is used up by its first message, so each response has an account of its own.
fn respond_olm(iterations: u64) -> Duration {
    let (initiator, responder) = (olm::Initiator::new(), olm::Responder::new());
    let published = responder.published();
    timed(
        (),
        iterations,
        |()| (initiator.initiate(&published, &[7; 64]).1, responder.again()),
        |(), (first, responder)| {
            black_box(responder.respond(&initiator, first));
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_work_runs_under_a_name_of_its_own() {
        let pairs = pairs();
        let names: BTreeSet<_> = pairs.iter().map(|pair| pair.name).collect();
        assert_eq!(names.len(), pairs.len());
        for pair in pairs {
            for work in [Some(pair.hermes), pair.olm].into_iter().flatten() {
                assert!(work(3) > Duration::ZERO, "{}", pair.name);
            }
        }
    }

    fn both_ends_understand_each_other<E: End>() {
        let (mut alice, mut bob) = E::settled();
        for turn in 0..200u32 {
            let text = format!("message {turn}");
            let wire = alice.seal(text.as_bytes());
            assert_eq!(bob.open(&wire), text.as_bytes());
            std::mem::swap(&mut alice, &mut bob);
        }
    }

    #[test]
    fn hermes_ends_understand_each_other() {
        both_ends_understand_each_other::<HermesEnd>();
    }

    #[test]
    fn olm_ends_understand_each_other() {
        both_ends_understand_each_other::<OlmEnd>();
    }

    /// Three messages of an exchange, and one exchange in at least 50 messages.
    #[test]
    fn ping_pong_meets_ml_kem_as_often_as_the_protocol_says() {
        let (mut from, mut to) = HermesEnd::settled();
        let quiet = HermesEnd::quiet_record();
        let (mut carrying, mut loud) = (0, 0);
        for _ in 0..1_000 {
            let before = from.record().len() == quiet;
            carrying += u32::from(pass(&mut from, &mut to) > 1_024);
            loud += u32::from(!(before && to.record().len() == quiet));
            std::mem::swap(&mut from, &mut to);
        }
        assert!((34..=40).contains(&carrying), "{carrying}");
        assert!((carrying..=carrying * 2).contains(&loud), "{loud} of which {carrying} carry");
    }
}
