//! A group with a member of another relay: real daemons over two real relays.

use std::fs;

use hermes_api::{Body, ConnectionState, Direction};
use hermes_tests::world::{Account, Relay, World, wait::until};
use serde_json::Value;

/// How a group stands for an account, and how many are in it.
fn members(account: &Account) -> Option<(String, u64)> {
    let shown: Value = serde_json::from_str(&account.ctl(&["--json", "group", "show", "ops"]).stdout).ok()?;
    Some((shown["group"]["standing"].as_str()?.to_owned(), shown["group"]["members"].as_u64()?))
}

fn until_members(account: &Account, standing: &str, count: u64) {
    until(&format!("{} sees {count} members, itself {standing}", account.name), || {
        members(account) == Some((standing.to_owned(), count))
    });
}

/// What others wrote to the group.
fn heard(account: &Account) -> Vec<String> {
    let history = account.try_history("ops").unwrap_or_default();
    let received = history.into_iter().filter(|message| message.direction == Direction::In);
    let text = |message: hermes_api::Message| match message.body {
        Body::Text { text } => Some(text),
        _ => None,
    };
    received.filter_map(text).collect()
}

/// Each says something that all the others hear.
fn all_hear_all(members: &[&Account], round: &str) {
    for account in members {
        account.send("ops", &format!("{round} of {}", account.name));
    }
    for account in members {
        until(&format!("{} hears everybody in {round}", account.name), || {
            let heard = heard(account);
            let others = members.iter().filter(|other| other.name != account.name);
            others.clone().all(|other| heard.contains(&format!("{round} of {}", other.name)))
        });
    }
}

/// The connections of an account's mailboxes at other relays.
fn guests(account: &Account) -> Vec<(String, ConnectionState)> {
    let status = account.status().expect("the daemon runs");
    status.guests.into_iter().map(|guest| (guest.relay, guest.connection.state)).collect()
}

fn until_connected_to(account: &Account, relay: &Relay) {
    until(&format!("{} is connected to the group's relay", account.name), || {
        guests(account) == [(relay.address().to_string(), ConnectionState::Connected)]
    });
}

#[test]
fn a_group_has_a_member_of_another_relay() {
    let world = World::new();
    let other = world.another_relay("other");
    let [alice, carol] = ["alice", "carol"].map(|name| world.account(name));
    let bob = world.account_at("bob", &other);
    alice.pair(&bob);
    alice.pair(&carol);
    world.relay.ask_for_tokens();

    // What the relay asks for is known once bob's daemon has tried, and the others are not held up.
    bob.home.kill();
    let made = alice.ctl(&["group", "create", "ops", "bob", "carol"]).ok();
    assert!(made.stderr.contains("bob: added as soon as"), "{made:#?}");
    let shown = alice.ctl(&["group", "show", "ops"]).ok().stdout;
    assert!(shown.contains("bob: waits for bob's mailbox at 127.0.0.1:"), "{shown}");
    until_members(&carol, "member", 2);
    bob.home.start();
    until("alice sees what is missing", || {
        alice.ctl(&["group", "show", "ops"]).ok().stdout.contains("without a valid registration token")
    });
    assert!(guests(&bob).is_empty());
    let token = world.place("token");
    fs::write(&token, "nonsense").unwrap();
    let add = ["--json", "group", "add", "ops", "bob", "--token-file", token.to_str().unwrap()];
    let refused = alice.ctl(&add).expect(1);
    assert_eq!(refused.json_error()["error"]["code"], "registration-refused", "{refused:#?}");
    fs::write(&token, world.relay.token()).unwrap();
    alice.ctl(&add).ok();
    until_members(&bob, "member", 3);
    until_members(&carol, "member", 3);
    until_connected_to(&bob, &world.relay);
    assert!(guests(&carol).is_empty());
    all_hear_all(&[&alice, &bob, &carol], "one");

    // Everybody starts anew, and so do both relays; what was said meanwhile is there.
    bob.home.kill();
    alice.send("ops", "while bob is away");
    bob.home.start();
    until("bob has it", || heard(&bob).contains(&"while bob is away".to_owned()));
    for account in [&alice, &carol] {
        account.home.kill();
        account.home.start();
    }
    world.relay.restart();
    other.restart();
    all_hear_all(&[&alice, &bob, &carol], "two");

    // Out, and in again without another token.
    alice.ctl(&["group", "rm", "ops", "bob"]).ok();
    until_members(&bob, "removed", 3);
    alice.send("ops", "without bob");
    until("carol has it", || heard(&carol).contains(&"without bob".to_owned()));
    alice.ctl(&["group", "add", "ops", "bob"]).ok();
    until_members(&bob, "member", 3);
    all_hear_all(&[&alice, &bob, &carol], "three");
    assert!(!heard(&bob).contains(&"without bob".to_owned()));

    // As an admin, bob uploads what those who come need over the mailbox that he has there.
    alice.ctl(&["group", "role", "ops", "bob", "admin"]).ok();
    bob.pair(&carol);
    until("bob sees himself as an admin", || {
        let shown = bob.ctl(&["--json", "group", "show", "ops"]).ok().json();
        shown["group"]["role"] == "admin"
    });
    bob.ctl(&["group", "rm", "ops", "carol"]).ok();
    until_members(&carol, "removed", 3);
    bob.ctl(&["group", "add", "ops", "carol"]).ok();
    until_members(&carol, "member", 3);
    all_hear_all(&[&alice, &bob, &carol], "four");
    let doctor = bob.ctl(&["doctor"]);
    assert!(doctor.stdout.contains("for groups there"), "{doctor:#?}");
    for account in [&alice, &bob, &carol] {
        assert_eq!(account.status().unwrap().unreadable, 0, "{}", account.name);
    }
}
