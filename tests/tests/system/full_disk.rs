//! A disk without room: what was accepted stays, what was not says so, and with room again everything goes on.

use std::{fs, sync::Arc};

use crate::skip::skipped_because;
use hermes_tests::world::{Account, Home, Log, Relay, World, disk::SmallDisk, wait::until};

/// Enough for a relay and for an account, and filled in no time.
const MEBIBYTES: u32 = 96;

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
    bob.home.stop();

    disk.fill(200_000);
    let texts: Vec<_> = (0..100).map(|number| format!("{number} {}", "x".repeat(8_000))).collect();
    texts.iter().for_each(|text| drop(alice.send("bob", text)));
    until("the relay ends", || relay.process().ended().is_some_and(|status| !status.success()));
    let log = fs::read_to_string(relay.log()).unwrap();
    assert!(log.contains("disk is full") || log.contains("No space left"), "{log}");
    assert!(alice.status().unwrap().outbox > 0);

    disk.free();
    relay.restart();
    bob.home.start();
    until("all is there", || bob.unread().len() == texts.len());
    assert_eq!(bob.unread(), texts);
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

    disk.fill(0);
    let mut taken = 0;
    let refused = loop {
        let outcome = bob.ctl(&["send", "alice", &format!("{taken} {}", "y".repeat(8_000))]);
        if outcome.code != Some(0) {
            break outcome;
        }
        // What SQLite had room for in its log was taken, and counts.
        taken += 1;
        assert!(taken < 50, "the disk is not full");
    };
    refused.refused(3).says(&["nothing was confirmed", "disk is full"]);
    alice.send("bob", "while there is no room");

    disk.free();
    until("bob has it", || bob.unread().iter().any(|text| text == "while there is no room"));
    until("bob can write again", || bob.ctl(&["send", "alice", "with room"]).code == Some(0));
    until("alice has it", || alice.unread().last().is_some_and(|text| text == "with room"));
    assert!(alice.unread().len() > taken);
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
