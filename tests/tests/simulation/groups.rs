//! Groups under a seed: membership that changes while everybody writes, faults all along.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use hermes_tests::sim::{GroupPlan, PreparedGroup, Report};

/// Many members, and a short time with some of everything.
const BROAD: GroupPlan = GroupPlan { clients: 20, core: 8, events: 100, crash_one_in: 12 };
/// Few members, and a long time.
const DEEP: GroupPlan = GroupPlan { clients: 7, core: 3, events: 1_200, crash_one_in: 12 };

/// Seeds of the first in an ordinary run; `HERMES_GROUP_SEEDS` asks for more, `HERMES_GROUP_SEED` for a single one.
const SEEDS: u64 = 500;
/// So many seeds for one of the second.
const BROAD_FOR_DEEP: u64 = 250;

#[test]
fn nothing_forks_and_the_core_reads_everything_once() {
    let number = |name| env::var(name).ok().map(|number| number.parse().expect("a number"));
    let seeds = match number("HERMES_GROUP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HERMES_GROUP_SEEDS").unwrap_or(SEEDS),
    };
    let deep = seeds.start..seeds.start + (seeds.end - seeds.start).div_ceil(BROAD_FOR_DEEP);
    for (plan, seeds) in [(BROAD, seeds), (DEEP, deep)] {
        let prepared =
            PreparedGroup::new(seeds.start, plan).unwrap_or_else(|violation| panic!("{violation}"));
        let next = AtomicU64::new(seeds.start);
        let work = || {
            let mut sum = Report::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return sum;
                }
                let report = prepared.run(seed).unwrap_or_else(|violation| {
                    panic!(
                        "seed {seed}, {plan:?}: {violation}\n  → HERMES_GROUP_SEED={seed} cargo test --workspace --test \
                         simulation groups"
                    )
                });
                sum.messages += report.messages;
                sum.faults += report.faults;
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let sums: Vec<Report> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().expect("no violation")).collect()
        });
        let messages: u64 = sums.iter().map(|sum| sum.messages).sum();
        let faults: u64 = sums.iter().map(|sum| sum.faults).sum();
        println!(
            "{plan:?}: {} seeds, {messages} messages of the core, {faults} faults",
            seeds.end - seeds.start
        );
    }
}
