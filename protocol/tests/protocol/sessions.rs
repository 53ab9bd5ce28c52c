//! Several sessions of two parties over a network that loses, reorders, repeats and changes what it carries, while either
//! side may be put back to an old state: each delivery does what the reference model says.
//!
//! `PROPTEST_CASES=10000 cargo test --release -p hermes-protocol --test protocol sessions` tries more.

use crate::model::{
    Who,
    action::{ACTION_BYTES, Action},
    support::rng,
    world::{Tally, World},
};
use proptest::{collection::vec, prelude::*};
use rand_chacha::rand_core::Rng;

/// Worlds without the variable of proptest's: some seconds.
const CASES: u32 = 192;

fn action() -> impl Strategy<Value = Action> {
    any::<[u8; ACTION_BYTES]>().prop_map(Action::from_bytes)
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(CASES), ..ProptestConfig::default() }
}

fn play(seed: u64, actions: impl IntoIterator<Item = Action>) -> Tally {
    let mut world = World::new(seed);
    for action in actions {
        world.act(action);
    }
    world.settle()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn each_delivery_does_what_the_model_says(seed in 0u64..1_000_000, actions in vec(action(), 1..200)) {
        play(seed, actions);
    }

    #[test]
    fn so_it_does_where_no_side_goes_back(seed in 0u64..1_000_000, actions in vec(action(), 1..200)) {
        play(seed, actions.into_iter().filter(|action| !matches!(action, Action::Restore { .. })));
    }
}

/// Chance seldom jumps twice in one chain and then delivers what was skipped first.
#[test]
fn keys_given_up_over_two_jumps_are_told_from_used_ones() {
    let jump = [
        Action::Storm { by: Who::Bob, session: 0, count: 600 },
        Action::Deliver { to: Who::Alice, which: 1 },
    ];
    let mut actions = vec![
        Action::Seal { by: Who::Alice, session: 0, length: 0 },
        Action::Deliver { to: Who::Bob, which: 0 },
    ];
    actions.extend([jump, jump].concat());
    assert!(play(0, actions)["TooOld"] >= 1);
}

/// The model is worth what it is asked: whatever can come of a delivery does come, again and again.
#[test]
fn every_outcome_occurs() {
    let mut total = Tally::new();
    for seed in 0..60 {
        let mut bytes = vec![0; 400 * ACTION_BYTES];
        rng(seed).fill_bytes(&mut bytes);
        for (outcome, times) in play(seed, Action::all(&bytes)) {
            *total.entry(outcome).or_default() += times;
        }
    }
    for outcome in [
        "opened",
        "Duplicate",
        "TooOld",
        "ChainEnded",
        "Forged",
        "NotForThisSession",
        "BadKemStep",
        "ephemeral opened",
        "ephemeral without a key",
        "the handshake is refused",
    ] {
        assert!(total.get(outcome).is_some_and(|times| *times >= 5), "{outcome}: {total:?}");
    }
}
