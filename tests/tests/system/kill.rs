//! Kill -9 of anything at any moment: nothing that was accepted is lost, nothing is there twice, order holds.
//!
//! Two writers send to each other through the command line, which is itself killed now and then and run again with
//! the same idempotency key. Meanwhile the relay and both daemons are killed at random moments and started again.
//! `HERMES_KILL_ROUNDS` sets the number of kills of a process, `HERMES_KILL_SEED` repeats a run's choices.

use std::{
    env,
    fmt::Debug,
    str::FromStr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use hermes_tests::world::{Account, World, wait};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Kills of a relay or a daemon when nothing else is asked for.
const ROUNDS: usize = 20;
/// A kill comes at most this long after everyone made progress.
const KILL_WITHIN: Duration = Duration::from_millis(200);
/// One run of the command line in so many is killed, within a time in which most of them end.
const CTL_KILLED_ONE_IN: u32 = 6;
const CTL_KILL_WITHIN: Duration = Duration::from_millis(30);
/// After a kill, one time in so many the restarted process is killed again before it is up.
const KILLED_AGAIN_ONE_IN: u32 = 4;
/// For everything to arrive at the end: it includes the longest pause between two attempts to connect.
const SETTLE: Duration = Duration::from_secs(180);

#[test]
fn nothing_is_lost_and_nothing_is_there_twice() {
    let rounds = setting("HERMES_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("HERMES_KILL_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{rounds} rounds; repeat with HERMES_KILL_ROUNDS={rounds} HERMES_KILL_SEED={seed}");
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let done = AtomicBool::new(false);
    let (from_alice, from_bob) = (Writer::new(&alice, "bob"), Writer::new(&bob, "alice"));

    thread::scope(|scope| {
        scope.spawn(|| from_alice.write(seed ^ 1, &done));
        scope.spawn(|| from_bob.write(seed ^ 2, &done));
        let ended = Finally(&done);
        kill_at_random(&world, [&from_alice, &from_bob], rounds, seed);
        drop(ended);
    });

    check_both_sides(&from_alice, &bob);
    check_both_sides(&from_bob, &alice);
    let runs = [&from_alice, &from_bob].map(|writer| writer.runs.load(Ordering::Relaxed));
    let texts = [&from_alice, &from_bob].map(Writer::accepted);
    println!(
        "{rounds} kills, {} messages accepted in {} runs of hermesctl",
        texts[0] + texts[1],
        runs[0] + runs[1]
    );
}

/// Lets the writers end even when this thread fails.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn kill_at_random(world: &World, writers: [&Writer; 2], rounds: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for round in 0..rounds {
        let before = writers.map(Writer::accepted);
        world.until(&format!("both writers get on in round {round}"), || {
            writers.iter().zip(before).all(|(writer, before)| writer.accepted() > before)
        });
        let victim = match writers.get(rng.random_range(0..3)) {
            Some(writer) => writer.account.home.daemon(),
            None => world.relay.process(),
        };
        loop {
            thread::sleep(random_below(KILL_WITHIN, &mut rng));
            victim.kill();
            victim.start();
            if !rng.random_ratio(1, KILLED_AGAIN_ONE_IN) {
                break;
            }
        }
    }
}

/// Sends numbered texts, each until it is accepted, and only then the next.
struct Writer<'a> {
    account: &'a Account,
    to: &'a str,
    accepted: AtomicUsize,
    runs: AtomicUsize,
}

impl<'a> Writer<'a> {
    fn new(account: &'a Account, to: &'a str) -> Self {
        Self { account, to, accepted: AtomicUsize::new(0), runs: AtomicUsize::new(0) }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// What was accepted, in order.
    fn texts(&self) -> Vec<String> {
        (0..self.accepted()).map(|number| self.text(number)).collect()
    }

    fn text(&self, number: usize) -> String {
        format!("{} writes number {number}", self.account.name)
    }

    fn write(&self, seed: u64, done: &AtomicBool) {
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
fn check_both_sides(writer: &Writer, reader: &Account) {
    let (account, texts) = (writer.account, writer.texts());
    let settled = wait::eventually(SETTLE, || account.all_delivered(writer.to));
    same(&texts, &account.sent(writer.to), &format!("sent by {}", account.name));
    same(&texts, &reader.received(&account.name), &format!("received by {}", reader.name));
    assert!(settled, "{} does not know that everything is delivered", account.name);
    let status = reader.status().expect("the daemon runs");
    assert_eq!(status.unreadable, 0, "{} could not read everything", reader.name);
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

fn random_below(most: Duration, rng: &mut ChaCha8Rng) -> Duration {
    most.mul_f64(rng.random_range(0.0..1.0))
}

fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error:?}")))
}
