//! Whole programs: keys under a passphrase, locking and unlocking, and keeping keys in another way.

use std::fs;

use hermes_tests::world::{Account, Home, World, memory};

fn unlock(home: &Home, passphrase: &str) -> hermes_tests::world::Outcome {
    home.ctl_with_input(&["unlock"], passphrase.as_bytes())
}

fn is_locked(account: &Account) -> bool {
    account.status().is_some_and(|status| status.keys.is_some_and(|keys| keys.locked))
}

#[test]
fn a_passphrase_is_needed_at_each_start_and_messages_wait_at_the_relay() {
    let world = World::new();
    let bob = world.account("bob");
    let home = world.home("alice");
    home.start();
    let relay = world.relay.address().to_string();
    let init = ["init", "--name", "alice", "--relay", &relay, "--keys", "passphrase"];
    home.ctl_with_input(&init, b"").refused(2).says(&["the passphrase is empty"]);
    home.ctl_with_input(&[&init[..], &["--no-input"]].concat(), b"pw\n").refused(2);
    home.ctl_with_input(&init, b"correct horse\n").ok();
    let alice = Account { home, name: "alice".to_owned() };
    alice.pair(&bob);
    assert!(!alice.home.key_file("alice").exists());
    let mut follower = alice.home.spawn_ctl(&["inbox", "--follow"]);

    alice.ctl(&["lock"]).ok();
    assert!(is_locked(&alice));
    follower.wait().expect("what follows the inbox ends with the account");
    let refused = alice.ctl(&["send", "bob", "hi"]).refused(4);
    refused.says(&["the account alice is locked", "hermesctl unlock"]);
    bob.send("alice", "while it is locked");
    world.until("the relay has it", || bob.ctl(&["log", "alice"]).ok().stdout.contains("(relayed)"));

    alice.home.stop();
    alice.home.start();
    assert!(is_locked(&alice));
    let status = alice.home.ctl(&["status"]).ok().stdout;
    println!("{status}");
    assert!(status.contains("locked") && status.contains("passphrase: protects"), "{status}");
    alice.ctl(&["unlock", "--no-input"]).refused(4).says(&["is locked"]);
    unlock(&alice.home, "").refused(4).says(&["no passphrase was given", "standard input"]);
    for wrong in ["correct horse ", "Correct horse"] {
        unlock(&alice.home, wrong).refused(4).says(&["that does not open the keys", "try again"]);
    }
    assert!(is_locked(&alice));
    unlock(&alice.home, "correct horse\n").ok();
    world.until("it is here", || alice.unread() == ["while it is locked"]);
}

#[test]
fn keys_are_kept_in_another_way_and_in_the_old_one_no_more() {
    let world = World::new();
    let alice = world.account("alice");
    let (key_file, header) =
        (alice.home.key_file("alice"), alice.home.store("alice").with_file_name("key.json"));
    let fingerprint = alice.status().map(|status| status.fingerprint);
    let restart = || {
        alice.home.stop();
        alice.home.start();
    };
    alice.home.ctl_with_input(&["keys", "change", "--to", "passphrase"], b"one").ok();
    assert!(!key_file.exists());
    // Whoever only reaches the socket does not lock the owner out.
    let stranger = alice.home.ctl_with_input(&["keys", "change", "--to", "passphrase"], b"guess\ntwo\n");
    stranger.refused(4).says(&["that does not open the keys"]);
    alice.home.ctl_with_input(&["keys", "change", "--to", "passphrase"], b"one\ntwo\n").ok();
    restart();
    unlock(&alice.home, "one").refused(4);
    unlock(&alice.home, "two").ok();

    // Without a command nothing changes.
    let change = |to: &str| alice.home.ctl_with_input(&["keys", "change", "--to", to], b"two");
    change("command").refused(4).says(&["keys.passphrase_command"]);
    change("credential").refused(4).says(&["hermes-alice", "LoadCredential"]);
    alice.ctl(&["keys", "change", "--to", "tpm"]).expect(2).says(&["passphrase, command, credential"]);
    let config = alice.home.path().join("config/config.toml");
    fs::write(&config, "[keys]\npassphrase_command = [\"echo\", \"of {account}\"]\n").unwrap();
    restart();
    unlock(&alice.home, "two").ok();
    change("command").ok();
    restart();
    assert!(!is_locked(&alice));
    // Locked by its user, it waits for its user, though nothing has to be typed.
    alice.ctl(&["lock"]).ok();
    alice.ctl(&["status"]).ok();
    assert!(is_locked(&alice));
    alice.ctl(&["unlock", "--no-input"]).ok();

    alice.ctl(&["keys", "change", "--to", "file"]).ok();
    assert!(key_file.exists() && !header.exists());
    fs::remove_file(&config).unwrap();
    restart();
    assert_eq!(alice.status().map(|status| status.fingerprint), fingerprint);
}

/// What `lock` promises. Root reads the memory of a process that others do not; where even root may not, this says so and
/// shows nothing.
#[test]
fn a_lock_leaves_no_store_key_in_memory() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.send("alice", "hi");
    world.until("it is here", || alice.unread() == ["hi"]);
    let line = fs::read_to_string(alice.home.key_file("alice")).unwrap();
    let digits = line.split_ascii_whitespace().nth(1).unwrap();
    let key: Vec<u8> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let pid = alice.home.daemon().pid().unwrap();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(core.is_none_or(|line| line.split_ascii_whitespace().rev().nth(1) == Some("0")), "{core:?}");
    let traces = || memory::count(pid, &[&key, digits.as_bytes()]);
    match traces() {
        Ok(0) => panic!("the key of an open account is somewhere"),
        Ok(_) => {}
        Err(error) => {
            println!("SKIPPED: the memory of another process cannot be read here: {error}");
            return;
        }
    }
    alice.ctl(&["lock"]).ok();
    // Threads that worked with it end soon.
    world.until("nothing of it is left", || traces().is_ok_and(|traces| traces == 0));
    alice.ctl(&["unlock"]).ok();
    assert!(traces().unwrap() > 0);
}
