//! Whole programs: an account comes back from a backup, and the store that it was made of stops.

use std::{fs, os::unix::fs::MetadataExt};

use hermes_api::StoreState;
use hermes_tests::world::{Account, World};

fn state(account: &Account) -> Option<StoreState> {
    account.status().map(|status| status.store.state)
}

#[test]
fn an_account_comes_back_and_goes_on_with_everyone() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.ctl(&["group", "create", "ops", "alice"]).ok();
    world.until("alice is a member", || alice.ctl(&["group", "show", "ops"]).code == Some(0));
    alice.send("bob", "before the backup");
    world.until("it is delivered", || alice.all_delivered("bob"));
    let file = alice.home.path().join("alice.backup");
    let path = file.to_str().unwrap();
    alice.home.ctl_with_input(&["backup", path], b"").refused(2);
    alice.home.ctl_with_input(&["backup", path, "--no-input"], b"pw").refused(2);
    // What has not left by then leaves from the restored one.
    bob.home.stop();
    alice.home.stop();
    world.relay.process().kill();
    alice.home.start();
    alice.ctl(&["send", "bob", "queued at the backup"]).ok();
    let made = alice.home.ctl_with_input(&["backup", path], b"correct horse\n").ok();
    println!("{}{}", made.stdout, made.stderr);
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    alice.home.ctl_with_input(&["backup", path], b"correct horse\n").refused(1).says(&["is there already"]);
    alice.home.kill();
    world.relay.restart();
    bob.home.start();

    let second = Account { home: world.home("second"), name: "alice".to_owned() };
    second.home.start();
    let restore = ["restore", path, "--name", "alice"];
    let refused = second.home.ctl_with_input(&restore, b"wrong").refused(4);
    refused.says(&["the passphrase is another one, or the file is damaged"]);
    let restored = second.home.ctl_with_input(&restore, b"correct horse\n").ok();
    println!("{}{}", restored.stdout, restored.stderr);
    second.home.ctl_with_input(&restore, b"correct horse\n").refused(1).says(&["exists already", "--name"]);
    second.home.ctl_with_input(&["restore", "/dev/null", "--name", "x"], b"pw").refused(1).says(&["no file"]);
    world.until("it is the newest", || state(&second) == Some(StoreState::Restored));
    bob.send("alice", "to the restored one");
    second.send("bob", "from the restored one");
    world.until("both have heard each other", || second.all_delivered("bob") && bob.all_delivered("alice"));
    assert_eq!(bob.received("alice"), ["before the backup", "queued at the backup", "from the restored one"]);
    assert_eq!(second.received("bob"), ["to the restored one"]);
    assert_eq!(second.sent("bob")[0], "before the backup");
    // The group's admin takes it back.
    world.until("it can write to the group", || {
        second.ctl(&["send", "ops", "here again", "--wait=relayed", "--timeout", "1s"]).code == Some(0)
    });
    world.until("the group hears it", || bob.received("ops").contains(&"here again".to_owned()));

    alice.home.start();
    world.until("the store of before is stopped", || state(&alice) == Some(StoreState::Stopped));
    alice.ctl(&["send", "bob", "from the old store"]).refused(1).says(&["another copy"]);

    let directory = second.home.path().join("export");
    let exported = second.ctl(&["export", "-o", directory.to_str().unwrap()]).ok();
    assert!(exported.stderr.contains("plain text"), "{exported:#?}");
    let bobs = fs::read_to_string(directory.join("001-bob.jsonl")).unwrap();
    let texts: Vec<_> = bobs.lines().filter(|line| line.contains("\"text\":")).collect();
    assert!(texts.len() == 4 && texts[0].contains("before the backup"), "{bobs}");
    second.ctl(&["export", "-o", directory.to_str().unwrap()]).refused(1).says(&["not empty", "-o DIR"]);
}

#[test]
fn a_recovery_key_is_shown_once_and_opens() {
    let world = World::new();
    let alice = world.account("alice");
    let file = alice.home.path().join("alice.backup");
    let path = file.to_str().unwrap();
    let made = alice.ctl(&["backup", path, "--recovery-key", "--json"]).ok().json();
    let key = made["recovery_key"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 52);
    let restore = ["restore", path, "--name", "again", "--json"];
    let restored = alice.home.ctl_with_input(&restore, key.as_bytes()).ok().json();
    let fingerprint = alice.status().map(|status| status.fingerprint);
    assert_eq!(restored["account"]["fingerprint"].as_str().map(str::to_owned), fingerprint);
}
