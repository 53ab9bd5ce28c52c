//! A daemon or a relay ends, or is told of an error by its disk, at one system call after the other, while a message goes
//! through it: nothing that was accepted is lost, nothing is there twice, and all goes on.
//!
//! One call of each program in each run, drawn at random; `HERMES_TRAP_STRIDE=1` tries every one, `=5` every fifth. Said to be
//! skipped where programs cannot be traced.

use std::time::{Duration, Instant};

use crate::{skip::skipped_because, writer::setting};
use hermes_tests::world::{
    Account, Process, World,
    trap::{Mishap, Trap},
    wait,
};

/// How many calls of a kind a thread makes at least, most of the time, until a message is through.
const MOST: usize = 12;
/// A message that waits for a pause between two attempts to connect, and for one more.
const SETTLE: Duration = Duration::from_secs(180);
/// Calls that change a disk or tell others something, of SQLite, the relay's store, and both of them.
const KILLED_AT: [&str; 8] =
    ["pwrite64", "fdatasync", "fsync", "write", "ftruncate", "unlink", "rename", "sendmsg"];
/// Calls that a disk may fail at. Not `write`, with which threads wake each other, too.
const FAILS_AT: [&str; 4] = ["pwrite64", "fdatasync", "fsync", "ftruncate"];

#[test]
fn ended_at_any_call_nothing_is_lost_or_there_twice() {
    all_goes_on(&KILLED_AT, Mishap::Kill);
}

#[test]
fn a_disk_that_fails_once_at_any_call_loses_nothing() {
    all_goes_on(&FAILS_AT, Mishap::Fails);
}

/// Whose calls.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Author,
    Reader,
    Relay,
}

fn all_goes_on(calls: &[&'static str], mishap: Mishap) {
    if let Err(error) = Trap::possible() {
        return skipped_because("traps", &format!("no program can be traced here: {error}"));
    }
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let mut talk = Talk { world: &world, alice, bob, sent: Vec::new(), met: 0 };
    for victim in [Victim::Author, Victim::Reader, Victim::Relay] {
        match setting("HERMES_TRAP_STRIDE") {
            Some(stride) => talk.meets_one_after_the_other(victim, calls, mishap, stride),
            None => {
                let call = calls[rand::random_range(0..calls.len())];
                talk.meets(victim, &Trap { call, number: rand::random_range(1..=MOST), mishap });
            }
        }
    }
    println!("{} messages, {} of them while {mishap:?} happened", talk.sent.len(), talk.met);
}

struct Talk<'a> {
    world: &'a World,
    alice: Account,
    bob: Account,
    sent: Vec<String>,
    /// How many met with it.
    met: usize,
}

impl Talk<'_> {
    /// Until a program outlives a message.
    fn meets_one_after_the_other(
        &mut self,
        victim: Victim,
        calls: &[&'static str],
        mishap: Mishap,
        stride: usize,
    ) {
        for call in calls {
            let mut number = 1 + rand::random_range(0..stride);
            while self.meets(victim, &Trap { call, number, mishap }) {
                number += stride;
            }
        }
    }

    /// A message goes through while the trap is set. Whether it was met with.
    fn meets(&mut self, victim: Victim, trap: &Trap) -> bool {
        let what = format!("{victim:?} {trap:?}");
        let (text, id) = (format!("{} {what}", self.sent.len()), format!("number {}", self.sent.len()));
        self.sent.push(text.clone());
        let began = Instant::now();
        let process = self.process(victim);
        process.kill();
        process.start_trapped(trap);
        let mut ended = false;
        // As who looks after services.
        let mut look = || {
            if process.ended().is_some() {
                ended = true;
                process.kill();
                process.start();
            }
        };
        wait::until(&format!("{what}: the text is accepted"), || {
            look();
            match self.alice.ctl(&["send", "bob", &text, "--id", &id]).code {
                Some(0) => true,
                // The daemon is gone, or could not store it.
                Some(3) => false,
                code => panic!("{what}: {code:?}"),
            }
        });
        wait::until_within(SETTLE, &format!("{what}: the text arrives"), || {
            look();
            self.alice.all_delivered("bob")
        });
        let met = ended || process.ended().is_some() || process.was_trapped();
        // What comes now is not to meet with it instead.
        process.kill();
        process.start();
        wait::until("both answer", || self.alice.home.answers() && self.bob.home.answers());
        assert_eq!(self.bob.received("alice"), self.sent, "{what}");
        assert_eq!(self.alice.sent("bob"), self.sent, "{what}");
        self.met += usize::from(met);
        println!("{what}: {} after {:?}", if met { "met with" } else { "outlived" }, began.elapsed());
        met
    }

    fn process(&self, victim: Victim) -> &Process {
        match victim {
            Victim::Author => self.alice.home.daemon(),
            Victim::Reader => self.bob.home.daemon(),
            Victim::Relay => self.world.relay.process(),
        }
    }
}
