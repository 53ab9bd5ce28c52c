//! The program as its users and their scripts meet it, against a daemon of a few lines: what is printed where, what is
//! asked of the daemon, and the exit code.

mod config;
mod contact;
mod doctor;
mod people;
mod service;
mod talk;
mod world;

use std::{
    fs,
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::Path,
    process::{Command, Output, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};

use world::{
    Answer, Heard, READ, SEND, World, code, installed_beside, message, ok, refused, result, spawn, status_of,
    stderr, stdout,
};

#[test]
fn nobody_at_the_socket_is_exit_3_with_the_command_to_type() {
    let world = World::without_daemon();
    let output = world.run(&["status"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (3, ""));
    assert!(stderr(&output).contains("hermesctl daemon start"), "{}", stderr(&output));

    let output = world.run(&["status", "--json"]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&error["v"], &error["error"]["code"]), (&json!(1), &json!("daemon-unreachable")));
}

#[test]
fn a_socket_in_a_directory_of_others_is_exit_3_and_hears_nothing() {
    let world = World::with_daemon(|_| ok(status_of(&[])));
    let run = world.home.path().join("run");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    let output = world.run(&["status"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("can be written by others"), "{}", stderr(&output));
    assert!(world.heard.lock().unwrap().is_empty());
}

#[test]
fn a_wrong_configuration_is_exit_2_and_names_the_nearest_key() {
    let world = World::without_daemon();
    let config = world.home.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.toml"), "[daemon]\nautostrat = false\n").unwrap();
    let output = world.run(&["status"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("did you mean daemon.autostart?"), "{}", stderr(&output));
}

#[test]
fn a_path_too_long_for_a_socket_says_what_to_set() {
    let world = World::without_daemon();
    let output = world.run(&["status", "--socket", &format!("/{}", "x".repeat(110))]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("HERMES_HOME"), "{}", stderr(&output));
}

#[test]
fn a_send_prints_its_results_and_nothing_else() {
    let world = World::with_daemon(|_| {
        ok(json!({"v": 1, "results": [result("bob", "delivered")], "timed_out": false}))
    });
    let output =
        world.run(&["-a", "alice", "send", "bob", "deploy done", "--wait=delivered", "--timeout", "5s"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let line = stdout(&output);
    assert!(line.starts_with("✓ bob#43 delivered (") && line.ends_with("s)\n"), "{line}");
    assert_eq!(stderr(&output), "");

    let sent = &world.heard(SEND)[0].body;
    assert_eq!(
        (&sent["to"], &sent["text"], &sent["wait"]),
        (&json!(["bob"]), &json!("deploy done"), &json!("delivered"))
    );
    assert_eq!(sent["id"].as_str().unwrap().len(), 32);
    assert!((1..=5000).contains(&sent["timeout_ms"].as_u64().unwrap()), "{sent}");
}

#[test]
fn each_recipient_has_a_result_and_the_exit_code_sums_up() {
    let world = World::with_daemon(|heard| {
        let results =
            heard.body["to"].as_array().into_iter().flatten().map(|to| match to.as_str().unwrap() {
                "nobody" => refused("nobody", "contact-not-found"),
                "changed" => refused("changed", "identity-changed"),
                name => result(name, "queued"),
            });
        ok(json!({"v": 1, "results": results.collect::<Vec<_>>(), "timed_out": false}))
    });
    let send = |to: &[&str]| world.run(&[&["-a", "alice", "send"], to, &["hi"]].concat());

    let mixed = send(&["bob", "nobody"]);
    assert_eq!((code(&mixed), stdout(&mixed).as_str()), (7, "✓ bob#43 queued\n"));
    assert!(stderr(&mixed).contains("nobody: no such contact"), "{}", stderr(&mixed));
    assert_eq!(code(&send(&["nobody"])), 5);
    assert_eq!(code(&send(&["changed"])), 6);
    assert_eq!(code(&send(&["bob", "carol"])), 0);
}

#[test]
fn what_waits_for_the_user_to_decide_says_so() {
    let world = World::with_daemon(|heard| match heard.route.as_str() {
        "GET /v1/status" => {
            let mut status = status_of(&["alice"]);
            let reason = json!({"code": "superseded", "message": "another took over", "hint": "decide"});
            status["accounts"][0]["connection"] = json!({"state": "refused", "since": 0, "reason": reason});
            ok(status)
        }
        _ => ok(json!({"v": 1, "results": [result("bob", "queued")], "timed_out": false})),
    });
    let output = world.run(&["-a", "alice", "send", "bob", "hi"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "✓ bob#43 queued\n"));
    assert_eq!(stderr(&output), "warning: alice is not connected: another took over\n  → decide\n");
    assert_eq!(stderr(&world.run(&["-q", "-a", "alice", "send", "bob", "hi"])), "");
}

#[test]
fn a_wait_that_ends_too_early_is_exit_8() {
    let world =
        World::with_daemon(|_| ok(json!({"v": 1, "results": [result("bob", "relayed")], "timed_out": true})));
    let output = world.run(&["-a", "alice", "send", "bob", "hi", "--wait", "--timeout", "1s"]);
    assert_eq!(code(&output), 8);
    assert!(stdout(&output).starts_with("… bob#43 relayed, not delivered after"), "{}", stdout(&output));
}

#[test]
fn a_daemon_that_dies_is_asked_again_with_the_same_key() {
    let deaths = Mutex::new(2);
    let world = World::with_daemon(move |_| {
        let mut deaths = deaths.lock().unwrap();
        if *deaths > 0 {
            *deaths -= 1;
            return Answer::Die;
        }
        ok(json!({"v": 1, "results": [result("bob", "queued")], "timed_out": false}))
    });
    let output = world.run(&["-a", "alice", "send", "bob", "hi"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let keys: Vec<Value> = world.heard(SEND).iter().map(|heard| heard.body["id"].clone()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn an_invite_is_asked_for_again_with_the_same_key() {
    let world = World::with_daemon(|_| Answer::Die);
    let output = world.run(&["-a", "alice", "invite"]);
    assert_eq!(code(&output), 3);
    let heard = world.heard("POST /v1/accounts/alice/invites");
    assert!(
        heard.len() > 1 && heard.iter().all(|request| request.key.is_some() && request.key == heard[0].key)
    );
}

#[test]
fn text_comes_from_standard_input_with_lines_and_unicode() {
    let world =
        World::with_daemon(|_| ok(json!({"v": 1, "results": [result("bob", "queued")], "timed_out": false})));
    let text = "first line\nzweite Zeile — 日本語 🎉\n";
    for arguments in [&["send", "bob", "-"][..], &["send", "bob"], &["send", "--to", "bob"]] {
        let output = world.pipe_in(&[&["-a", "alice"], arguments].concat(), text.as_bytes());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    for heard in world.heard(SEND) {
        assert_eq!((&heard.body["to"], &heard.body["text"]), (&json!(["bob"]), &json!(text.trim_end())));
    }
    assert_eq!(world.heard(SEND).len(), 3);
}

#[test]
fn what_cannot_be_sent_is_refused_before_the_daemon_hears_of_it() {
    let world = World::with_daemon(|_| Answer::Die);
    let send = |input: &[u8]| world.pipe_in(&["-a", "alice", "send", "bob", "-"], input);
    let large = send("x".repeat(16 * 1024 + 1).as_bytes());
    assert_eq!(code(&large), 1);
    assert!(stderr(&large).contains("16384"), "{}", stderr(&large));
    assert_eq!(code(&send(b"")), 2);
    assert_eq!(code(&send(b"\xff\xfe")), 2);
    assert!(world.heard.lock().unwrap().is_empty());
}

#[test]
fn sixteen_kibibytes_go_through() {
    let world =
        World::with_daemon(|_| ok(json!({"v": 1, "results": [result("bob", "queued")], "timed_out": false})));
    let text = "\u{7}".repeat(16 * 1024);
    assert_eq!(code(&world.pipe_in(&["-a", "alice", "send", "bob", "-"], text.as_bytes())), 0);
    assert_eq!(world.heard(SEND)[0].body["text"], json!(text));
}

/// An inbox of two pages, the first of which is as large as a page may be asked for.
fn two_pages(heard: &Heard) -> Answer {
    if heard.route.contains("/read") {
        return ok(json!({"v": 1}));
    }
    let first = message("bob#1", "hello");
    let second = message("bob#2", "\u{1b}[31mred\u{202e}\nsecond line");
    match heard.route.contains("after=") {
        false => ok(json!({"v": 1, "messages": [first], "more": true})),
        true => ok(json!({"v": 1, "messages": [second], "more": false})),
    }
}

#[test]
fn the_inbox_walks_all_pages_cleans_them_and_marks_what_it_showed() {
    let world = World::with_daemon(two_pages);
    let output = world.run(&["-a", "alice", "inbox"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("bob#1  ") && lines[0].ends_with("  hello"), "{text}");
    assert!(lines[1].ends_with("␛[31mred\u{fffd}") && lines[2].ends_with("   second line"), "{text}");
    let marked: Vec<Value> = world.heard(READ).iter().map(|heard| heard.body["refs"].clone()).collect();
    assert_eq!(marked, [json!(["bob#1"]), json!(["bob#2"])]);
}

#[test]
fn json_is_one_document_with_the_text_unchanged() {
    let world = World::with_daemon(two_pages);
    let output = world.run(&["-a", "alice", "inbox", "--json"]);
    let raw = stdout(&output);
    assert!(!raw.contains(['\u{1b}', '\u{202e}']), "{raw:?}");
    let document: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!((&document["v"], document["messages"].as_array().unwrap().len()), (&json!(1), 2));
    assert_eq!(document["messages"][1]["text"], json!("\u{1b}[31mred\u{202e}\nsecond line"));
}

#[test]
fn peeking_marks_nothing() {
    let world = World::with_daemon(two_pages);
    assert_eq!(code(&world.run(&["-a", "alice", "inbox", "--peek"])), 0);
    assert_eq!(code(&world.run(&["-a", "alice", "inbox", "--peek", "--json"])), 0);
    assert!(world.heard(READ).is_empty());
}

#[test]
fn a_reader_that_went_away_is_no_error_and_nothing_is_marked() {
    let world = World::with_daemon(two_pages);
    for arguments in [&["inbox"][..], &["inbox", "--json"]] {
        // Shut down, which counts for everybody who has it: a program that another test is just starting has it too.
        let (reader, writer) = UnixStream::pair().unwrap();
        reader.shutdown(Shutdown::Both).unwrap();
        let mut command = world.command(&[&["-a", "alice", "--no-autostart"], arguments].concat());
        let child = command.stdout(OwnedFd::from(writer)).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    }
    assert!(world.heard(READ).is_empty());
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_marked() {
    let world = World::with_daemon(two_pages);
    if !Path::new("/dev/full").exists() {
        return;
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = world.command(&["-a", "alice", "--no-autostart", "inbox"]);
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(world.heard(READ).is_empty());
}

#[test]
fn a_daemon_of_another_build_is_told_of_whatever_came_of_the_command() {
    let page = json!({"v": 1, "messages": [], "more": false});
    let other = World::with_daemon({
        let page = page.clone();
        move |_| Answer::Built(Some("0123456789abcdef"), page.clone())
    });
    let output = other.run(&["-a", "alice", "inbox"]);
    assert_eq!(code(&output), 0);
    assert!(
        stderr(&output)
            .contains("warning: hermesd is of another build than hermesctl: hermesctl daemon restart")
    );
    assert!(!stderr(&other.run(&["-q", "-a", "alice", "inbox"])).contains("warning"));
    let silent = World::with_daemon({
        let page = page.clone();
        move |_| Answer::Built(None, page.clone())
    });
    let output = silent.run(&["-a", "alice", "inbox"]);
    assert!(stderr(&output).contains("warning: hermesd is older than hermesctl: hermesctl daemon restart"));
    let same = World::with_daemon(move |_| Answer::Built(Some(hermes_api::BUILD), page.clone()));
    assert!(!stderr(&same.run(&["-a", "alice", "inbox"])).contains("warning"));
}

#[test]
fn an_empty_inbox_explains_itself_on_standard_error() {
    let world = World::with_daemon(|_| ok(json!({"v": 1, "messages": [], "more": false})));
    let output = world.run(&["-a", "alice", "inbox"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
    assert!(stderr(&output).contains("hermesctl log"), "{}", stderr(&output));
    assert_eq!(stderr(&world.run(&["-a", "alice", "inbox", "-q"])), "");
}

fn audit_of(missing: u64) -> Value {
    let neighbour = |reference: &str| json!({"ref": reference, "sent_at": 0, "received_at": 0});
    let gap = json!({
        "first": 41, "last": 40 + missing, "previous": neighbour("bob#40"), "next": neighbour("bob#41"),
        "while_blocked": false,
    });
    let received = json!({
        "messages": 43, "through": 40, "highest": 44, "missing": missing, "unlisted": 0, "refused": 0, "findings": [],
        "gaps": if missing > 0 { vec![gap] } else { Vec::new() },
    });
    let sent = json!({"messages": 0, "unconfirmed": []});
    let chat = json!({"chat": "bob", "received": received, "sent": sent, "unreadable": []});
    json!({"v": 1, "complete": missing == 0, "chats": [chat], "unreadable": [], "expired": 0})
}

#[test]
fn an_audit_tells_a_script_by_its_exit_code() {
    let world = World::with_daemon(|heard| match heard.route.as_str() {
        "GET /v1/accounts/alice/audit" => ok(audit_of(0)),
        "GET /v1/accounts/alice/audit?chat=bob" => ok(audit_of(3)),
        _ => Answer::Json(
            404,
            json!({"v": 1, "error": {"code": "contact-not-found", "message": "m", "hint": "h"}}),
        ),
    });
    let whole = world.run(&["-a", "alice", "audit"]);
    assert_eq!((code(&whole), stdout(&whole).as_str()), (0, "Nothing is missing.\n"));
    assert_eq!(stderr(&whole), "");

    let bob = world.run(&["-a", "alice", "audit", "bob"]);
    assert_eq!(code(&bob), 1);
    let window = "1970-01-01 00:00 (bob#40) and 1970-01-01 00:00 (bob#41)";
    assert_eq!(
        stdout(&bob),
        format!("bob: 3 messages missing: 41-43, sent between {window}\n3 messages are missing.\n")
    );
    assert!(stderr(&bob).contains("ask the sender"), "{}", stderr(&bob));

    let json = world.run(&["-a", "alice", "audit", "bob", "--json"]);
    assert_eq!((code(&json), stderr(&json).as_str()), (1, ""));
    assert_eq!(serde_json::from_str::<Value>(&stdout(&json)).unwrap(), audit_of(3));
    assert_eq!(code(&world.run(&["-a", "alice", "audit", "nobody"])), 5);
}

#[test]
fn an_interrupt_is_exit_130() {
    let world = World::with_daemon(|heard| match heard.route.contains("/events") {
        true => Answer::Json(200, json!("stays open for nobody")),
        false => ok(json!({"v": 1, "messages": [], "more": false})),
    });
    // The stream ends at once, so the program waits for a daemon to come back.
    let child =
        spawn(world.command(&["-a", "alice", "--no-autostart", "inbox", "--follow"]).stdin(Stdio::null()));
    let asked = world.arrivals.iter().find(|route| route.contains("/inbox"));
    assert!(asked.is_some());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}

#[test]
fn the_account_is_the_named_the_configured_or_the_only_one() {
    let world = World::with_daemon(|heard| match heard.route.as_str() {
        "GET /v1/status" => ok(status_of(&["alice", "bot"])),
        _ => ok(json!({"v": 1, "contacts": []})),
    });
    let ambiguous = world.run(&["contact", "ls"]);
    assert_eq!(code(&ambiguous), 5);
    assert!(stderr(&ambiguous).contains("alice, bot"), "{}", stderr(&ambiguous));

    let asked = |output: Output| {
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        world.heard.lock().unwrap().pop().unwrap().route
    };
    assert_eq!(asked(world.run(&["contact", "ls", "-a", "bot"])), "GET /v1/accounts/bot/contacts");
    let mut from_environment = world.command(&["contact", "ls"]);
    let output = from_environment.env("HERMES_ACCOUNT", "alice").output().unwrap();
    assert_eq!(asked(output), "GET /v1/accounts/alice/contacts");
    fs::create_dir(world.home.path().join("config")).unwrap();
    fs::write(world.home.path().join("config/config.toml"), "default_account = \"bot\"").unwrap();
    assert_eq!(asked(world.run(&["contact", "ls"])), "GET /v1/accounts/bot/contacts");
}

#[test]
fn the_daemons_errors_keep_their_words_and_their_exit_code() {
    for (wire, exit) in [("locked", 4), ("store-corrupt", 3), ("account-not-found", 5), ("invite-used", 1)] {
        let world = World::with_daemon(move |_| {
            Answer::Json(
                500,
                json!({"v": 1, "error": {"code": wire, "message": "what happened", "hint": "what to type"}}),
            )
        });
        let output = world.run(&["-a", "alice", "accept", "hermes-invite:x"]);
        assert_eq!(code(&output), exit, "{wire}");
        assert!(stderr(&output).contains("error: what happened\n  → what to type"), "{}", stderr(&output));
    }
}

#[test]
fn an_invite_is_read_from_standard_input() {
    let world = World::with_daemon(|_| {
        ok(json!({"v": 1, "contact": {
            "name": "bob", "state": "ready", "trust": "verified", "verified_by": "invite",
            "fingerprint": "ab".repeat(32), "since": 0,
        }}))
    });
    let output = world.pipe_in(&["-a", "alice", "accept", "-"], b"  hermes-invite:abc \n");
    assert_eq!(stdout(&output), "✓ bob is a contact (verified by invite)\n");
    let heard = world.heard("POST /v1/accounts/alice/accept");
    assert_eq!(heard[0].body["invite"], json!("hermes-invite:abc"));
}

#[test]
fn no_input_never_asks_for_a_token() {
    let world = World::with_daemon(|_| {
        let mut account = status_of(&["alice"])["accounts"][0].clone();
        let reason =
            json!({"code": "registration-refused", "message": "the relay wants a token", "hint": ""});
        account["connection"] = json!({"state": "refused", "since": 0, "reason": reason});
        ok(json!({"v": 1, "account": account}))
    });
    let output = world.run(&["init", "--name", "alice", "--relay", "hermes://h:1#p", "--no-input"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("--token-file FILE"), "{}", stderr(&output));

    let token = world.home.path().join("token");
    fs::write(&token, "secret-token\n").unwrap();
    world.run(&[
        "init",
        "--name",
        "alice",
        "--relay",
        "hermes://h:1#p",
        "--token-file",
        token.to_str().unwrap(),
    ]);
    let asked = world.heard("POST /v1/accounts");
    assert_eq!(asked[0].body.get("registration_token"), None);
    assert_eq!(asked[1].body["registration_token"], json!("secret-token"));
}

#[test]
fn a_daemon_that_cannot_start_says_why_with_its_own_exit_code() {
    for exit in [3, 4] {
        let world = World::without_daemon();
        let script = format!(
            "#!/bin/sh\necho 'INFO opening' >&2\necho 'hermesd: the store is damaged\n  restore it' >&2\nexit {exit}\n"
        );
        let program = installed_beside(&world, &script);
        let output = Command::new(&program)
            .arg("status")
            .env_clear()
            .env("HERMES_HOME", world.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(code(&output), exit);
        assert_eq!(stderr(&output), "error: hermesd could not start: the store is damaged\n  → restore it\n");
        let log = fs::read_to_string(world.home.path().join("state/hermesd.log")).unwrap();
        assert!(log.starts_with("INFO opening\n"), "{log}");
    }
}

#[test]
fn a_daemon_is_started_detached_with_the_socket_it_was_asked_for() {
    let world = World::without_daemon();
    let program = installed_beside(&world, "#!/bin/sh\npwd >&2\necho \"hermesd: $1 $2\" >&2\nexit 1\n");
    let socket = world.home.path().join("run/other.sock");
    let output = Command::new(&program)
        .args(["status", "--socket"])
        .arg(&socket)
        .env_clear()
        .env("HERMES_HOME", world.home.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains(&format!("--socket {}", socket.display())), "{}", stderr(&output));
    assert!(fs::read_to_string(world.home.path().join("state/hermesd.log")).unwrap().starts_with("/\n"));
}

#[test]
fn no_daemon_is_started_when_the_flag_or_the_configuration_says_so() {
    let world = World::without_daemon();
    let program = installed_beside(&world, "#!/bin/sh\necho 'hermesd: started' >&2\nexit 1\n");
    let status = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).env_clear().env("HERMES_HOME", world.home.path()).output().unwrap()
    };
    assert_eq!(code(&status(&["status"])), 1);
    assert_eq!(code(&status(&["status", "--no-autostart"])), 3);
    fs::create_dir(world.home.path().join("config")).unwrap();
    fs::write(world.home.path().join("config/config.toml"), "[daemon]\nautostart = false").unwrap();
    assert_eq!(code(&status(&["status"])), 3);
    assert_eq!(code(&status(&["daemon", "start"])), 1, "asking for it by name starts it");
}
