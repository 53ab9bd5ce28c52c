//! A disk without room: what was accepted stays, what was not says so, and with room again everything goes on.

use std::{
    env,
    fs::{self, File},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use crate::skip::skipped_because;
use hermes_tests::world::{Account, Home, Log, Programs, Relay, World, disk::SmallDisk, wait::until};

/// Enough for a relay and for an account, and filled in no time.
const MEBIBYTES: u32 = 96;
/// How often the disk fills up, with a little more room each time, unless `HERMES_DISK_LEVELS` says otherwise.
const LEVELS: usize = 1;
/// Bytes by which the room grows.
const STEP: usize = 8 * 1024;
/// Bytes that are left to the relay at first.
const RELAY_LEFT: usize = 100_000;
/// What a disk with the most room does not take.
const TEXTS: usize = 100;

#[test]
fn a_relay_whose_disk_is_full_says_so_and_loses_nothing() {
    let world = World::new();
    let Some(disk) = small_disk(&world) else { return };
    let relay = Relay::start(disk.path(), None, Log::Own);
    let settle = |name: &str| {
        let home = world.home(name);
        home.start();
        Account::create(&home, name, &relay.address().to_string())
    };
    let (alice, bob) = (settle("alice"), settle("bob"));
    alice.pair(&bob);
    let mut sent = Vec::new();
    for level in 0..levels() {
        bob.home.stop();
        disk.fill(RELAY_LEFT + level * STEP);
        for number in 0..TEXTS {
            let text = format!("{level} {number} {}", "x".repeat(8_000));
            // Its outbox has room for all of them.
            drop(alice.send("bob", &text));
            sent.push(text);
        }
        until("the relay ends", || relay.process().ended().is_some_and(|status| !status.success()));
        let log = fs::read_to_string(relay.log()).unwrap();
        assert!(log.contains("disk is full") || log.contains("No space left"), "{log}");
        assert!(alice.status().unwrap().outbox > 0);

        disk.free();
        relay.restart();
        bob.home.start();
        until("all is there", || bob.received("alice").len() == sent.len());
        assert_eq!(bob.received("alice"), sent);
    }
}

#[test]
fn a_daemon_whose_disk_is_full_stores_nothing_and_says_so_and_goes_on_with_room() {
    let world = World::new();
    let Some(disk) = small_disk(&world) else { return };
    let alice = world.account("alice");
    let home = Arc::new(Home::new(disk.path().join("bob"), Log::Own));
    home.start();
    let bob = Account::create(&home, "bob", &world.relay.address().to_string());
    alice.pair(&bob);
    let (mut taken, mut sent) = (Vec::new(), Vec::new());
    for level in 0..levels() {
        disk.fill(level * STEP);
        let refused = loop {
            let text = format!("{level} {} {}", taken.len(), "y".repeat(8_000));
            let outcome = bob.ctl(&["send", "alice", &text]);
            if outcome.code != Some(0) {
                break outcome;
            }
            // What SQLite had room for in its log was taken, and counts.
            taken.push(text);
            assert!(taken.len() < (level + 1) * TEXTS, "the disk is not full");
        };
        refused.refused(3).says(&["nothing was confirmed", "disk is full"]);
        sent.push(format!("{level} while there is no room"));
        drop(alice.send("bob", sent.last().unwrap()));

        disk.free();
        until("bob has it", || bob.received("alice") == sent);
        let text = format!("{level} with room");
        until("bob can write again", || bob.ctl(&["send", "alice", &text]).code == Some(0));
        taken.push(text);
        // What was refused is nowhere.
        until("alice has it", || alice.received("bob").last() == taken.last());
        assert_eq!(alice.received("bob"), taken);
    }
}

/// Standard error of both is a log file, as a service's may be.
#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let world = World::new();
    let alice = world.account("alice");
    let home = Arc::new(Home::new(world.place("mute"), Log::Own));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let daemon = Command::new(Programs::get().daemon())
        .env("HERMES_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(full)
        .spawn();
    let mut daemon = Killed(daemon.unwrap());
    until("it is there", || home.ctl(&["status"]).code == Some(0) || daemon.0.try_wait().unwrap().is_some());
    let bob = Account::create(&home, "bob", &world.relay.address().to_string());
    alice.pair(&bob);
    alice.send("bob", "hello");
    until("bob has it", || bob.received("alice") == ["hello"]);
}

/// Ended with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn levels() -> usize {
    env::var("HERMES_DISK_LEVELS").map_or(LEVELS, |levels| levels.parse().expect("a number"))
}

fn small_disk(world: &World) -> Option<SmallDisk> {
    match SmallDisk::mount(world.place("disk"), MEBIBYTES) {
        Ok(disk) => Some(disk),
        Err(error) => {
            skipped_because("a full disk", &format!("no disk can be mounted here: {error}"));
            None
        }
    }
}
