//! Groups under a seed: membership that changes while everybody writes, faults all along.

use std::env;

use hermes_tests::sim::{GroupPlan, run_groups};

/// Seeds in an ordinary run; `HERMES_GROUP_SEEDS` asks for more, `HERMES_GROUP_SEED` for a single one.
const SEEDS: u64 = 4;

#[test]
fn nothing_forks_and_the_core_reads_everything_once() {
    let plan = GroupPlan { clients: 7, core: 3, events: 1_200, crash_one_in: 12 };
    let seeds = env::var("HERMES_GROUP_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let (mut messages, mut faults) = (0, 0);
    let first = env::var("HERMES_GROUP_SEED").ok().map(|seed| seed.parse().expect("a number"));
    for seed in first.map_or(0..seeds, |seed| seed..seed + 1) {
        match run_groups(seed, plan) {
            Ok(report) => {
                messages += report.messages;
                faults += report.faults;
            }
            Err(violation) => panic!(
                "seed {seed}: {violation}\n  → HERMES_GROUP_SEED={seed} cargo test --workspace --test group_simulation"
            ),
        }
    }
    println!("{seeds} seeds, {messages} messages of the core, {faults} faults");
}
