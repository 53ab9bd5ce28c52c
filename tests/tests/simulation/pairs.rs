//! The engine-level simulation over many seeds.
//!
//! `HERMES_SIM_SEEDS` says how many (500 when unset), `HERMES_SIM_SEED` replays one.

use std::{env, num::NonZero, panic::resume_unwind, thread};

use hermes_tests::sim::{Plan, Report, run, run_with_relay_put_back};

const SEEDS: u64 = 500;

fn plan(seed: u64) -> Plan {
    Plan {
        clients: 2 + usize::try_from(seed % 3).expect("small"),
        events: 300 + usize::try_from(seed % 7).expect("small") * 100,
        crash_one_in: 12,
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn nothing_is_lost_repeated_or_reordered() {
    let seeds: Vec<u64> = match number("HERMES_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("HERMES_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let mut total = Report::default();
    for report in run_all(&seeds) {
        total.messages += report.messages;
        total.faults += report.faults;
        total.rounds = total.rounds.max(report.rounds);
    }
    println!(
        "{} seeds, {} messages, {} faults, quiet within {} rounds",
        seeds.len(),
        total.messages,
        total.faults,
        total.rounds
    );
    assert!(total.messages > seeds.len() as u64, "a simulation without messages proves nothing");
    assert!(total.faults > seeds.len() as u64, "a simulation without faults proves nothing");
}

#[test]
fn a_relay_that_is_put_back_makes_no_store_look_old() {
    const PUT_BACK_SEEDS: u64 = 50;
    let faults: u64 = (0..PUT_BACK_SEEDS)
        .map(|seed| {
            let plan = Plan { events: 2_000, ..plan(seed) };
            run_with_relay_put_back(seed, plan).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"))
        })
        .sum();
    assert!(faults > PUT_BACK_SEEDS, "a simulation without faults proves nothing");
}

/// Runs the seeds on every core. The first that fails says how to see it again.
fn run_all(seeds: &[u64]) -> Vec<Report> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = seeds.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let run_share = |share: &[u64]| share.iter().map(|seed| run_one(*seed)).collect::<Vec<_>>();
        let running: Vec<_> =
            seeds.chunks(share).map(|share| scope.spawn(move || run_share(share))).collect();
        let finished =
            running.into_iter().map(|share| share.join().unwrap_or_else(|cause| resume_unwind(cause)));
        finished.flatten().collect()
    })
}

fn run_one(seed: u64) -> Report {
    run(seed, plan(seed)).unwrap_or_else(|violation| {
        panic!(
            "seed {seed}: {violation}\nreplay: HERMES_SIM_SEED={seed} cargo test -p hermes-tests --test simulation pairs"
        )
    })
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in [1, 2, 3] {
        let (first, second) = (run(seed, plan(seed)), run(seed, plan(seed)));
        assert_eq!(first.expect("seed passes"), second.expect("seed passes"));
    }
}
