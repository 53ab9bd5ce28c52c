//! Measures every work on both sides in turn, round by round, and prints the table.
//!
//! `cargo bench` measures; `cargo test --benches` runs each work once. A word behind `--` picks works by name.

mod measure;

use std::time::Duration;

use hermes_bench::{
    report::{self, Side, Times},
    sizes::sizes,
    work::pairs,
};
use measure::Bench;

/// Each work is measured so many times, so that a busy spell of the machine is one figure among them.
const ROUNDS: u32 = 5;

fn main() {
    let mut bench = Bench::new("pairwise", Duration::from_millis(400));
    let mut times = Times::default();
    for round in 1..=ROUNDS {
        for pair in pairs() {
            let mut sides = vec![(Side::Hermes, Some(pair.hermes)), (Side::Olm, pair.olm)];
            // Neither always runs on what the other left in the caches and the clock frequency.
            sides.rotate_left((round as usize) % 2);
            for (side, work) in sides {
                let Some(work) = work else { continue };
                if let Some(median) = bench.median(pair.name, side.name(), round, work) {
                    times.add(pair.name, side, median);
                }
            }
        }
    }
    println!(
        "\nMedians of {ROUNDS} rounds.\n\n{}{}\n{}",
        times.table(),
        times.shares(),
        report::sizes(&sizes())
    );
}
