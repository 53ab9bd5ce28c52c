//! Two who write to each other while all kinds of things end, and what has to be there afterwards.

use std::{
    env,
    fmt::Debug,
    str::FromStr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use hermes_tests::world::{Account, wait};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// One run of the command line in so many is killed, within a time in which most of them end.
const CTL_KILLED_ONE_IN: u32 = 6;
const CTL_KILL_WITHIN: Duration = Duration::from_millis(30);
/// For everything to arrive at the end: it includes the longest pause between two attempts to connect.
const SETTLE: Duration = Duration::from_secs(180);

/// Sends numbered texts, each until it is accepted, and only then the next.
pub(crate) struct Writer<'a> {
    pub(crate) account: &'a Account,
    to: &'a str,
    accepted: AtomicUsize,
    pub(crate) runs: AtomicUsize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(account: &'a Account, to: &'a str) -> Self {
        Self { account, to, accepted: AtomicUsize::new(0), runs: AtomicUsize::new(0) }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// What was accepted, in order.
    fn texts(&self) -> Vec<String> {
        (0..self.accepted()).map(|number| self.text(number)).collect()
    }

    fn text(&self, number: usize) -> String {
        format!("{} writes number {number}", self.account.name)
    }

    pub(crate) fn write(&self, seed: u64, done: &AtomicBool) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        while !done.load(Ordering::Relaxed) {
            let number = self.accepted();
            // Tried to the end even when the others are done: a run that was killed may have been accepted.
            wait::until(&format!("{} gets {:?} accepted", self.account.name, self.text(number)), || {
                self.send(number, &mut rng)
            });
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether this run of the command line says that the message was accepted.
    fn send(&self, number: usize, rng: &mut ChaCha8Rng) -> bool {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let (text, key) = (self.text(number), format!("{}-{number}", self.account.name));
        let arguments = self.account.arguments(&["send", self.to, &text, "--id", &key, "--json"]);
        let mut child = self.account.home.spawn_ctl(&arguments);
        drop(child.stdin.take());
        if rng.random_ratio(1, CTL_KILLED_ONE_IN) {
            thread::sleep(random_below(CTL_KILL_WITHIN, rng));
            child.kill().expect("a child can be killed");
        }
        let output = child.wait_with_output().expect("a child can be waited for");
        match output.status.code() {
            Some(0) => true,
            // Killed, or the daemon was gone.
            None | Some(3) => false,
            _ => panic!("{} is refused: {output:?}", self.account.name),
        }
    }
}

/// Both histories hold what the writer got accepted: all of it, once, in order, and known to be delivered.
pub(crate) fn check_both_sides(writer: &Writer, reader: &Account) {
    let (account, texts) = (writer.account, writer.texts());
    let settled = wait::eventually(SETTLE, || account.all_delivered(writer.to));
    same(&texts, &account.sent(writer.to), &format!("sent by {}", account.name));
    let received = reader.received(&account.name);
    if let Some(lost) = texts.iter().find(|text| !received.contains(text)) {
        println!("{lost:?} did not arrive; {} says of it:", account.name);
        println!("{}", testimony(account, &["log", &reader.name, "-n", "10000"], lost));
        println!("and {} of what is missing:\n{}", reader.name, testimony(reader, &["audit", "--json"], ""));
    }
    same(&texts, &received, &format!("received by {}", reader.name));
    assert!(settled, "{} does not know that everything is delivered", account.name);
    let status = reader.status().expect("the daemon runs");
    assert_eq!(status.unreadable, 0, "{} could not read everything", reader.name);
}

/// The lines of what a command says that have this in them.
fn testimony(account: &Account, arguments: &[&str], about: &str) -> String {
    let output = account.home.spawn_ctl(&account.arguments(arguments)).wait_with_output();
    let said = String::from_utf8_lossy(&output.expect("a child can be waited for").stdout).into_owned();
    said.lines().filter(|line| line.contains(about)).collect::<Vec<_>>().join("\n")
}

fn same(expected: &[String], found: &[String], what: &str) {
    if let Some(at) = (0..expected.len().max(found.len())).find(|at| expected.get(*at) != found.get(*at)) {
        let around = at.saturating_sub(2)..at + 3;
        panic!(
            "{what}: {} messages, {} expected; at {at}: {:?} where {:?} was expected",
            found.len(),
            expected.len(),
            found.get(around.start..around.end.min(found.len())),
            expected.get(around.start..around.end.min(expected.len())),
        );
    }
}

/// Lets the writers end even when this thread fails.
pub(crate) struct Finally<'a>(pub(crate) &'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn random_below(most: Duration, rng: &mut ChaCha8Rng) -> Duration {
    most.mul_f64(rng.random_range(0.0..1.0))
}

pub(crate) fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error:?}")))
}
