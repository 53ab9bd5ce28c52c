//! `hermesctl on`, `api` and completion: what scripts and shells lean on.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    thread,
};

use hermes_tests::world::{Account, World, programs::Programs, wait::DEADLINE};
use serde_json::Value;

/// A running `hermesctl on`; it is killed when dropped.
struct On {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl On {
    /// Returns once it listens.
    fn start(account: &Account, arguments: &[&str]) -> Self {
        let mut child = account.home.spawn_ctl(&account.arguments(&[&["on"], arguments].concat()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, said) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        let on = Self { child, said };
        on.says("listening as");
        on
    }

    fn says(&self, words: &str) {
        while !self
            .said
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|_| panic!("nothing says {words}"))
            .contains(words)
        {}
    }
}

impl Drop for On {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_message_is_handed_over_in_order_whatever_is_killed() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let carol = world.account("carol");
    carol.pair(&bob);
    let (done, go) = (bob.home.path().join("done"), bob.home.path().join("go"));
    let lines =
        || fs::read_to_string(&done).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    // Says that it has begun, and for a slow message waits until it may end.
    let script = format!(
        "read -r event; echo \"$HERMES_REF $HERMES_FROM\" >> {done}; \
         case $event in *'\"text\":\"run slowly'*) until test -e {go}; do sleep 0.05; done;; esac",
        done = done.display(),
        go = go.display()
    );
    let arguments = ["--from", "alice", "--match", "^run", "--read", "--", "sh", "-c", &script];

    let first = On::start(&bob, &arguments);
    alice.send("bob", "run 1");
    alice.send("bob", "not this");
    carol.send("bob", "run of another");
    alice.send("bob", "run $(2)");
    world.until("both were handed over", || lines() == ["alice#1 alice", "alice#3 alice"]);
    world.until("they were marked read, and no others", || {
        let mut unread = bob.unread();
        unread.sort();
        unread == ["not this", "run of another"]
    });
    alice.send("bob", "run slowly");
    world.until("it has begun", || lines().len() == 3);
    drop(first);
    // Nobody listens, and the daemon dies as well.
    alice.send("bob", "run 5");
    world.until("it is here", || bob.received("alice").len() == 5);
    bob.home.kill();
    bob.home.start();
    fs::write(&go, "").unwrap();

    let _second = On::start(&bob, &arguments);
    world.until("the interrupted one comes again, and then the next", || {
        lines()[3..] == ["alice#4 alice", "alice#5 alice"]
    });
    // The daemon dies under it.
    bob.home.kill();
    alice.send("bob", "run 6");
    bob.home.start();
    world.until("it goes on", || lines()[5..] == ["alice#6 alice"]);
}

#[test]
fn a_command_that_fails_is_tried_again_and_given_up_aloud() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let done = bob.home.path().join("done");
    let script = format!(
        "echo \"$HERMES_REF $HERMES_ATTEMPT\" >> {}; test $HERMES_REF = alice#2 || exit 3",
        done.display()
    );
    let on = On::start(&bob, &["--retries", "1", "--as", "test", "--", "sh", "-c", &script]);
    alice.send("bob", "one");
    alice.send("bob", "two");
    on.says("ended with 3 for alice#1; again in 1 s");
    on.says("alice#1 is skipped");
    world.until("the next one had its turn", || {
        fs::read_to_string(&done).is_ok_and(|done| done == "alice#1 1\nalice#1 2\nalice#2 1\n")
    });
    bob.ctl(&["on", "--as", "test", "--", "true"]).refused(1).says(&["another program listens"]);
    bob.ctl(&["on", "--from", "nobody", "--", "true"]).expect(5);
    bob.ctl(&["on", "--", "/nonexistent/program"]).refused(2).says(&["cannot run"]);
}

#[test]
fn the_api_can_be_asked_by_hand() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let messages = "/v1/accounts/{account}/messages";
    let send = ["api", "POST", messages, "-d", r#"{"to":["bob"],"text":"hi"}"#, "--key", "k"];
    let id = || alice.ctl(&send).ok().json()["results"][0]["id"].clone();
    assert_eq!(id(), id(), "one key is one message");
    alice.ctl_with_input(&["api", "post", messages, "-d", "-"], br#"{"to":["bob"],"text":"no key"}"#).ok();
    world.until("bob has both", || bob.unread() == ["hi", "no key"]);
    let invites = ["api", "POST", "/v1/accounts/{account}/invites", "--key", "i", "-d"];
    let invite = |seconds: &str| alice.ctl(&[&invites[..], &[seconds]].concat());
    let first = invite(r#"{"expires_seconds":60}"#).ok().json();
    assert_eq!(invite(r#"{"expires_seconds":60}"#).ok().json(), first);
    let other = invite(r#"{"expires_seconds":61}"#).expect(1);
    assert_eq!(other.json()["error"]["code"], "idempotency-conflict");
    let missing = alice.ctl(&["api", "GET", "/v1/accounts/{account}/contacts/nobody"]).expect(5);
    assert_eq!(missing.json()["error"]["code"], "contact-not-found");
    let openapi: Value = alice.ctl(&["api", "GET", "/v1/openapi.json"]).ok().json();
    assert_eq!(openapi["openapi"], "3.1.0");
    alice.ctl(&["api", "DELETE", "/v1/status"]).refused(2);
}

#[test]
fn a_shell_completes_names() {
    if !Command::new("bash").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no bash here, so completion was not tried");
        return;
    }
    let world = World::new();
    let (alice, _bob) = world.pair("alice", "bob");
    alice.ctl(&["group", "create", "bobsleigh", "bob"]).ok();
    // What bash does when Tab is pressed behind the last word; until the answer is right, for a busy machine may
    // need more time than a shell has.
    let complete = |words: &[&str]| {
        let script = format!(
            "source <(hermesctl completion bash) || exit 1
             complete -p hermesctl > /dev/null || exit 1
             COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9
             _clap_complete_hermesctl hermesctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1
        );
        let programs = Programs::get().ctl();
        let path = format!("{}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path)
            .env("HERMES_HOME", alice.home.path())
            .env_remove("HERMES_ACCOUNT")
            .env_remove("HERMES_SOCKET")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|word| word.trim().to_owned()).collect::<Vec<_>>()
    };
    world.until("names of chats", || {
        let mut names = complete(&["hermesctl", "-a", "alice", "send", "bo"]);
        names.sort();
        names == ["bob", "bobsleigh"]
    });
    world.until("of groups", || {
        complete(&["hermesctl", "-a", "alice", "group", "show", "b"]) == ["bobsleigh"]
    });
    world.until("of accounts", || complete(&["hermesctl", "-a", "a"]) == ["alice"]);
    assert_eq!(complete(&["hermesctl", "comple"]), ["completion"]);
    alice.home.kill();
    let silent = complete(&["hermesctl", "-a", "alice", "log", "bo"]);
    assert!(silent.iter().all(String::is_empty), "{silent:?}");
    assert!(!alice.home.answers(), "completion starts no daemon");
    alice.home.start();
}
