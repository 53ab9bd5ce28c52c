//! Many accounts for a long time. A small one runs always; `just soak 2000 600` is what it is for.

use std::{env, time::Duration};

use hermes_relay::limits::STORE_FILES;
use hermes_tests::soak::{Plan, run};

/// Accounts, unless `HERMES_SOAK_CLIENTS` says otherwise.
const CLIENTS: u64 = 20;
/// Seconds, unless `HERMES_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 8;
/// How much what is held may have grown from one half of the last third to the other, in percent: a daemon that was just
/// restarted holds less.
const GROWTH: u64 = 10;

/// Files of the relay's store beside its tables: a lock, and journals, of which one of 64 MiB is written and others stay until what
/// is in them is in tables ([`hermes_relay::limits::JOURNAL_BYTES`] together, but for those that are being done).
const JOURNALS: u64 = 16;

#[test]
fn nothing_is_lost_or_grows_while_programs_are_killed() {
    let clients = from_environment("HERMES_SOAK_CLIENTS", CLIENTS);
    let seconds = from_environment("HERMES_SOAK_SECONDS", SECONDS);
    let plan = Plan {
        clients: usize::try_from(clients).expect("it fits"),
        duration: Duration::from_secs(seconds),
        fault_every: Duration::from_secs(seconds / 40).clamp(Duration::from_secs(2), Duration::from_secs(15)),
        actions_per_second: u32::try_from(from_environment("HERMES_SOAK_RATE", 40)).expect("it fits"),
        seed: from_environment("HERMES_SOAK_SEED", 1),
    };
    let report = run(&plan);
    println!("{clients} accounts, {seconds} s: {} texts accepted, {} arrived", report.texts, report.arrived);
    let (relay, daemons) = report.faults;
    println!("the relay ended {relay} times, a daemon {daemons} times");
    let looks = report.course.looks();
    looks.iter().step_by((looks.len() / 20).max(1)).for_each(|look| println!("{look}"));
    assert!(report.texts > 0 && relay + daemons > 0);
    if let Some([before, after]) = report.course.settled() {
        println!("medians of both halves of the last third:\n{before}\n{after}");
        for (what, before, after) in [
            ("the relay's memory", before.relay.memory, after.relay.memory),
            ("the daemons' memory", before.daemons.memory, after.daemons.memory),
            ("the relay's descriptors of no files", before.relay.others, after.relay.others),
            ("the daemons' files", before.daemons.files, after.daemons.files),
            ("the daemons' other descriptors", before.daemons.others, after.daemons.others),
        ] {
            assert!(after * 100 <= before * (100 + GROWTH), "{what} grew: {before} -> {after}");
        }
    }
    // The relay's store has the more files the more there is in it, up to as many as it may keep open.
    if let Some(most) = looks.iter().map(|look| look.relay.files).max() {
        assert!(most <= STORE_FILES as u64 + JOURNALS, "the relay had {most} files open");
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}
