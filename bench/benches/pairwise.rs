//! Measures every work on both sides in turn, round by round, and prints the table.
//!
//! `cargo bench` measures; `cargo test --benches` runs each work once. A word behind `--` picks works by name.

use std::{cell::Cell, fs, path::Path, time::Duration};

use criterion::{BenchmarkId, Criterion};
use hermes_bench::{
    report::{self, Side, Times},
    sizes::sizes,
    work::{Work, pairs},
};

/// Each work is measured so many times, so that a busy spell of the machine is one figure among them.
const ROUNDS: u32 = 5;

fn main() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    // What an earlier run left would stand in for what this one does not measure.
    let _ = fs::remove_dir_all(&output);
    let mut criterion = Criterion::default()
        .output_directory(&output)
        .without_plots()
        .sample_size(20)
        .nresamples(1_000)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .configure_from_args();

    let mut times = Times::default();
    for round in 1..=ROUNDS {
        for pair in pairs() {
            let mut sides = vec![(Side::Hermes, Some(pair.hermes)), (Side::Olm, pair.olm)];
            // Neither always runs on what the other left in the caches and the clock frequency.
            sides.rotate_left((round as usize) % 2);
            for (side, work) in sides {
                let Some(work) = work else { continue };
                let id = BenchmarkId::new(side.name(), round);
                if measure(&mut criterion, pair.name, id, work) {
                    let place = output.join(pair.name).join(side.name()).join(round.to_string());
                    times.add(pair.name, side, median(&place));
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

/// Whether it was measured: a filter may have left it out, and a test runs it once.
fn measure(criterion: &mut Criterion, name: &str, id: BenchmarkId, work: Work) -> bool {
    let iterations = Cell::new(0);
    let mut group = criterion.benchmark_group(name);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|count| {
            iterations.set(iterations.get() + count);
            work(count)
        });
    });
    group.finish();
    iterations.get() > 1
}

/// Nanoseconds per iteration, as criterion has estimated and written them.
fn median(place: &Path) -> f64 {
    let file = place.join("new").join("estimates.json");
    let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: serde_json::Value = serde_json::from_slice(&text).expect("criterion writes JSON");
    estimates["median"]["point_estimate"].as_f64().expect("criterion estimates a median")
}
