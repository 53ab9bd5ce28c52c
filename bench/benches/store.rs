//! A daemon with a long history, and after a long absence: what a person waits for, and what memory it takes.
//!
//! `cargo bench --bench store -- 1000000` fills the store of a real daemon with so many messages through a real relay, in
//! absences of 50,000, and then measures. Without a number it does nothing: it takes as long as it takes.

use std::{
    env, fs,
    time::{Duration, Instant},
};

use hermes_tests::{
    remote::Remote,
    world::{Account, World, memory, wait},
};

/// Messages that wait at the relay when the daemon comes back.
const ABSENCE: usize = 50_000;
/// Runs of a command of which the median counts.
const RUNS: usize = 9;
/// For a store to fill; a machine may be slow and busy.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// What a mailbox at the relay would refuse with the limits it has for everyone.
const RELAY: &str =
    "registration = \"open\"\n[limits]\nmailbox_envelopes = 1000000\ndeposit_burst = 10000000\n";
/// Words of which the texts are made; one text in ten thousand has the one that is searched for.
const WORDS: [&str; 8] = ["deploy", "disk", "is", "at", "percent", "again", "on", "node"];

fn main() {
    let Some(messages) = env::args().skip(1).find_map(|argument| argument.parse::<usize>().ok()) else {
        println!("store: not measured; cargo bench --bench store -- MESSAGES fills a store and measures");
        return;
    };
    let world = World::with_relay_config(RELAY);
    let alice = world.account("alice");
    let mut carol = Remote::new("carol", 1, world.relay.address());
    carol.pair(&alice.invite());
    wait::until("alice has carol", || alice.can_write_to("carol"));
    let idle = resident(&alice);

    let mut drains = Vec::new();
    let mut written = 0;
    while written < messages {
        let absence = ABSENCE.min(messages - written);
        alice.home.stop();
        let writing = time(|| carol.write((written..written + absence).map(text)));
        written += absence;
        drains.push(drain(&alice, written));
        let drained = drains.last().expect("one");
        eprintln!(
            "{written} messages, the last {absence} written in {writing:.1?} and fetched in {drained:.1?}"
        );
    }
    drains.sort();

    println!("| with {messages} messages | measured | goal |\n|---|---|---|");
    row("memory of a daemon without history", idle, "25 MiB");
    row("memory after the absences", resident(&alice), "");
    row("an absence of 50,000 fetched, median", seconds(median(&drains)), "15 s");
    row("an absence of 50,000 fetched, longest", seconds(*drains.last().expect("one")), "");
    let starts = sorted(|| {
        alice.home.stop();
        time(|| alice.home.start())
    });
    row("start", seconds(median(&starts)), "500 ms");
    row("memory after a start", resident(&alice), "25 MiB");
    for (what, arguments, goal) in [
        ("hermesctl status", &["status"][..], "10 ms"),
        ("hermesctl inbox --peek -n 20", &["inbox", "--peek", "-n", "20"], "30 ms"),
        ("hermesctl log carol -n 20", &["log", "carol", "-n", "20"], "30 ms"),
        ("hermesctl chat ls, all unread", &["chat", "ls"], ""),
        ("hermesctl search needle", &["search", "needle"], "1 s"),
    ] {
        let times = sorted(|| time(|| drop(alice.ctl(arguments).ok())));
        row(what, seconds(median(&times)), goal);
    }
    row("memory after those", resident(&alice), "25 MiB");
    let store = fs::metadata(alice.home.store("alice")).expect("a store").len();
    row("bytes of the store per message", (store / messages as u64).to_string(), "");
}

fn text(number: usize) -> String {
    let needle = if number % 10_000 == 5_000 { " needle" } else { "" };
    let words = (0..6).map(|at| WORDS[(number * 7 + at * at * 3) % WORDS.len()]);
    format!("{number} {}{needle}", words.collect::<Vec<_>>().join(" "))
}

/// Starts the daemon and waits until it has everything.
fn drain(alice: &Account, unread: usize) -> Duration {
    time(|| {
        alice.home.start();
        wait::until_within(PATIENCE, "everything is here", || {
            alice.status().is_some_and(|status| status.unread >= unread as u64)
        });
    })
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn sorted(mut once: impl FnMut() -> Duration) -> Vec<Duration> {
    let mut times: Vec<_> = (0..RUNS).map(|_| once()).collect();
    times.sort();
    times
}

fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

fn seconds(time: Duration) -> String {
    format!("{time:.1?}")
}

/// Memory of the daemon that lies in RAM.
fn resident(account: &Account) -> String {
    let pid = account.home.daemon().pid().expect("it runs");
    memory::resident(pid).map_or("unknown".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1_024.0))
}

fn row(what: &str, measured: String, goal: &str) {
    let goal = if goal.is_empty() { String::new() } else { format!("≤ {goal}") };
    println!("| {what} | {measured} | {goal} |");
}
