//! Groups of real daemons over a real relay, from the command line.

use std::fs;

use hermes_api::{Direction, Standing};
use hermes_tests::world::{Account, World, wait::until};
use serde_json::Value;

/// Daemons of the large group.
const CROWD: usize = 30;

/// Whether the account is in the group, and how many are with it.
fn members(account: &Account, group: &str) -> Option<(String, u64)> {
    let shown = account.ctl(&["--json", "group", "show", group]);
    let shown: Value = serde_json::from_str(&shown.stdout).ok()?;
    Some((shown["group"]["standing"].as_str()?.to_owned(), shown["group"]["members"].as_u64()?))
}

fn until_members(account: &Account, group: &str, standing: &str, count: u64) {
    until(&format!("{} sees {count} members, itself {standing}", account.name), || {
        members(account, group) == Some((standing.to_owned(), count))
    });
}

/// Texts of a member, or of everybody, in the order of the log.
fn texts(account: &Account, group: &str, from: Option<&str>) -> Vec<String> {
    let history = account.try_history(group).unwrap_or_default();
    let of = |message: &hermes_api::Message| {
        let author = message.author.as_ref().map(|author| author.name.as_str());
        message.direction == Direction::In && from.is_none_or(|from| author == Some(from))
    };
    let texts = history.into_iter().filter(of).map(|message| match message.body {
        hermes_api::Body::Text { text } => text,
        other => panic!("{other:?}"),
    });
    texts.collect()
}

#[test]
fn a_group_lives_while_its_members_come_and_go() {
    let world = World::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.account(name));
    alice.pair(&bob);
    alice.pair(&carol);

    // Carol is away from here on and has to be able to come back to all of it.
    alice.send("carol", "a word before");
    until("carol has given what is needed to add her", || !carol.unread().is_empty());
    carol.home.kill();
    let made = alice.ctl(&["--json", "group", "create", "Night Shift", "bob", "carol"]).ok().json();
    assert_eq!(
        (&made["group"]["name"], &made["group"]["title"]),
        (&"night-shift".into(), &"Night Shift".into())
    );
    assert_eq!((&made["group"]["members"], &made["waiting"]), (&3.into(), &Value::Array(Vec::new())));
    until_members(&bob, "night-shift", "member", 3);
    alice.send("night-shift", "one");
    until("bob has it", || texts(&bob, "night-shift", Some("alice")) == ["one"]);
    bob.send("night-shift", "two");
    until("alice has it", || texts(&alice, "night-shift", Some("bob")) == ["two"]);

    // A new member, a new name and a removal while she is away.
    let dave = world.account("dave");
    alice.pair(&dave);
    alice.ctl(&["group", "add", "night-shift", "dave"]).ok();
    until_members(&dave, "night-shift", "member", 4);
    alice.ctl(&["group", "rename", "night-shift", "Day Shift"]).ok();
    alice.ctl(&["group", "rm", "night-shift", "bob"]).ok();
    until_members(&bob, "night-shift", "removed", 4);
    alice.send("night-shift", "three");
    until("dave has it", || texts(&dave, "night-shift", None) == ["three"]);
    let refused = bob.ctl(&["--json", "send", "night-shift", "late"]).expect(1).json();
    assert_eq!(refused["results"][0]["error"]["code"], "group-closed");

    carol.home.start();
    until("carol has everything, in order", || texts(&carol, "night-shift", None) == ["one", "two", "three"]);
    until_members(&carol, "night-shift", "member", 3);
    assert_eq!(texts(&bob, "night-shift", None), ["one"], "nothing was read after the removal");

    // Dave is nobody's contact here but alice's: carol sees his name and his key.
    dave.send("night-shift", "four");
    until("carol has it", || texts(&carol, "night-shift", None).len() == 4);
    let inbox = carol.ctl(&["inbox", "--from", "night-shift"]).ok();
    let last = inbox.stdout.lines().last().unwrap().to_owned();
    let fingerprint = dave.status().unwrap().fingerprint;
    assert!(last.ends_with(&format!("dave ({}): four", &fingerprint[..8])), "{}", inbox.stdout);

    carol.ctl(&["group", "leave", "night-shift"]).ok();
    until_members(&carol, "night-shift", "left", 3);
    until_members(&dave, "night-shift", "member", 2);
}

#[test]
fn the_sender_sees_who_has_a_message() {
    let world = World::new();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.account(name));
    alice.pair(&bob);
    alice.pair(&carol);
    alice.ctl(&["group", "create", "ops", "bob", "carol"]).ok();
    until_members(&carol, "ops", "member", 3);
    carol.home.kill();
    // One message, asked for twice: that the relay has it is not a matter of a second.
    let send = |wait: &[&str]| alice.ctl(&[&["send", "ops", "hi", "--id", "hi", "--json"], wait].concat());
    send(&["--wait=relayed"]).ok();
    let sent = send(&["--wait", "--timeout", "1s"]).expect(8).json();
    assert_eq!(sent["results"][0]["state"], "relayed");
    let reference = sent["results"][0]["ref"].as_str().unwrap().to_owned();
    let states = || -> Vec<(String, String)> {
        let shown = alice.ctl(&["--json", "read", &reference]).ok().json();
        let recipients = shown["recipients"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut states: Vec<_> =
            recipients.map(|member| (text(&member["name"]), text(&member["state"]))).collect();
        states.sort();
        states
    };
    let own = |states: [(&str, &str); 2]| states.map(|(name, state)| (name.to_owned(), state.to_owned()));
    until("bob has it", || states() == own([("bob", "delivered"), ("carol", "relayed")]));
    carol.home.start();
    until("carol has it", || states() == own([("bob", "delivered"), ("carol", "delivered")]));
    assert!(alice.all_delivered("ops"));

    // Bob does not know carol, so she confirms nothing to him.
    bob.ctl(&["send", "ops", "ho", "--wait"]).ok();
    until("carol has it", || texts(&carol, "ops", Some("bob")) == ["ho"]);
}

#[test]
fn a_change_that_cannot_be_made_says_why() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.ctl(&["group", "create", "ops", "bob"]).ok();
    until_members(&bob, "ops", "member", 2);
    for (who, arguments, exit, code) in [
        (&alice, &["group", "show", "nothing"][..], 5, "group-not-found"),
        (&alice, &["group", "add", "nothing", "bob"], 5, "group-not-found"),
        (&alice, &["group", "add", "bob", "bob"], 5, "group-not-found"),
        (&alice, &["group", "add", "ops", "zed"], 5, "contact-not-found"),
        (&alice, &["group", "rm", "ops", "zed"], 5, "member-not-found"),
        (&alice, &["group", "rm", "ops", "alice"], 2, "usage"),
        (&alice, &["group", "create", ""], 2, "bad-group-name"),
        (&alice, &["group", "create", "a\u{1b}[2J"], 2, "bad-group-name"),
        (&alice, &["group", "role", "ops", "alice", "member"], 1, "last-admin"),
        (&alice, &["group", "leave", "ops"], 1, "last-admin"),
        (&bob, &["group", "rename", "ops", "mine"], 1, "not-admin"),
        (&bob, &["group", "rm", "ops", "alice"], 1, "not-admin"),
    ] {
        let arguments = [&["--json"], arguments].concat();
        let refused = who.ctl(&arguments).expect(exit);
        assert_eq!(refused.json_error()["error"]["code"], code, "{refused:#?}");
        assert!(refused.stdout.is_empty(), "{refused:#?}");
    }
    assert_eq!(members(&alice, "ops"), Some(("member".to_owned(), 2)));
}

#[test]
fn thirty_daemons_agree() {
    let world = World::new();
    let all: Vec<Account> = (0..CROWD).map(|number| world.account(&format!("m{number}"))).collect();
    let (first, others) = all.split_first().unwrap();
    for other in others {
        first.pair(other);
    }
    let names: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
    first.ctl(&[&["group", "create", "crowd"], &names[..]].concat()).ok();
    for account in &all {
        until_members(account, "crowd", "member", CROWD as u64);
    }
    // Some die with everything half done, and everybody writes.
    for account in all.iter().step_by(7) {
        account.home.kill();
    }
    for account in &all {
        if account.home.answers() {
            account.send("crowd", &format!("from {}", account.name));
        }
    }
    for account in all.iter().step_by(7) {
        account.home.start();
        account.send("crowd", &format!("from {}", account.name));
    }
    let gone = &all[CROWD - 1];
    first.ctl(&["group", "rm", "crowd", &gone.name]).ok();
    first.send("crowd", "the rest is for us");
    let stay = &all[..CROWD - 1];
    for account in stay {
        until(&format!("{} has everything", account.name), || {
            let received = texts(account, "crowd", None).len();
            received == if account.name == first.name { CROWD - 1 } else { CROWD }
        });
    }
    until_members(gone, "crowd", "removed", CROWD as u64);
    assert!(!texts(gone, "crowd", None).contains(&"the rest is for us".to_owned()));
    // The relay has one order, and everybody the same one.
    let order = |account: &Account| {
        let mut order = texts(account, "crowd", None);
        order.retain(|text| {
            *text != format!("from {}", stay[1].name) && *text != format!("from {}", stay[2].name)
        });
        order
    };
    assert_eq!(order(&stay[1]), order(&stay[2]));
    // Not a line of any log names anybody.
    for account in &all {
        let log = fs::read_to_string(account.home.log()).unwrap_or_default();
        assert!(!log.contains("crowd") && !log.contains("the rest"), "{log}");
    }
    assert_eq!(members(first, "crowd").map(|(standing, _)| standing), Some(name(Standing::Member)));
}

fn name(standing: Standing) -> String {
    serde_json::to_value(standing).unwrap().as_str().unwrap().to_owned()
}
