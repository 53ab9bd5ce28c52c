//! An older store is upgraded whole or not at all, wherever it is cut short, and its messages stay readable.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use hermes_engine::{ChangeSet, Engine, Store, Table, Text, Value, View, query};
use tempfile::TempDir;

use super::*;
use crate::{
    keystore::StoreKey,
    store::{SqliteStore, StoreError},
};

/// A schema before [`NEW`], which adds what follows.
const OLD: Schema = Schema { version: 1, tables: Table::ALL.split_at(30).0 };
const NEW: Schema = Schema { version: 2, tables: &Table::ALL };
/// A table that only the new schema has.
const ADDED: Table = Table::ALL[35];

struct World {
    dir: TempDir,
    key: StoreKey,
}

impl World {
    /// A store of the old schema with `rows` rows of one KiB.
    fn new(rows: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = StoreKey::read_or_create(&dir.path().join("test.key")).unwrap();
        let world = Self { dir, key };
        let mut store = SqliteStore::create_as(&world.path(), &world.key, OLD).unwrap();
        let mut changes = ChangeSet::default();
        for row in 0..rows {
            changes.put(Table::Message, row.to_be_bytes().to_vec(), Value::new(vec![7; 1024]));
        }
        store.commit(&changes).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    fn copy(&self) -> PathBuf {
        self.dir.path().join("store.v1.db")
    }

    fn open(&self, schema: Schema) -> Result<SqliteStore, OpenError> {
        SqliteStore::open_as(&self.path(), &self.key, schema)
    }

    /// The upgrade's parts can be driven one by one.
    fn connect(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        super::super::configure(&connection).unwrap();
        connection
    }

    /// The files as they are, put where a power cut would leave them.
    fn crash(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["store.db", "store.db-wal", "store.v1.db", "store.v1.new", "test.key"] {
            let from = self.dir.path().join(name);
            if from.exists() {
                fs::copy(from, dir.path().join(name)).unwrap();
            }
        }
        let key = StoreKey::read(&dir.path().join("test.key")).unwrap();
        Self { dir, key }
    }

    /// Opens it anew, and finds it whole and without copies.
    fn check_upgraded(&self, rows: u32) {
        let mut store = self.open(NEW).unwrap();
        check_rows(&store, rows);
        let mut changes = ChangeSet::default();
        changes.put(ADDED, b"k".to_vec(), Value::new(b"v".to_vec()));
        store.commit(&changes).unwrap();
        assert_eq!(store.get(ADDED, b"k").unwrap().unwrap().as_slice(), b"v");
        store.forget_copies().unwrap();
        assert!(!self.copy().exists() && !self.dir.path().join("store.v1.new").exists());
        assert!(matches!(self.crash().open(OLD), Err(OpenError::Newer { found: 2, known: 1, .. })));
    }

    fn check_old(&self, rows: u32) {
        let store = self.open(OLD).unwrap();
        check_rows(&store, rows);
        // The table is not there.
        assert!(matches!(store.get(ADDED, b"k"), Err(StoreError::Corrupt(_))));
    }
}

fn check_rows(store: &SqliteStore, rows: u32) {
    for row in 0..rows {
        assert_eq!(store.get(Table::Message, &row.to_be_bytes()).unwrap().unwrap().as_slice(), [7; 1024]);
    }
}

#[test]
fn a_copy_is_kept_until_the_account_has_started() {
    let world = World::new(3);
    let store = world.open(NEW).unwrap();
    assert_eq!(world.copy().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    drop(store);
    // Another start that comes no further keeps it.
    drop(world.open(NEW).unwrap());
    let back = World::new(0);
    fs::copy(world.copy(), back.path()).unwrap();
    fs::copy(world.dir.path().join("test.key"), back.dir.path().join("test.key")).unwrap();
    back.crash().check_old(3);
    world.check_upgraded(3);
}

#[test]
fn a_power_cut_leaves_the_old_store_or_the_new_one() {
    let world = World::new(3);
    let mut connection = world.connect();
    // While the copy is written.
    fs::write(world.dir.path().join("store.v1.new"), "half").unwrap();
    world.crash().check_old(3);
    world.crash().check_upgraded(3);
    // After it. An older copy is there from a try long ago.
    fs::write(world.copy(), "of long ago").unwrap();
    copy(&world.path(), 1).unwrap();
    world.crash().check_old(3);
    world.crash().check_upgraded(3);
    // Within the transaction, with its pages in the log already.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    schema::complete(&transaction, NEW).unwrap();
    transaction.cache_flush().unwrap();
    assert!(world.dir.path().join("store.db-wal").metadata().unwrap().len() > 0);
    world.crash().check_old(3);
    world.crash().check_upgraded(3);
    transaction.rollback().unwrap();
    // After it, with the file as it was and the new one in the log.
    let epoch = super::super::meta(&world.path(), &connection, super::super::EPOCH).unwrap();
    let sealer = Sealer::new(&world.key, epoch.try_into().unwrap());
    apply(&mut connection, &sealer, OLD.version, NEW).unwrap();
    assert!(schema::check_header(&world.path(), OLD).is_ok());
    world.crash().check_upgraded(3);
    erasure::empty_log(&connection).unwrap();
    world.crash().check_upgraded(3);
}

#[test]
fn without_room_for_a_copy_nothing_changes() {
    let world = World::new(1);
    let before = fs::read(world.path()).unwrap();
    fs::create_dir(world.dir.path().join("store.v1.new")).unwrap();
    assert!(matches!(world.open(NEW), Err(OpenError::Copy { .. })));
    assert!(fs::read(world.path()).unwrap() == before);
    fs::remove_dir(world.dir.path().join("store.v1.new")).unwrap();
    world.check_upgraded(1);
}

#[test]
fn the_wrong_key_upgrades_nothing() {
    let world = World::new(1);
    let wrong = SqliteStore::open_as(&world.path(), &StoreKey::generate(), NEW);
    assert!(matches!(wrong, Err(OpenError::WrongKey(_))));
    assert!(!world.copy().exists());
    world.check_old(1);
}

#[test]
fn an_erased_copy_was_overwritten_and_a_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let [file, other, link] = ["file", "other", "link"].map(|name| dir.path().join(name));
    fs::write(&file, vec![7; COPY_CHUNK + 1]).unwrap();
    fs::hard_link(&file, &other).unwrap();
    erase(&file).unwrap();
    assert!(!file.exists() && fs::read(&other).unwrap() == vec![0; COPY_CHUNK + 1]);
    fs::write(&other, "precious").unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    erase(&link).unwrap();
    assert!(!link.exists() && fs::read(&other).unwrap() == b"precious");
}

/// Variable that turns the test below into the child that it kills.
const CHILD: &str = "HERMES_TEST_UPGRADE_CHILD";

/// Rows that take long enough to copy.
const MANY: u32 = 1_000;

/// The child is killed once the file named has appeared, whatever it does then.
#[test]
fn a_kill_leaves_the_old_store_or_the_new_one() {
    if let Ok(directory) = std::env::var(CHILD) {
        let directory = Path::new(&directory);
        let key = StoreKey::read(&directory.join("test.key")).unwrap();
        drop(SqliteStore::open_as(&directory.join("store.db"), &key, NEW));
        return;
    }
    for appears in ["store.v1.new", "store.v1.db"] {
        let world = World::new(MANY);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::upgrade::tests::a_kill_leaves_the_old_store_or_the_new_one"])
            .env(CHILD, world.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !world.dir.path().join(appears).exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        world.crash().check_upgraded(MANY);
        match world.open(OLD) {
            Ok(store) => check_rows(&store, MANY),
            Err(error) => assert!(matches!(error, OpenError::Newer { .. }), "{error}"),
        }
    }
}

/// A store as version 1 left it, of an account with a contact and a group, opens with everything in it.
#[tokio::test]
async fn a_store_of_version_1_opens_with_its_messages() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    fs::copy(fixtures.join("v1.db"), &path).unwrap();
    let key_file = dir.path().join("v1.key");
    fs::copy(fixtures.join("v1.key"), &key_file).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    let store = SqliteStore::open(&path, &StoreKey::read(&key_file).unwrap()).unwrap();
    Engine::load(&store).unwrap();
    let texts = |chat: &str| -> Vec<String> {
        let log = query::log(&store, chat, None, 99).unwrap().unwrap();
        let texts = log.into_iter().filter_map(|message| match message.text {
            Text::Plain(text) => Some(text),
            _ => None,
        });
        texts.collect()
    };
    // What messages were called, they are called still.
    for reference in query::log(&store, "bob", None, 99).unwrap().unwrap().iter().map(|m| &m.reference) {
        let named = reference.to_string().parse().unwrap();
        assert_eq!(query::message_at(&store, &named).unwrap().unwrap().reference, *reference);
        assert_eq!(reference.note, 0);
    }
    assert_eq!(texts("bob"), ["hello bob", "hello alice, from an old store", "one more"]);
    assert_eq!(texts("ops"), ["disk at 91 %"]);
    assert_eq!(query::summary(&store).unwrap().name, "alice");
    // Every table is there, and its rows are counted.
    store.reader().scrub().await.unwrap();
}
