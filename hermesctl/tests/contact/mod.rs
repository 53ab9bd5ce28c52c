//! `hermesctl contact`: who a contact is, and what a changed identity key asks of its user.

use serde_json::{Value, json};

use crate::world::{Answer, Heard, SEND, World, code, ok, stderr, stdout};

const BOB: &str = "/v1/accounts/alice/contacts/bob";
const NUMBER: &str = "11111 22222 33333 44444 55555 66666 77777 88888 99999 00000 12345 67890";
const NEW_NUMBER: &str = "99999 22222 33333 44444 55555 66666 77777 88888 99999 00000 12345 67890";

/// A contact of the daemon, as its document.
fn bob(trust: &str, by: Option<&str>) -> Value {
    json!({
        "v": 1,
        "contact": {
            "name": "bob", "state": "ready", "trust": trust, "verified_by": by,
            "fingerprint": "ab".repeat(32), "since": 0, "blocked_since": null, "refused_since": null,
        },
        "profile_name": "bob", "safety_number": NUMBER,
        "safety_code": "hermes-safety:AAAA", "key_policy": "stop", "key_change": null,
        "session": {"kept": 1, "heard": true, "no_one_time_prekey": true},
    })
}

fn changed() -> Value {
    let mut bob = bob("changed", None);
    bob["key_change"] = json!({
        "fingerprint": "cd".repeat(32), "safety_number": NEW_NUMBER, "safety_code": "hermes-safety:BBBB",
        "at": 0, "held": 2,
    });
    bob
}

/// A daemon that shows one contact and takes every word about it.
fn daemon(shown: Value, then: Value) -> World {
    World::with_daemon(move |heard| {
        ok(if heard.route.starts_with("GET") { shown.clone() } else { then.clone() })
    })
}

fn refusing(code: &'static str) -> impl Fn(&Heard) -> Answer + Send + 'static {
    move |heard| match heard.route.starts_with("GET") {
        true => ok(bob("verified", Some("invite"))),
        false => {
            Answer::Json(409, json!({"v": 1, "error": {"code": code, "message": "what", "hint": "do this"}}))
        }
    }
}

#[test]
fn a_contact_is_shown_with_what_its_trust_rests_on() {
    let world = daemon(bob("verified", Some("invite")), Value::Null);
    let output = world.run(&["-a", "alice", "contact", "show", "bob"]);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let fingerprint = format!("  fingerprint     {}", "ab".repeat(32));
    let expected = [
        "bob",
        "  state           ready",
        "  trust           verified by invite",
        "  since           1970-01-01 00:00",
        &fingerprint,
        "  on new key      stop sending until you accept it",
        "  sessions        1, the newest answered, begun without a one-time key",
        "  safety number   11111 22222 33333 44444",
        "                  55555 66666 77777 88888",
        "                  99999 00000 12345 67890",
    ];
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), expected);
    let json = world.run(&["-a", "alice", "contact", "show", "bob", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap(), bob("verified", Some("invite")));
}

#[test]
fn a_changed_key_is_shown_beside_the_known_one_with_what_to_do() {
    let world = daemon(changed(), Value::Null);
    let output = world.run(&["-a", "alice", "contact", "show", "bob"]);
    assert_eq!(code(&output), 0);
    let shown = stdout(&output);
    for line in [
        "  trust           identity changed",
        "  another identity key is used in this name since 1970-01-01 00:00; nothing is sent until you decide",
        "  held            2 messages",
        "  new number      99999 22222 33333 44444",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    for command in ["contact accept-key bob", "contact refuse-key bob"] {
        assert!(stderr(&output).contains(command), "{}", stderr(&output));
    }
}

#[test]
fn a_send_to_a_changed_contact_is_exit_6_with_the_commands_to_type() {
    let hint = "look: hermesctl contact show bob";
    let world = World::with_daemon(move |_| {
        let error =
            json!({"code": "identity-changed", "message": "bob's identity key changed", "hint": hint});
        let result = json!({"to": "bob", "id": null, "ref": null, "state": "failed", "error": error});
        ok(json!({"v": 1, "results": [result], "timed_out": false}))
    });
    let output = world.run(&["-a", "alice", "send", "bob", "hi"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (6, ""));
    assert_eq!(stderr(&output), format!("error: bob's identity key changed\n  → {hint}\n"));
    assert_eq!(world.heard(SEND).len(), 1);
}

#[test]
fn a_number_of_the_other_side_is_compared_by_the_daemon() {
    let verify = format!("POST {BOB}/verify");
    let world = daemon(bob("verified", Some("invite")), bob("verified", Some("number")));
    for (arguments, input) in [
        (&["--number", NUMBER][..], ""),
        (&["--number", "-"], NUMBER),
        (&[], NUMBER),
        (&["--no-input"], NUMBER),
    ] {
        let command = [&["-a", "alice", "contact", "verify", "bob"], arguments].concat();
        let output = world.pipe_in(&command, format!("{input}\n").as_bytes());
        assert_eq!(stdout(&output), "✓ bob is verified by safety number\n", "{}", stderr(&output));
    }
    assert!(world.heard(&verify).iter().all(|heard| heard.body == json!({"safety_number": NUMBER})));
    assert_eq!(world.heard(&verify).len(), 4);
}

#[test]
fn confirming_without_a_question_confirms_what_was_shown() {
    let world = daemon(bob("unverified", None), bob("verified", Some("number")));
    let output = world.run(&["-a", "alice", "contact", "verify", "bob", "--yes", "--qr"]);
    let shown = stdout(&output);
    assert!(shown.starts_with("You and bob should both see this number:\n"), "{shown}");
    assert!(shown.contains("11111 22222") && shown.contains('█'), "{shown}");
    assert!(shown.ends_with("✓ bob is verified by safety number\n"), "{shown}");
    assert_eq!(world.heard(&format!("POST {BOB}/verify"))[0].body["safety_number"], NUMBER);
    let json = world.run(&["-a", "alice", "contact", "verify", "bob", "--yes", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["contact"]["verified_by"], "number");
}

#[test]
fn without_a_number_nothing_is_confirmed() {
    let world = daemon(bob("unverified", None), Value::Null);
    let output = world.run(&["-a", "alice", "contact", "verify", "bob"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (2, ""));
    assert!(stderr(&output).contains("--number"), "{}", stderr(&output));
    assert!(world.heard(&format!("POST {BOB}/verify")).is_empty());
}

#[test]
fn a_number_that_differs_is_exit_1_and_a_key_that_waits_exit_6() {
    for (wire, exit) in [
        ("safety-number-mismatch", 1),
        ("bad-safety-number", 2),
        ("contact-not-found", 5),
        ("identity-changed", 6),
    ] {
        let world = World::with_daemon(refusing(wire));
        let output = world.run(&["-a", "alice", "contact", "verify", "bob", "--number", NUMBER]);
        assert_eq!((code(&output), stdout(&output).as_str()), (exit, ""), "{wire}");
        assert_eq!(stderr(&output), "error: what\n  → do this\n");
    }
    let world = daemon(changed(), Value::Null);
    let output = world.run(&["-a", "alice", "contact", "verify", "bob", "--yes"]);
    assert_eq!(code(&output), 6);
    assert!(stdout(&output).contains("new number      99999"), "{}", stdout(&output));
    assert!(stderr(&output).contains("contact accept-key bob"), "{}", stderr(&output));
    assert!(world.heard(&format!("POST {BOB}/verify")).is_empty());
}

#[test]
fn each_word_about_a_contact_is_one_request_and_one_line() {
    let unverified = bob("unverified", None);
    let key = "ab".repeat(32);
    for (arguments, route, line) in [
        (&["verify", "bob", "--unverify"][..], "unverify", "✓ bob is unverified\n".to_owned()),
        (&["accept-key", "bob"], "accept-key", format!("✓ bob has the key {key}\n")),
        (&["refuse-key", "bob"], "refuse-key", format!("✓ bob keeps the key {key}\n")),
        (&["rename", "bob", "robert"], "rename", "✓ bob is called bob\n".to_owned()),
        (
            &["policy", "bob", "accept"],
            "key-policy",
            "✓ when the key of bob changes: stop sending until you accept it\n".to_owned(),
        ),
    ] {
        let world = daemon(Value::Null, unverified.clone());
        let output = world.run(&[&["-a", "alice", "contact"], arguments].concat());
        assert_eq!((code(&output), stdout(&output)), (0, line), "{}", stderr(&output));
        assert_eq!(world.heard.lock().unwrap().len(), 1);
        assert_eq!(world.heard(&format!("POST {BOB}/{route}")).len(), 1, "{route}");
        let json = world.run(&[&["-a", "alice", "contact"], arguments, &["--json"]].concat());
        assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap(), unverified);
    }
}

#[test]
fn a_word_that_a_repeat_would_turn_into_an_error_is_said_again_with_the_same_key() {
    let world = World::with_daemon(|_| Answer::Die);
    for (arguments, route) in
        [(&["accept-key", "bob"][..], "accept-key"), (&["rename", "bob", "robert"], "rename")]
    {
        let output = world.run(&[&["-a", "alice", "contact"], arguments].concat());
        assert_eq!(code(&output), 3);
        let heard = world.heard(&format!("POST {BOB}/{route}"));
        assert!(heard.len() > 1 && heard.iter().all(|said| said.key.is_some() && said.key == heard[0].key));
    }
}
