//! What is said about messages: `send -r`, `react`, `edit`, `unsend`, and how lists show it.

use serde_json::{Value, json};

use crate::world::{Answer, Heard, SEND, World, code, message, ok, result, stderr, stdout};

const MESSAGE: &str = "POST /v1/accounts/alice/messages/bob%2342";

/// A daemon that takes every word about a message.
fn agreeing(state: Option<&'static str>) -> World {
    World::with_daemon(move |_| {
        let id = state.map(|_| "9f".repeat(16));
        ok(json!({"v": 1, "message": message("bob#42", "hi"), "id": id, "state": state}))
    })
}

fn asked(world: &World, arguments: &[&str]) -> (String, String, Value) {
    let output = world.run(&[&["-a", "alice"], arguments].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let Heard { route, body } = world.heard.lock().unwrap().pop().unwrap();
    (stdout(&output), route, body)
}

#[test]
fn a_word_about_a_message_is_asked_and_reported() {
    let world = agreeing(Some("queued"));
    let (shown, route, body) = asked(&world, &["react", "bob#42", "👍"]);
    assert_eq!((route, body), (format!("{MESSAGE}/react"), json!({"emoji": "👍"})));
    assert_eq!(shown, "✓ bob#42: your reaction is 👍 (queued)\n");
    let (shown, _, body) = asked(&world, &["react", "bob#42", "--remove"]);
    assert_eq!((shown.as_str(), body), ("✓ bob#42: you do not react (queued)\n", json!({"emoji": null})));
    let (shown, route, body) = asked(&world, &["edit", "bob#42", "at noon"]);
    assert_eq!((route, body), (format!("{MESSAGE}/edit"), json!({"text": "at noon"})));
    assert_eq!(shown, "✓ bob#42 edited (queued)\n");
    let (shown, route, _) = asked(&world, &["unsend", "bob#42"]);
    assert_eq!((route, shown.as_str()), (format!("{MESSAGE}/unsend"), "✓ bob#42 withdrawn (queued)\n"));
    let (json, ..) = asked(&world, &["--json", "unsend", "bob#42"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["message"]["ref"], "bob#42");
    let (shown, ..) = asked(&agreeing(None), &["unsend", "bob#42"]);
    assert_eq!(shown, "✓ bob#42 withdrawn (nothing to tell anybody)\n");
}

#[test]
fn a_word_that_makes_no_sense_costs_no_daemon() {
    let world = agreeing(None);
    for arguments in [
        &["react", "bob#42"][..],
        &["react", "bob#42", "👍", "--remove"],
        &["edit", "bob#42", " \n"],
        &["unsend"],
    ] {
        let output = world.run(&[&["-a", "alice"], arguments].concat());
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
    }
    assert!(world.heard.lock().unwrap().is_empty());
    let world = World::with_daemon(|_| {
        let error = json!({"code": "not-author", "message": "only its author", "hint": "react instead"});
        Answer::Json(403, json!({"v": 1, "error": error}))
    });
    let output = world.run(&["-a", "alice", "edit", "bob#42", "mine"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("only its author") && stderr(&output).contains("react instead"));
}

#[test]
fn an_answer_goes_to_the_chat_of_its_question() {
    let world =
        World::with_daemon(|_| ok(json!({"v": 1, "results": [result("bob", "queued")], "timed_out": false})));
    for arguments in [
        &["send", "-r", "bob#42", "yes"][..],
        &["send", "bob", "-r", "bob#42", "yes"],
        &["s", "--to", "bob", "--reply", "bob#42", "yes"],
    ] {
        let (_, route, body) = asked(&world, arguments);
        assert_eq!((route.as_str(), &body["to"]), (SEND, &json!(["bob"])));
        assert_eq!((&body["reply_to"], &body["text"]), (&json!("bob#42"), &json!("yes")));
    }
}

#[test]
fn lists_show_what_is_said_of_messages() {
    let world = World::with_daemon(|heard| {
        let mut first = message("bob#1", "at noon");
        first["edited_at"] = json!(5);
        first["reactions"] = json!([{"emoji": "👍", "count": 2, "me": true, "by": ["bob", "alice"]}]);
        let mut second = message("bob#2", "ok");
        let quote = json!({"id": "00".repeat(16), "ref": "bob#1", "from": "bob", "text": "at\u{1b}[2J noon"});
        second["reply_to"] = quote.clone();
        let mut third = message("bob#3", "");
        third["kind"] = json!("withdrawn");
        let mut fourth = message("bob#4", "");
        (fourth["kind"], fourth["to"], fourth["emoji"]) = (json!("reaction"), quote, json!("🎉"));
        (fourth["direction"], fourth["state"]) = (json!("out"), json!("failed"));
        match heard.route.contains("/log/") {
            true => ok(json!({"v": 1, "messages": [first, second, third, fourth], "more": false})),
            false => Answer::Json(404, json!({"v": 1})),
        }
    });
    let output = world.run(&["-a", "alice", "log", "bob"]);
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    let ends = [
        "bob: at noon  (edited)  👍 2",
        "bob: ↪ bob#1 “at␛[2J noon”  ok",
        "bob: (message withdrawn)",
        "you: (reacts 🎉 to bob#1)  (failed)",
    ];
    assert_eq!(lines.len(), ends.len(), "{lines:?}");
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(end), "{line:?}");
    }
}
