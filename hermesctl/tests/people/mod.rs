//! `hermesctl peers`, `ping`: who is there.

use serde_json::{Value, json};

use crate::world::{Answer, World, code, ok, stderr, stdout};

fn peer(name: &str, online: bool, seen: Option<u64>) -> Value {
    json!({
        "name": name, "online": online, "last_seen_at": seen, "state": "ready", "trust": "verified",
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
