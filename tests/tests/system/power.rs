//! The power goes at any moment: what was accepted was on the disk, and not only on its way there.
//!
//! As when everything is killed, but what the system has in its caches is lost with it. `HERMES_POWER_CUTS` sets the number
//! of cuts, `HERMES_POWER_SEED` repeats a run's choices. Said to be skipped where no disk can be mounted.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

use crate::{
    skip::skipped_because,
    writer::{Finally, Writer, check_both_sides, random_below, setting},
};
use hermes_tests::world::{Account, Home, Log, Relay, World, power::PowerDisk, wait::until};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rustix::process::Signal;
use tempfile::TempDir;

/// Cuts when nothing else is asked for.
const CUTS: usize = 6;
/// A cut comes at most this long after everyone made progress.
const CUT_WITHIN: Duration = Duration::from_millis(200);
/// Enough for a relay or a daemon.
const MEBIBYTES: u64 = 256;

#[test]
fn a_power_cut_loses_nothing_that_was_accepted() {
    let cuts = setting("HERMES_POWER_CUTS").unwrap_or(CUTS);
    let seed = setting("HERMES_POWER_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{cuts} cuts; repeat with HERMES_POWER_CUTS={cuts} HERMES_POWER_SEED={seed}");
    let directory = KeptOnPanic(Some(tempfile::Builder::new().prefix("hm").tempdir().unwrap()));
    let place = |name: &str| directory.path().join(name);
    let disks: Result<Vec<_>, _> = ["relay", "alice", "bob"].iter().map(|name| disk(place(name))).collect();
    let disks = match disks {
        Ok(disks) => disks,
        Err(error) => {
            return skipped_because(
                "power cuts",
                &format!("no disk can be mounted and cut off here: {error}"),
            );
        }
    };
    let relay = Relay::start(disks[0].path(), None, Log::Own);
    let settle = |disk: &PowerDisk, name: &str| {
        let home = Arc::new(Home::new(disk.path().join("home"), Log::Own));
        home.start();
        Account::create(&home, name, &relay.address().to_string())
    };
    let (alice, bob) = (settle(&disks[1], "alice"), settle(&disks[2], "bob"));
    alice.pair(&bob);
    let done = AtomicBool::new(false);
    let (from_alice, from_bob) = (Writer::new(&alice, "bob"), Writer::new(&bob, "alice"));

    thread::scope(|scope| {
        scope.spawn(|| from_alice.write(seed ^ 1, &done));
        scope.spawn(|| from_bob.write(seed ^ 2, &done));
        let ended = Finally(&done);
        cut_at_random(&relay, &disks, [&from_alice, &from_bob], cuts, seed);
        drop(ended);
    });

    check_both_sides(&from_alice, &bob);
    check_both_sides(&from_bob, &alice);
    println!("{cuts} power cuts, {} messages accepted", from_alice.accepted() + from_bob.accepted());
}

/// Leaves the disks to whoever wants to know why the test failed.
struct KeptOnPanic(Option<TempDir>);

impl KeptOnPanic {
    fn path(&self) -> &Path {
        self.0.as_ref().expect("it is there until the end").path()
    }
}

impl Drop for KeptOnPanic {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(directory) = self.0.take()
        {
            println!("the disks are kept in {}", directory.keep().display());
        }
    }
}

/// What becomes of a disk from one moment to the next.
type Fault = (&'static str, fn(&PowerDisk) -> io::Result<()>);

const FAULTS: [Fault; 2] = [
    ("every read, write and sync fails", PowerDisk::cut),
    ("nothing can be written any more", PowerDisk::make_read_only),
];

#[test]
fn a_daemon_whose_disk_fails_accepts_nothing_more_and_goes_on_when_it_is_back() {
    let world = World::new();
    let home = world.home("bob");
    let Some(disk) = disk_or_skip("a disk that fails", home.path().join("data")) else { return };
    let alice = world.account("alice");
    home.start();
    let bob = Account::create(&home, "bob", &world.relay.address().to_string());
    alice.pair(&bob);
    let (mut accepted, mut asked) = (Vec::new(), Vec::new());
    for (fault, happens) in FAULTS {
        for number in 0..5 {
            accepted.push(format!("while all is well {number}, before {fault}"));
            bob.send("alice", accepted.last().unwrap());
        }
        happens(&disk).unwrap();
        for number in 0..5 {
            bob.ctl(&["send", "alice", &format!("{number} when {fault}")]).refused(3);
        }
        asked.push(format!("are you there when {fault}?"));
        alice.send("bob", asked.last().unwrap());

        home.kill();
        disk.restore();
        home.start();
        until("bob has it", || bob.received("alice") == asked);
        accepted.push(format!("back after {fault}"));
        bob.send("alice", accepted.last().unwrap());
        until("alice has it", || alice.received("bob").last() == accepted.last());
        // What was refused is nowhere.
        assert_eq!(alice.received("bob"), accepted);
    }
}

#[test]
fn a_relay_whose_disk_fails_ends_and_loses_nothing() {
    let directory = tempfile::Builder::new().prefix("hm").tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let state = place("relay").join("state");
    let Some(disk) = disk_or_skip("a relay's disk that fails", state) else { return };
    let relay = Relay::start(&place("relay"), None, Log::Own);
    let settle = |name: &str| {
        let home = Arc::new(Home::new(place(name), Log::Own));
        home.start();
        Account::create(&home, name, &relay.address().to_string())
    };
    let (alice, bob) = (settle("alice"), settle("bob"));
    alice.pair(&bob);
    let mut texts = Vec::new();
    let mut five_more = |when: &str| {
        for number in 0..5 {
            texts.push(format!("{number} {when}"));
            alice.send("bob", texts.last().unwrap());
        }
        texts.clone()
    };
    for (fault, happens) in FAULTS {
        bob.home.stop();
        five_more("before");
        until("the relay has them", || alice.status().is_some_and(|status| status.outbox == 0));
        happens(&disk).unwrap();
        let texts = five_more(fault);
        until("the relay ends", || relay.process().ended().is_some_and(|status| !status.success()));
        assert!(alice.status().unwrap().outbox > 0, "nothing was durable any more");

        relay.process().kill();
        disk.restore();
        relay.restart();
        bob.home.start();
        until("all is there", || bob.received("alice").len() == texts.len());
        assert_eq!(bob.received("alice"), texts);
    }
}

fn disk_or_skip(what: &str, path: PathBuf) -> Option<PowerDisk> {
    let mounted = disk(path);
    if let Err(error) = &mounted {
        skipped_because(what, &format!("no disk can be mounted and cut off here: {error}"));
    }
    mounted.ok()
}

fn disk(path: PathBuf) -> io::Result<PowerDisk> {
    let disk = PowerDisk::mount(path, MEBIBYTES)?;
    // Whoever may mount one and not cut it off is skipped and does not fail.
    disk.cut()?;
    disk.restore();
    Ok(disk)
}

fn cut_at_random(relay: &Relay, disks: &[PowerDisk], writers: [&Writer<'_>; 2], cuts: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for cut in 0..cuts {
        let before = writers.map(Writer::accepted);
        until(&format!("both writers get on before cut {cut}"), || {
            writers.iter().zip(before).all(|(writer, before)| writer.accepted() > before)
        });
        // Of few cuts, some of each.
        let victim = (cut + rng.random_range(0..2)) % disks.len();
        thread::sleep(random_below(CUT_WITHIN, &mut rng));
        let program = match victim {
            0 => relay.process(),
            victim => writers[victim - 1].account.home.daemon(),
        };
        // Whoever has no power says nothing more, and so nothing of a sync that the cut ended: the kernel's answer to one
        // that was under way is not to be relied on.
        program.signal(Signal::STOP);
        disks[victim].cut().expect("it could be cut at first");
        match victim {
            0 => {
                relay.process().kill();
                disks[0].restore();
                relay.restart();
            }
            victim => {
                let home = &writers[victim - 1].account.home;
                home.kill();
                disks[victim].restore();
                home.start();
            }
        }
    }
}
