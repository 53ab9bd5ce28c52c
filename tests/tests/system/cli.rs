//! The command line as its users meet it, against real daemons and a real relay.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    sync::Arc,
};

use hermes_tests::world::{Account, Home, World};
use serde_json::{Value, json};

/// Bytes of the longest text.
const TEXT_BYTES: usize = 16 * 1024;

#[test]
fn texts_come_from_an_argument_or_from_standard_input() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let longest = "ü".repeat(TEXT_BYTES / 2);
    alice.ctl(&["send", "bob", "as an argument"]).ok();
    alice.ctl(&["send", "bob", "--", "-5 degrees"]).ok();
    alice.ctl_with_input(&["send", "bob", "-"], b"with a dash\n").ok();
    alice.ctl_with_input(&["send", "bob"], b"alone").ok();
    alice.ctl_with_input(&["send", "bob"], "two\nlines, \u{1f44b} שלום\n".as_bytes()).ok();
    alice.ctl_with_input(&["send", "bob", "-"], format!("{longest}\n").as_bytes()).ok();
    let expected =
        ["as an argument", "-5 degrees", "with a dash", "alone", "two\nlines, \u{1f44b} שלום", &longest];
    world.until("bob has all of them", || bob.unread() == expected);
    assert_eq!(alice.sent("bob"), expected);

    let shown = bob.ctl(&["log", "alice"]).ok().stdout;
    for text in ["as an argument", "-5 degrees", "lines, \u{1f44b} שלום", &longest] {
        assert!(shown.contains(text), "{shown}");
    }
}

#[test]
fn several_recipients_have_a_result_each() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let carol = world.account("carol");
    alice.pair(&carol);

    let both = alice.ctl(&["send", "bob", "carol", "to both", "--json"]).ok().json();
    assert_eq!(both["v"], 1);
    let results = both["results"].as_array().expect("results are a list");
    let field = |name: &str| results.iter().map(|result| result[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("to"), ["bob", "carol"]);
    assert_eq!(field("ref"), ["bob#1", "carol#1"]);
    assert_eq!(field("error"), [Value::Null, Value::Null]);
    for id in field("id") {
        let id = id.as_str().expect("an id is text").to_owned();
        assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
    world.until("both have it", || bob.unread() == ["to both"] && carol.unread() == ["to both"]);

    let partly = alice.ctl(&["send", "bob", "dave", "to some", "--json"]).expect(7).json();
    assert_eq!(partly["results"][0]["error"], Value::Null);
    assert_eq!(partly["results"][1]["to"], "dave");
    assert_eq!(partly["results"][1]["state"], "failed");
    assert_eq!(partly["results"][1]["ref"], Value::Null);
    assert_eq!(partly["results"][1]["error"]["code"], "contact-not-found");
    let partly = alice.ctl(&["send", "dave", "bob", "to some again"]).expect(7).says(&["dave"]);
    assert!(partly.stdout.contains("bob#") && partly.stderr.contains("needs quotes"), "{partly:?}");
    world.until("bob has both", || bob.unread() == ["to both", "to some", "to some again"]);
    assert_eq!(carol.unread(), ["to both"]);
}

#[test]
fn one_daemon_serves_two_accounts() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let work = Account::create(&alice.home, "work", &world.relay.address().to_string());
    work.pair(&bob);
    // Neighbours in one daemon meet through the relay like anyone else.
    alice.pair(&work);

    alice.send("bob", "from alice");
    work.send("bob", "from work");
    alice.send("work", "across the room");
    world.until("everyone has what is theirs", || {
        bob.unread().len() == 2 && work.unread() == ["across the room"] && alice.unread().is_empty()
    });
    assert_eq!(bob.received("alice"), ["from alice"]);
    assert_eq!(bob.received("work"), ["from work"]);
    assert_eq!(work.received("alice"), ["across the room"]);

    // Nobody guesses which account is meant.
    alice.home.ctl(&["send", "bob", "from whom?"]).refused(5).says(&["alice", "work", "--account"]);
    alice.home.ctl(&["--account", "play", "inbox"]).refused(5).says(&["play"]);
    alice.home.kill();
    alice.home.start();
    assert_eq!(work.received("alice"), ["across the room"]);
    assert_eq!(alice.sent("bob"), ["from alice"]);
}

#[test]
fn one_idempotency_key_is_one_message() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let send = |text: &str| alice.ctl(&["send", "bob", text, "--id", "deploy-7", "--json"]);
    let first = send("once").ok().json();
    let again = send("once").ok().json();
    assert_eq!(first["results"][0]["id"], again["results"][0]["id"]);
    assert_eq!(first["results"][0]["ref"], again["results"][0]["ref"]);
    alice.home.kill();
    alice.home.start();
    assert_eq!(first["results"][0]["id"], send("once").ok().json()["results"][0]["id"]);
    let conflict = send("something else").expect(1);
    assert!(conflict.stdout.is_empty() || !conflict.stdout.contains("\"queued\""), "{conflict:?}");
    alice.send("bob", "after it");
    world.until("bob has both", || bob.unread() == ["once", "after it"]);
    assert_eq!(alice.sent("bob"), ["once", "after it"]);
}

#[test]
fn waiting_ends_with_the_state_or_says_that_it_did_not_come() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let delivered = alice.ctl(&["send", "bob", "one", "--wait=delivered"]).ok();
    assert!(delivered.stdout.contains("delivered"), "{delivered:?}");
    assert_eq!(bob.unread(), ["one"]);

    bob.home.stop();
    let relayed = alice.ctl(&["send", "bob", "two", "--wait=relayed"]).ok();
    assert!(relayed.stdout.contains("relayed"), "{relayed:?}");
    let late = alice.ctl(&["send", "bob", "three", "--wait=delivered", "--timeout", "1s"]).expect(8);
    assert!(late.stdout.contains("not delivered"), "{late:?}");
    let late = alice.ctl(&["send", "bob", "four", "--wait", "--timeout", "1s", "--json"]).expect(8).json();
    assert_eq!(late["timed_out"], true);
    assert_ne!(late["results"][0]["state"], "delivered");

    world.relay.process().terminate();
    let queued = alice.ctl(&["send", "bob", "five"]).ok();
    assert!(queued.stdout.contains("queued"), "{queued:?}");
    alice.ctl(&["send", "bob", "six", "--wait=relayed", "--timeout", "1s"]).expect(8);
    world.relay.process().start();
    bob.home.start();
    world.until("bob has all", || bob.unread() == ["one", "two", "three", "four", "five", "six"]);
    world.until("alice knows", || alice.all_delivered("bob"));
}

#[test]
fn the_inbox_marks_what_it_has_shown() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let empty = bob.ctl(&["inbox"]).ok();
    let words = empty.stdout + &empty.stderr;
    assert!(words.contains("hermesctl log"), "an empty inbox explains itself: {words:?}");
    alice.send("bob", "one");
    alice.send("bob", "two \u{1b}[2J\u{202e}escape");
    world.until("bob has both", || bob.unread().len() == 2);

    for _ in 0..2 {
        let shown = bob.ctl(&["inbox", "--peek"]).ok().stdout;
        assert!(shown.contains("alice#1") && shown.contains("one") && shown.contains("alice#2"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    }
    let page = bob.ctl(&["inbox", "--peek", "--json"]).ok().json();
    let message = &page["messages"][0];
    assert_eq!(
        (&page["v"], &page["messages"][1]["text"]),
        (&json!(1), &json!("two \u{1b}[2J\u{202e}escape"))
    );
    assert_eq!(
        (&message["ref"], &message["from"], &message["text"]),
        (&json!("alice#1"), &json!("alice"), &json!("one"))
    );

    let shown = bob.ctl(&["inbox", "-n", "1"]).ok().stdout;
    assert!(shown.contains("one") && !shown.contains("two"), "{shown}");
    assert_eq!(bob.unread().len(), 1);
    bob.ctl(&["inbox", "--from", "alice"]).ok();
    assert_eq!(bob.unread(), Vec::<String>::new());
    assert_eq!(bob.received("alice").len(), 2);
    assert_eq!(bob.ctl(&["inbox", "--json"]).ok().json()["messages"], json!([]));
}

#[test]
fn following_the_inbox_works_in_a_pipe() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    alice.send("bob", "before");
    world.until("bob has it", || bob.unread() == ["before"]);

    // The second reads what it shows, so it starts when the first has shown it.
    let text = Follower::start(&bob, &["inbox", "--follow", "--peek"]);
    assert!(text.next_with("before").contains("alice#1"));
    let lines = Follower::start(&bob, &["inbox", "--follow", "--json"]);
    assert_eq!(json_text(&lines.next_with("before")), "before");
    alice.send("bob", "after");
    assert!(text.next_with("after").contains("alice#2"));
    assert_eq!(json_text(&lines.next_with("after")), "after");
    world.until("what was shown is read", || bob.unread().is_empty());
}

#[test]
fn a_closed_pipe_ends_quietly_and_marks_nothing() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    // More than a pipe holds, so that writing must fail.
    let long = "long ".repeat(3_000);
    for _ in 0..6 {
        alice.send("bob", &long);
    }
    world.until("bob has all", || bob.unread().len() == 6);
    for arguments in [&["inbox"][..], &["inbox", "--json"], &["log", "alice"]] {
        let mut child = bob.home.spawn_ctl(&bob.arguments(arguments));
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("a child can be waited for");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(bob.unread().len(), 6, "{arguments:?}");
    }
}

#[test]
fn json_documents_have_their_version_and_their_fields() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.ctl(&["send", "alice", "hi", "--wait"]).ok();
    let fields = |arguments: &[&str], pointer: &str, names: &[&str]| {
        let document = alice.ctl(&[arguments, &["--json"]].concat()).ok().json();
        assert_eq!(document["v"], 1, "{arguments:?}");
        let place = document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {document}"));
        for name in names {
            assert!(place.get(name).is_some(), "no {name} in {place}");
        }
    };
    fields(&["status"], "", &["version", "pid", "accounts"]);
    fields(&["status"], "/accounts/0", &["name", "fingerprint", "relay", "connection", "unread", "outbox"]);
    fields(&["contact", "ls"], "/contacts/0", &["name", "state", "trust", "verified_by", "fingerprint"]);
    fields(&["invite"], "", &["invite", "expires_at"]);
    fields(
        &["log", "bob"],
        "/messages/0",
        &["ref", "id", "chat", "direction", "from", "kind", "text", "read"],
    );
    fields(&["inbox", "--peek"], "/messages/0", &["ref", "id", "sent_at", "received_at"]);
    let failure = alice.ctl(&["log", "nobody", "--json"]).expect(5).json_error();
    assert_eq!((&failure["v"], &failure["error"]["code"]), (&json!(1), &json!("contact-not-found")));
    assert!(failure["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
}

#[test]
fn the_command_line_starts_a_daemon_and_says_so() {
    let world = World::new();
    let home = world.home("solo");
    let _stopped = Stopped(Arc::clone(&home));
    let relay = world.relay.address().to_string();
    home.ctl_with_autostart(&["init", "--name", "solo", "--relay", &relay])
        .ok()
        .says(&["started", "hermesd"]);
    home.ctl(&["status"]).ok();
    // Told to stop, it is gone when the command ends.
    home.ctl(&["daemon", "stop"]).ok();
    assert!(!home.answers());
    home.ctl(&["status"]).refused(3).says(&["hermesctl daemon start"]);
    home.ctl_with_autostart(&["daemon", "start"]).ok();
    home.ctl(&["inbox"]).ok();
    // Starting what runs is no failure.
    home.ctl_with_autostart(&["daemon", "start"]).ok();
}

/// Stops a daemon that the command line started, also when the test fails.
struct Stopped(Arc<Home>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.ctl(&["daemon", "stop"]);
    }
}

/// A command line that stays, and the lines it has written. Dropping it kills it.
struct Follower {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Follower {
    fn start(account: &Account, arguments: &[&str]) -> Self {
        let mut child = account.home.spawn_ctl(&account.arguments(arguments));
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for the next line; it must contain `text`.
    #[track_caller]
    fn next_with(&self, text: &str) -> String {
        let line = self.lines.recv_timeout(hermes_tests::world::wait::DEADLINE);
        let line = line.unwrap_or_else(|error| panic!("no line with {text:?}: {error}"));
        assert!(line.contains(text), "{line:?} where {text:?} was expected");
        line
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
        if std::thread::panicking() {
            let mut said = String::new();
            let read = self.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            println!("the follower said: {said} ({read:?})");
        }
    }
}

/// The text in a line of JSON, whether it is a message or an event with one.
fn json_text(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {line:?}: {error}"));
    assert_eq!(line["v"], 1);
    let text = [&line["text"], &line["message"]["text"]].into_iter().find_map(Value::as_str);
    text.unwrap_or_else(|| panic!("no text in {line}")).to_owned()
}

#[test]
fn the_first_inbox_after_a_start_has_what_waited() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.home.stop();
    alice.ctl(&["send", "bob", "while you were away", "--wait=relayed"]).ok();
    bob.home.start();
    let inbox = bob.ctl(&["inbox", "--peek"]).ok();
    assert!(inbox.stdout.contains("while you were away"), "{inbox:#?}");
    world.relay.process().kill();
    world.until("it is noticed that the relay is gone", || !bob.is_connected());
    bob.ctl(&["inbox", "--peek"]).ok().says(&["Not connected to 127.0.0.1", "hermesctl status"]);
}
