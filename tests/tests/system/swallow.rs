//! A relay that takes messages and does not deliver them, against real daemons.

use hermes_protocol::Invite;
use hermes_relay::{Outcome, Policy, Relay, Request, Store, state::StateDirectory};
use hermes_tests::world::{Account, World};
use hermes_wire::{MailboxId, Sequence};
use serde_json::Value;

/// Where the account's mail arrives.
fn mailbox(account: &Account) -> MailboxId {
    account.invite().parse::<Invite>().expect("an invite").ticket.mailbox
}

/// The relay deletes what waits in a mailbox, as if its owner had come for it.
fn swallow(world: &World, mailbox: MailboxId) {
    world.relay.process().kill();
    {
        let state = StateDirectory::open(world.relay.state().to_owned()).expect("the relay's state");
        let store = state.store().expect("the relay's store");
        let mut relay = Relay::new(store, Policy::default()).expect("a relay");
        let now = hermes_relay::clock::now();
        let waiting = relay.store().mailbox(mailbox).expect("a row").expect("a mailbox");
        assert!(waiting.stored.envelopes > 0, "nothing waits");
        let request = Request::Ack { mailbox, upto: Sequence(waiting.head.0) };
        let outcomes = relay.apply(now, vec![request]).expect("a commit");
        assert!(!outcomes.iter().any(|outcome| matches!(outcome, Outcome::Refused(_))), "{outcomes:?}");
    }
    world.relay.process().start();
}

fn audit(account: &Account, exit: i32) -> Value {
    account.ctl(&["audit", "--json"]).expect(exit).json()
}

#[test]
fn what_a_relay_swallowed_shows_on_both_sides() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let mailbox = mailbox(&bob);
    alice.ctl(&["send", "bob", "one", "--wait=delivered"]).ok();
    assert_eq!(bob.ctl(&["audit"]).ok().stdout, "Nothing is missing.\n");

    bob.home.kill();
    alice.ctl(&["send", "bob", "two", "--wait=relayed"]).ok();
    alice.ctl(&["send", "bob", "three", "--wait=relayed"]).ok();
    swallow(&world, mailbox);
    alice.until_connected();
    bob.home.start();
    alice.ctl(&["send", "bob", "four", "--wait=delivered"]).ok();

    assert_eq!(bob.received("alice"), ["one", "four"]);
    let found = audit(&bob, 1);
    assert_eq!((&found["complete"], &found["chats"][0]["chat"]), (&false.into(), &"alice".into()));
    let received = &found["chats"][0]["received"];
    assert_eq!((&received["missing"], &received["through"]), (&2.into(), &1.into()));
    let gap = &received["gaps"][0];
    assert_eq!((&gap["first"], &gap["last"]), (&2.into(), &3.into()));
    assert_eq!((&gap["previous"]["ref"], &gap["next"]["ref"]), (&"alice#1".into(), &"alice#2".into()));
    let said = bob.ctl(&["audit", "alice"]).expect(1).stdout;
    assert!(
        said.starts_with("alice: 2 messages missing: 2-3, sent between ") && said.contains("(alice#1)"),
        "{said}"
    );
    assert!(said.ends_with("\n2 messages are missing.\n"), "{said}");
    assert!(bob.ctl(&["log", "alice"]).ok().stdout.contains("\n— 2 messages missing —\n"));
    assert!(bob.ctl(&["status"]).ok().stdout.contains("2 messages: hermesctl audit"));
    bob.ctl(&["audit", "nobody"]).refused(5);

    // Alice's daemon knows which ones Bob never confirmed; that alone is no proof.
    let found = audit(&alice, 0);
    let waits = found["chats"][0]["sent"]["unconfirmed"].as_array().expect("a list");
    let waits: Vec<_> = waits.iter().map(|waits| waits["ref"].as_str().expect("a name")).collect();
    assert_eq!(waits, ["bob#2", "bob#3"]);
}
