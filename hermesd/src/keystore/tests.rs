//! Each kind gives the key back, a change of kinds leaves nothing of the old one, and no step of it loses the key.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::*;

struct World {
    home: TempDir,
    paths: Paths,
    keys: Keys,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let name: AccountName = "alice".parse().unwrap();
        fs::create_dir_all(paths.accounts().join("alice")).unwrap();
        let keys = Keys::of(&paths, &name, &["echo".to_owned(), "secret of {account}".to_owned()]);
        Self { home, paths, keys }
    }

    fn key_file(&self) -> PathBuf {
        self.paths.key_file(&"alice".parse().unwrap())
    }
}

fn typed(text: &str) -> Passphrase {
    Passphrase::new(text)
}

#[test]
fn a_passphrase_is_asked_for_and_opens() {
    let World { keys, .. } = &World::new();
    let key = keys.create(KeyKind::Passphrase, Some(&typed("a"))).unwrap();
    assert_eq!(keys.kind().unwrap(), KeyKind::Passphrase);
    assert!(matches!(keys.unlock(None), Err(KeyError::NeedsPassphrase)));
    assert!(keys.unlock(Some(&typed("a"))).unwrap().same(&key));
    let wrong = [typed("b"), typed(""), typed("A")].map(|typed| keys.unlock(Some(&typed)).err().unwrap());
    // The same words for all of them, so that nothing can be learnt from them.
    assert!(wrong.iter().all(|error| error.to_string() == KeyError::Wrong.to_string()));
}

#[test]
fn a_passphrase_has_a_length() {
    let World { keys, .. } = &World::new();
    for bad in ["", &"x".repeat(PASSPHRASE_BYTES + 1)] {
        let made = keys.create(KeyKind::Passphrase, Some(&typed(bad)));
        assert!(matches!(made, Err(KeyError::BadPassphrase)));
    }
    assert!(matches!(keys.create(KeyKind::Passphrase, None), Err(KeyError::BadPassphrase)));
    assert_eq!(keys.kind().unwrap(), KeyKind::File);
}

#[test]
fn every_change_keeps_the_key_and_nothing_of_the_old_way() {
    let world = World::new();
    let keys = &world.keys;
    let key = keys.create(KeyKind::File, None).unwrap();
    keys.change(&key, KeyKind::Passphrase, Some(&typed("a"))).unwrap();
    assert!(!world.key_file().exists());
    keys.change(&key, KeyKind::Passphrase, Some(&typed("b"))).unwrap();
    assert!(keys.unlock(Some(&typed("a"))).is_err());
    assert!(keys.unlock(Some(&typed("b"))).unwrap().same(&key));
    keys.change(&key, KeyKind::Command, None).unwrap();
    assert!(keys.unlock(None).unwrap().same(&key));
    keys.change(&key, KeyKind::File, None).unwrap();
    assert!(!keys.header.exists());
    assert!(keys.unlock(None).unwrap().same(&key));
}

#[test]
fn a_change_that_was_cut_short_is_finished_by_the_next_unlock() {
    let world = World::new();
    let keys = &world.keys;
    let key = keys.create(KeyKind::File, None).unwrap();
    let file = fs::read(world.key_file()).unwrap();
    keys.change(&key, KeyKind::Passphrase, Some(&typed("a"))).unwrap();
    // As before the last step.
    key.write(&world.key_file()).unwrap();
    assert_eq!(fs::read(world.key_file()).unwrap(), file);
    assert!(keys.unlock(Some(&typed("b"))).is_err());
    assert!(world.key_file().exists(), "a wrong passphrase erases nothing");
    keys.unlock(Some(&typed("a"))).unwrap();
    assert!(!world.key_file().exists());
}

#[test]
fn a_key_file_that_cannot_be_erased_is_told_of_and_opens_all_the_same() {
    let world = World::new();
    let keys = &world.keys;
    let key = keys.create(KeyKind::File, None).unwrap();
    let readable = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(world.key_file(), mode).unwrap();
    };
    readable(0o644);
    let changed = keys.change(&key, KeyKind::Passphrase, Some(&typed("a")));
    assert!(matches!(changed, Err(KeyError::Remains(_))), "{changed:?}");
    assert!(world.key_file().exists() && keys.unlock(Some(&typed("a"))).unwrap().same(&key));
    readable(0o600);
    // Through a link it is read, and not overwritten.
    let elsewhere = world.home.path().join("elsewhere.key");
    fs::rename(world.key_file(), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.key_file()).unwrap();
    assert!(keys.unlock(Some(&typed("a"))).unwrap().same(&key));
    assert!(StoreKey::read(&elsewhere).unwrap().same(&key));
    let changed = keys.change(&key, KeyKind::Passphrase, Some(&typed("b")));
    assert!(matches!(changed, Err(KeyError::Remains(_))), "{changed:?}");
}

#[test]
fn a_key_of_another_store_is_neither_taken_nor_erased() {
    let world = World::new();
    let keys = &world.keys;
    let key = keys.create(KeyKind::Passphrase, Some(&typed("a"))).unwrap();
    let other = StoreKey::read_or_create(&world.key_file()).unwrap();
    assert!(matches!(keys.change(&key, KeyKind::File, None), Err(KeyError::Occupied(_))));
    keys.unlock(Some(&typed("a"))).unwrap();
    assert!(StoreKey::read(&world.key_file()).unwrap().same(&other));
}

#[test]
fn a_damaged_header_is_no_reason_for_another_key() {
    let world = World::new();
    let keys = &world.keys;
    StoreKey::read_or_create(&world.key_file()).unwrap();
    fs::write(&keys.header, "{}").unwrap();
    assert!(matches!(keys.unlock(None), Err(KeyError::Header { .. })));
    assert!(world.key_file().exists());
}

/// Stands for `secret-tool`: keeps a file for each set of attributes.
const TOOL: &str = r#"#!/bin/sh
verb=$1
shift
case $1 in --label=*) shift ;; esac
file="${0%/*}/kept/$(echo "$*" | tr ' ' _)"
case $verb in
store) cat >"$file" ;;
lookup) cat "$file" 2>/dev/null ;;
clear) rm -f "$file" ;;
esac
"#;

#[test]
fn a_keyring_keeps_one_secret_for_each_account_and_forgets_the_old_one() {
    let world = World::new();
    let tool = world.home.path().join("secret-tool");
    // Another process writes it: a file that this one had open for writing could not be run while a fork of another test
    // still holds it.
    let write = "printf %s \"$2\" > \"$1\" && chmod 700 \"$1\"";
    let written = Command::new("sh").args(["-c", write, "sh"]).arg(&tool).arg(TOOL).status();
    assert!(written.unwrap().success());
    let kept = world.home.path().join("kept");
    let count = || fs::read_dir(&kept).unwrap().count();
    let keys = Keys { keyring: tool.to_str().unwrap().to_owned(), ..world.keys.clone() };
    let key = keys.create(KeyKind::File, None).unwrap();
    // A keyring that keeps nothing changes nothing.
    let refused = keys.change(&key, KeyKind::Keyring, None);
    assert!(matches!(refused, Err(KeyError::Secret(SecretError::KeyringKeepsNothing))), "{refused:?}");
    assert!(keys.unlock(None).unwrap().same(&key));

    fs::create_dir(&kept).unwrap();
    keys.change(&key, KeyKind::Keyring, None).unwrap();
    assert!(keys.unlock(None).unwrap().same(&key) && !world.key_file().exists());
    keys.change(&key, KeyKind::Keyring, None).unwrap();
    assert!(keys.unlock(None).unwrap().same(&key));
    assert_eq!(count(), 1);
    keys.change(&key, KeyKind::Passphrase, Some(&typed("a"))).unwrap();
    assert_eq!(count(), 0);
}
