//! Whole programs: a store that is put back from an old copy, and two copies of one store at once.

use hermes_api::{RecoverOutcome, StoreState, StoreStatus};
use hermes_tests::world::{Account, World};

fn store(account: &Account) -> Option<StoreStatus> {
    account.status().map(|status| status.store)
}

fn is(account: &Account, state: StoreState) -> bool {
    store(account).is_some_and(|store| store.state == state)
}

/// What `hermesctl status` shows people.
fn shown(account: &Account) -> String {
    account.home.ctl(&["status"]).ok().stdout
}

#[test]
fn a_store_that_was_put_back_says_so_and_renews_its_sessions() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.send("bob", "before the copy");
    world.until("it is delivered", || alice.all_delivered("bob"));
    alice.home.stop();
    let copy = alice.home.copy_store("alice");
    alice.home.start();
    alice.until_connected();
    assert!(is(&alice, StoreState::Ok));
    alice.send("bob", "after the copy");
    world.until("it is delivered", || alice.all_delivered("bob"));
    alice.home.stop();

    alice.home.put_store_back("alice", &copy);
    alice.home.start();
    world.until("it is known to be an old copy", || is(&alice, StoreState::Restored));
    alice.until_connected();
    let status = shown(&alice);
    println!("{status}");
    assert!(status.contains("restored from an old copy") && status.contains("of 1 contacts"), "{status}");
    assert_eq!(alice.sent("bob"), ["before the copy"]);
    let json = alice.home.ctl(&["status", "--json"]).ok().json();
    assert_eq!(json["accounts"][0]["store"]["state"], "restored");
    // What only the lost store knew is said again, and what was sent waits for the new session.
    bob.send("alice", "to the restored one");
    alice.send("bob", "from the restored one");
    world.until("all sessions are renewed", || {
        store(&alice).and_then(|store| store.restored).is_some_and(|restored| restored.renewed == 1)
    });
    world.until("both have heard each other", || alice.all_delivered("bob") && bob.all_delivered("alice"));
    assert_eq!(bob.received("alice"), ["before the copy", "after the copy", "from the restored one"]);
    assert_eq!(alice.received("bob"), ["to the restored one"]);
    let status = shown(&alice);
    println!("{status}");
    assert!(status.contains("renewed with 1 of 1 contacts"), "{status}");
    assert!(status.contains("hermesctl recover ends this notice"), "{status}");
    // The relay gives out no prekey of the store that is lost, and has new ones.
    world.until("new prekeys are there", || {
        alice.status().is_some_and(|status| status.one_time_prekeys.is_some_and(|count| count >= 100))
    });
    assert!(is(&bob, StoreState::Ok));
    // Started once more, it is no old copy again.
    let restored = store(&alice).and_then(|store| store.restored).map(|restored| restored.at);
    alice.home.stop();
    alice.home.start();
    alice.until_connected();
    assert_eq!(store(&alice).and_then(|store| store.restored).map(|restored| restored.at), restored);
}

#[test]
fn of_two_copies_at_once_one_stops_and_the_user_decides_which() {
    let world = World::new();
    let (first, _bob) = world.pair("alice", "bob");
    first.home.stop();
    let second = Account { home: world.home("second"), name: "alice".to_owned() };
    second.home.put_store_back("alice", &first.home.copy_store("alice"));
    first.home.start();
    first.until_connected();
    second.home.start();
    one_works(&world, &first, &second);

    let refused = second.ctl(&["send", "bob", "from the wrong copy"]).refused(1);
    refused.says(&["another copy of this account's store is at work", "hermesctl recover"]);
    let status = shown(&second);
    println!("{status}");
    assert!(status.contains("another copy is running: this one is stopped"), "{status}");
    assert!(status.contains("hermesctl recover"), "{status}");
    world.until("the first one has noticed", || is(&first, StoreState::CopySeen));
    let status = shown(&first);
    println!("{status}");
    assert!(status.contains("another copy of this store was seen"), "{status}");

    // Nobody says yes by accident.
    second.ctl(&["recover"]).refused(2).says(&["hermesctl recover --yes"]);
    assert!(is(&second, StoreState::Stopped));
    let took_over = second.ctl(&["recover", "--yes"]).ok();
    println!("{}", took_over.stdout);
    assert!(took_over.stdout.contains("goes on with this copy"), "{took_over:#?}");
    one_works(&world, &second, &first);

    // The alarm ends with the user's word, and the other copy stays stopped, also when it is started again.
    world.until("the other copy is stopped and known", || is(&second, StoreState::CopySeen));
    let noted = second.ctl(&["recover", "--json"]).ok().json();
    assert_eq!(noted["outcome"], "alarm-ended");
    assert!(is(&second, StoreState::Ok));
    first.home.stop();
    first.home.start();
    world.until("it is stopped", || is(&first, StoreState::Stopped));
    let seen = || store(&first).and_then(|store| store.copy_seen_at);
    let before = seen();
    let flipped = first.ctl(&["recover", "--yes", "--json"]).ok().json();
    let outcome: RecoverOutcome = serde_json::from_value(flipped["outcome"].clone()).unwrap();
    assert_eq!(outcome, RecoverOutcome::TookOver);
    one_works(&world, &first, &second);
    // The other one came back once more before it stopped, which may be noticed only now and is an alarm of its own.
    world.until("that is noticed", || seen() > before);
    first.ctl(&["recover"]).ok();
    first.ctl(&["recover"]).refused(1).says(&["the one that works"]);
}

/// Waits until `works` is connected and `other` is stopped.
fn one_works(world: &World, works: &Account, other: &Account) {
    world.until("one copy is stopped", || is(other, StoreState::Stopped));
    world.until("the other one works", || works.is_connected() && !is(works, StoreState::Stopped));
    assert!(!other.is_connected());
}
