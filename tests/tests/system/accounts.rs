//! Accounts of a machine: listed, and removed to the last file.

use std::path::{Path, PathBuf};

use hermes_tests::world::{Account, World};

/// Everything below a directory.
fn below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths.flat_map(|path| [vec![path.clone()], below(&path)].concat()).collect()
}

/// Files and directories of an account, by its name.
fn traces(home: &Path, name: &str) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().contains(name));
    below(home).into_iter().filter(named).collect()
}

#[test]
fn an_account_is_removed_with_its_key_and_its_store_and_no_other_is_touched() {
    let world = World::new();
    let home = world.home("home");
    home.start();
    let address = world.relay.address().to_string();
    let [alice, bob] = ["alice", "bob"].map(|name| Account::create(&home, name, &address));
    alice.pair(&bob);
    alice.send("bob", "before");
    let listed = home.ctl(&["account", "ls"]).ok().stdout;
    assert!(listed.starts_with("alice\tconnected\t") && listed.contains("\nbob\t"), "{listed}");
    home.ctl(&["account", "rm", "alice"]).refused(2).says(&["account rm alice --yes"]);
    home.ctl(&["account", "rm", "carol", "--yes"]).refused(5);
    assert!(!traces(home.path(), "alice").is_empty());

    let removed = home.ctl(&["account", "rm", "alice", "--yes"]).ok();
    assert_eq!(removed.stdout, "✓ alice is removed from this machine\n");
    assert_eq!(traces(home.path(), "alice"), Vec::<PathBuf>::new());
    home.ctl(&["account", "rm", "alice", "--yes"]).refused(5);
    bob.send("alice", "into the void");
    let api = ["api", "POST", "/v1/accounts/bob/remove", "-d", r#"{"account":"alice"}"#];
    assert_eq!(home.ctl(&api).code, Some(2));
    home.kill();
    home.start();
    assert_eq!(home.ctl(&["account", "ls"]).ok().stdout.lines().count(), 1);
    assert_eq!(bob.received("alice"), ["before"]);

    // The name is free, and one whose key is gone already can be removed too, as after a crash in between.
    let again = Account::create(&home, "alice", &address);
    home.kill();
    let key = traces(home.path(), "alice.key").remove(0);
    std::fs::remove_file(key).expect("it is there");
    home.start();
    again.ctl(&["inbox"]).refused(4);
    again.ctl(&["account", "rm", "alice", "--yes"]).ok();
    assert_eq!(traces(home.path(), "alice"), Vec::<PathBuf>::new());
    bob.ctl(&["inbox"]).ok();
}
