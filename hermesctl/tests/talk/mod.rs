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
    // Whether the account is connected is asked behind it.
    let mut heard = std::mem::take(&mut *world.heard.lock().unwrap());
    heard.retain(|request| request.route != "GET /v1/status");
    let Heard { route, body, .. } = heard.pop().unwrap();
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
fn an_answer_to_the_last_message_finds_its_chat() {
    let world = World::with_daemon(|heard| match heard.route == "GET /v1/accounts/alice/messages/%40last" {
        true => ok(json!({"v": 1, "message": message("bob#42", "hi"), "recipients": []})),
        false => ok(json!({"v": 1, "results": [result("bob", "queued")], "timed_out": false})),
    });
    let (_, route, body) = asked(&world, &["send", "-r", "@last", "yes"]);
    assert_eq!((route.as_str(), &body["to"], &body["reply_to"]), (SEND, &json!(["bob"]), &json!("@last")));
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

#[test]
fn a_search_walks_the_whole_history_and_shows_the_newest() {
    let world = World::with_daemon(|heard| {
        let at = |reference: &str, time: u64| {
            let mut found = message(reference, "Broken");
            found["received_at"] = json!(time);
            found
        };
        let page =
            |messages: Vec<Value>, next| ok(json!({"v": 1, "messages": messages, "read": 9, "next": next}));
        match heard.route.as_str() {
            "GET /v1/accounts/alice/search?text=broken&limit=2" => {
                page(vec![at("bob#1", 1_000), at("bob#2", 3_000)], json!("next"))
            }
            "GET /v1/accounts/alice/search?text=broken&limit=2&from=next" => {
                page(vec![at("carol#7", 2_000)], json!(null))
            }
            "GET /v1/accounts/alice/search?text=broken&chat=bob&limit=1" => {
                page(vec![at("bob#2", 3_000)], json!("next"))
            }
            other => panic!("{other}"),
        }
    });
    let output = world.run(&["-a", "alice", "search", "broken", "-n", "2"]);
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("carol#7") && lines[1].starts_with("bob#2"),
        "{lines:?}"
    );
    assert!(stderr(&output).contains("older"));
    // In one chat it ends when it has enough.
    let output = world.run(&["-a", "alice", "search", "broken", "--in", "bob", "-n", "1", "--json"]);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((json["messages"].as_array().unwrap().len(), &json["more"]), (1, &json!(true)));
}

#[test]
fn what_waits_is_a_table_with_its_reason() {
    let world = World::with_daemon(|heard| {
        let quote = json!({"id": "00".repeat(16), "ref": "bob#43", "from": "alice", "text": "deploy\ndone"});
        let problem = json!({"code": "relay-unreachable", "message": "no route to it", "hint": "wait"});
        let message = json!({"chat": "bob", "kind": "message", "message": quote, "since": 0, "bytes": 256, "reason": problem});
        let protocol = json!({"chat": "ops", "kind": "protocol", "message": null, "since": 0, "bytes": 256, "reason": null});
        match heard.route.ends_with("/cancel") {
            true => ok(
                json!({"v": 1, "message": crate::world::message("bob#43", "x"), "id": null, "state": null}),
            ),
            false => ok(json!({"v": 1, "waiting": [message, protocol], "more": false})),
        }
    });
    let output = world.run(&["-a", "alice", "outbox", "ls"]);
    let shown = stdout(&output);
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((rows[0][0], rows[0][2], rows[0][3]), ("bob#43", "deploy done", "no route to it"));
    assert_eq!((rows[1][0], rows[1][3]), ("ops", "about to leave"));
    let (shown, route, _) = asked(&world, &["outbox", "retry"]);
    assert_eq!(route, "POST /v1/accounts/alice/outbox/retry");
    assert_eq!(shown, "✓ 2 waiting; every connection is tried at once\n");
    let (shown, route, _) = asked(&world, &["outbox", "cancel", "bob#43"]);
    assert_eq!(
        (route.as_str(), shown.as_str()),
        ("POST /v1/accounts/alice/messages/bob%2343/cancel", "✓ bob#43 cancelled\n")
    );
}

#[test]
fn quiet_and_archived_chats_are_told_to_the_daemon() {
    let world = World::with_daemon(|heard| match heard.route.as_str() {
        "POST /v1/accounts/alice/dnd" => {
            let until = heard.body["seconds"].as_u64().map(|seconds| seconds * 1_000);
            ok(json!({"v": 1, "until": until}))
        }
        "GET /v1/accounts/alice/chats" => {
            let chat = |name: &str, archived: bool| json!({"name": name, "with": "group", "unread": 3, "archived": archived, "muted_until": null, "last_at": null});
            ok(json!({"v": 1, "chats": [chat("ops", false), chat("old", true)]}))
        }
        _ => ok(json!({"v": 1, "chat": "ops", "muted_until": null, "ttl_seconds": null, "archived": true})),
    });
    let (shown, _, body) = asked(&world, &["dnd", "2h"]);
    assert_eq!(body, json!({"seconds": 7_200}));
    assert_eq!(shown, "✓ you are left alone until 1970-01-01 02:00, or hermesctl dnd off\n");
    assert_eq!(asked(&world, &["dnd", "off"]).2, json!({"seconds": null}));
    assert!(asked(&world, &["dnd", "on"]).0.contains("until hermesctl dnd off"));
    let (shown, route, _) = asked(&world, &["chat", "archive", "ops"]);
    assert_eq!(route, "POST /v1/accounts/alice/chats/ops/archive");
    assert!(shown.contains("is archived"), "{shown}");
    let output = world.run(&["-a", "alice", "chat", "ls"]);
    assert_eq!(stdout(&output), "ops\tgroup\t3\t\n");
    assert!(stderr(&output).contains("1 chat archived"), "{}", stderr(&output));
    assert_eq!(asked(&world, &["chat", "ls", "--all"]).0.lines().count(), 2);
}

#[test]
fn a_group_is_forgotten_only_by_somebody_who_says_yes() {
    let world = World::with_daemon(|_| ok(json!({"v": 1})));
    let output = world.run(&["-a", "alice", "group", "forget", "ops"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--yes") && world.heard.lock().unwrap().is_empty());
    let (shown, route, _) = asked(&world, &["group", "forget", "ops", "--yes"]);
    assert_eq!(
        (route.as_str(), shown.as_str()),
        ("POST /v1/accounts/alice/groups/ops/forget", "✓ ops is forgotten\n")
    );
}

/// Two programs follow one inbox: what one has marked read, the other shows all the same, and nothing twice.
#[test]
fn who_follows_sees_what_another_has_marked_read() {
    let told = std::sync::atomic::AtomicBool::new(false);
    let world = World::with_daemon(move |heard| {
        if heard.route.ends_with("/events") {
            // What has happened is told once.
            if told.swap(true, std::sync::atomic::Ordering::Relaxed) {
                return Answer::Text(String::new());
            }
            let mut read = message("bob#2", "marked by another");
            read["read"] = json!(true);
            let event = |message: Value| {
                format!("data: {}\n\n", json!({"v": 1, "event": "received", "message": message}))
            };
            return Answer::Text([event(message("bob#1", "listed")), event(read)].concat());
        }
        match heard.route.contains("/inbox") {
            true if heard.route.contains("after") => ok(json!({"v": 1, "messages": [], "more": false})),
            true => ok(json!({"v": 1, "messages": [message("bob#1", "listed")], "more": false})),
            false => ok(json!({"v": 1})),
        }
    });
    let mut follow = world.command(&["-a", "alice", "--no-autostart", "inbox", "--follow"]);
    let child = crate::world::spawn(&mut follow);
    // It asks for the events again when they ended, and has shown everything by then.
    assert!(world.arrivals.iter().filter(|route| route.ends_with("/events")).nth(1).is_some());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let shown = stdout(&child.wait_with_output().unwrap());
    let texts: Vec<&str> = shown.lines().filter_map(|line| line.rsplit("  ").next()).collect();
    assert_eq!(texts, ["listed", "marked by another"], "{shown}");
    let marked = world.heard(crate::world::READ);
    assert_eq!(marked.iter().map(|heard| &heard.body["refs"][0]).collect::<Vec<_>>(), ["bob#1", "bob#2"]);
}
