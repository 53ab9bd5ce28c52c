//! `hermesctl peers`, `ping`: who is there.

use serde_json::{Value, json};

use crate::world::{Answer, World, code, ok, stderr, stdout};

fn peer(name: &str, online: bool, seen: Option<u64>) -> Value {
    json!({
        "name": name, "blocked": false, "refuses": false, "online": online, "last_seen_at": seen, "state": "ready", "trust": "verified",
        "verified_by": "invite", "session": "established", "unread": 2,
    })
}

#[test]
fn peers_are_a_row_each_and_whole_in_json() {
    let peers = json!({"v": 1, "peers": [peer("bob", true, Some(5)), peer("eve", false, None)]});
    let shown = peers.clone();
    let world = World::with_daemon(move |_| ok(shown.clone()));
    let output = world.run(&["-a", "alice", "peers"]);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let rows = "bob\tonline\tverified by invite\tok\t2\neve\tnever\tverified by invite\tok\t2\n";
    assert_eq!(stdout(&output), rows);
    let output = world.run(&["-a", "alice", "--json", "peers"]);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), peers);
}

#[test]
fn no_peers_is_explained() {
    let world = World::with_daemon(|_| ok(json!({"v": 1, "peers": []})));
    let output = world.run(&["-a", "alice", "peers"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
    assert!(stderr(&output).contains("hermesctl invite"), "{}", stderr(&output));
}

#[test]
fn what_there_are_many_of_is_listed_by_its_name_alone() {
    let world = World::with_daemon(|_| {
        Answer::Json(404, json!({"v": 1, "error": {"code": "unknown-route", "message": "?", "hint": ""}}))
    });
    let asked = |words: &[&str]| {
        let output = world.run(&[&["-a", "alice"], words].concat());
        assert!(!stderr(&output).contains("Usage"), "{}", stderr(&output));
        let mut heard = world.heard.lock().unwrap();
        heard.drain(..).map(|heard| heard.route).collect::<Vec<_>>()
    };
    for many in ["account", "contact", "group", "chat", "requests", "outbox", "events"] {
        let (alone, list) = (asked(&[many]), asked(&[many, "ls"]));
        assert!(!alone.is_empty(), "{many}");
        assert_eq!(alone, list, "{many}");
    }
}

#[test]
fn a_ping_prints_the_round_trip_or_ends_with_exit_8() {
    let world = World::with_daemon(|_| ok(json!({"v": 1, "contact": "bob", "round_trip_us": 12_345})));
    let output = world.run(&["-a", "alice", "ping", "bob", "--timeout", "2s"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "✓ bob is there (12.3 ms)\n"));
    let heard = world.heard("POST /v1/accounts/alice/contacts/bob/ping");
    assert_eq!(heard[0].body, json!({"timeout_ms": 2_000}));

    let world = World::with_daemon(|_| {
        let error = json!({"code": "wait-timed-out", "message": "bob did not answer", "hint": "later"});
        Answer::Json(504, json!({"v": 1, "error": error}))
    });
    let output = world.run(&["-a", "alice", "ping", "bob"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (8, ""));
    assert!(stderr(&output).contains("bob did not answer"), "{}", stderr(&output));
}

#[test]
fn a_contact_is_blocked_and_let_in_again() {
    let details = |since: Value| {
        json!({
            "v": 1,
            "contact": {
                "name": "bob", "state": "ready", "trust": "verified", "verified_by": "invite",
                "fingerprint": "ab".repeat(32), "since": 0, "blocked_since": since,
            },
            "safety_number": "1", "safety_code": "x", "key_policy": "stop", "key_change": null, "session": null,
        })
    };
    let world = World::with_daemon(move |heard| {
        ok(details(if heard.route.ends_with("/unblock") { Value::Null } else { json!(7) }))
    });
    let output = world.run(&["-a", "alice", "block", "bob"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("✓ bob is blocked"), "{}", stdout(&output));
    let output = world.run(&["-a", "alice", "contact", "show", "bob"]);
    assert!(stdout(&output).contains("state           blocked"), "{}", stdout(&output));
    let output = world.run(&["-a", "alice", "unblock", "bob"]);
    assert!(stdout(&output).starts_with("✓ bob can write again"), "{}", stdout(&output));
}

#[test]
fn a_contact_is_removed_only_when_it_is_said_what_becomes_of_its_messages() {
    let world = World::with_daemon(|_| ok(json!({"v": 1, "removed": "bob"})));
    let output = world.run(&["-a", "alice", "--no-input", "contact", "rm", "bob"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--keep-history"), "{}", stderr(&output));
    let output = world.run(&["-a", "alice", "contact", "rm", "bob", "--delete-history"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let heard = world.heard("POST /v1/accounts/alice/contacts/bob/remove");
    assert_eq!((heard.len(), &heard[0].body), (1, &json!({"history": "delete"})));
}
