//! What a store promises: all or nothing, nothing in the clear, nothing out of place, no panic on any file.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use hermes_engine::{ChangeSet, Order, Range, Store, Table, Value, View};
use tempfile::TempDir;

use super::*;

struct World {
    dir: TempDir,
    key: StoreKey,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), key: StoreKey::generate() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    fn create(&self) -> SqliteStore {
        SqliteStore::create(&self.path(), &self.key).unwrap()
    }

    fn open(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.path(), &self.key)
    }
}

fn put(rows: &[(Table, &[u8], &[u8])]) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (table, key, value) in rows {
        changes.put(*table, key.to_vec(), Value::new(value.to_vec()));
    }
    changes
}

fn keys(view: &impl View, range: &Range, order: Order, stop_after: usize) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    view.scan(Table::Message, range, order, &mut |key, _| {
        keys.push(key.to_vec());
        if keys.len() == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    keys
}

#[test]
fn commits_survive_and_read_back() {
    let world = World::new();
    let mut store = world.create();
    store.commit(&put(&[(Table::Contact, b"a", b"1"), (Table::Name, b"a", b"2")])).unwrap();
    let mut second = put(&[(Table::Contact, b"a", b"3")]);
    second.delete(Table::Name, b"a".to_vec());
    store.commit(&second).unwrap();
    drop(store);
    let store = world.open().unwrap();
    assert_eq!(store.get(Table::Contact, b"a").unwrap().unwrap().as_slice(), b"3");
    assert_eq!(store.get(Table::Name, b"a").unwrap(), None);
    for table in Table::ALL {
        assert_eq!(store.get(table, b"absent").unwrap(), None);
    }
}

#[test]
fn scans_in_order_within_bounds() {
    let world = World::new();
    let mut store = world.create();
    let rows: Vec<_> = [&b""[..], b"\x00", b"a", b"ab", b"b", b"\xff", b"\xff\xff"].to_vec();
    let changes: Vec<_> = rows.iter().map(|key| (Table::Message, *key, &b"v"[..])).collect();
    store.commit(&put(&changes)).unwrap();
    let snapshot = store.reader().snapshot().unwrap();
    let all: Vec<_> = rows.iter().map(|key| key.to_vec()).collect();
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(keys(&store, &Range::all(), Order::Ascending, 99), all);
    assert_eq!(keys(&snapshot, &Range::all(), Order::Descending, 99), reversed);
    assert_eq!(keys(&store, &Range::prefix(b"a"), Order::Ascending, 99), [b"a".to_vec(), b"ab".to_vec()]);
    assert_eq!(keys(&store, &Range::prefix(b"\xff"), Order::Descending, 1), [b"\xff\xff".to_vec()]);
}

#[test]
fn a_long_scan_is_as_a_short_one() {
    const ROWS: u16 = 3_000;
    let world = World::new();
    let mut store = world.create();
    let numbers: Vec<_> = (0..ROWS).map(u16::to_be_bytes).collect();
    let rows: Vec<_> = numbers.iter().map(|number| (Table::Message, &number[..], &number[..])).collect();
    store.commit(&put(&rows)).unwrap();
    let seen = |store: &SqliteStore, order, most: usize| {
        let mut seen = Vec::new();
        let scanned = store.scan(Table::Message, &Range::all(), order, &mut |key, value| {
            assert_eq!(key, value.as_slice());
            seen.push(u16::from_be_bytes(key.try_into().unwrap()));
            if seen.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        (seen, scanned)
    };
    assert_eq!(seen(&store, Order::Ascending, usize::MAX).0, (0..ROWS).collect::<Vec<_>>());
    let reversed: Vec<_> = (0..ROWS).rev().collect();
    for most in [1, 256, 257, 1_280, 1_281, 2_999] {
        assert_eq!(seen(&store, Order::Descending, most).0, reversed[..most]);
    }

    // What comes before a damaged row is seen, and then its table is named.
    let sql = "UPDATE message SET value = zeroblob(99) WHERE key = ?";
    store.connection.execute(sql, [2_000_u16.to_be_bytes()]).unwrap();
    let (before, scanned) = seen(&store, Order::Ascending, usize::MAX);
    assert_eq!(before, (0..2_000).collect::<Vec<_>>());
    assert!(matches!(scanned, Err(StoreError::Corrupt(Some("message")))));
}

#[test]
fn of_many_rows_only_those_that_are_wanted_come_with_their_values() {
    const ROWS: u16 = 3_000;
    let world = World::new();
    let mut store = world.create();
    let numbers: Vec<_> = (0..ROWS).map(u16::to_be_bytes).collect();
    // Now and then a long one, so that batches are full of bytes before they are full of rows.
    let value = |number: &[u8; 2]| number.repeat(if number[1] == 7 { 100_000 } else { 1 });
    let values: Vec<_> = numbers.iter().map(value).collect();
    let rows = numbers.iter().zip(&values);
    let rows: Vec<_> = rows.map(|(key, value)| (Table::Message, &key[..], &value[..])).collect();
    store.commit(&put(&rows)).unwrap();
    let wanted = |value: &[u8]| value[1].is_multiple_of(7);
    let expected: Vec<_> = numbers.iter().zip(&values).rev().collect();
    for view in [&store.reader().snapshot().unwrap() as &dyn Sifts, &store] {
        for most in [1, 256, 257, 1_281, usize::from(ROWS)] {
            let seen = view.sifted(&wanted, most);
            assert_eq!(seen.len(), most);
            for ((key, value), (number, all)) in seen.iter().zip(&expected) {
                assert_eq!(key, &number[..]);
                assert_eq!(value.as_deref(), wanted(all).then_some(&all[..]));
            }
        }
    }
}

/// Sifting backwards, by whatever can.
trait Sifts {
    fn sifted(&self, wanted: &(dyn Fn(&[u8]) -> bool + Sync), most: usize)
    -> Vec<(Vec<u8>, Option<Vec<u8>>)>;
}

impl<V: View> Sifts for V {
    fn sifted(
        &self,
        wanted: &(dyn Fn(&[u8]) -> bool + Sync),
        most: usize,
    ) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut seen = Vec::new();
        self.sift(Table::Message, &Range::all(), Order::Descending, wanted, &mut |key, value| {
            seen.push((key.to_vec(), value.map(|value| value.to_vec())));
            if seen.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        seen
    }
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let world = World::new();
    let mut store = world.create();
    store.commit(&put(&[(Table::Contact, b"a", b"1")])).unwrap();
    let reader = store.reader();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.get(Table::Contact, b"a").unwrap().unwrap().as_slice(), b"1");
    store.commit(&put(&[(Table::Contact, b"a", b"2")])).unwrap();
    assert_eq!(snapshot.get(Table::Contact, b"a").unwrap().unwrap().as_slice(), b"1");
    drop(snapshot);
    let later = reader.snapshot().unwrap();
    assert_eq!(later.get(Table::Contact, b"a").unwrap().unwrap().as_slice(), b"2");
}

#[test]
fn nothing_lies_in_the_clear() {
    const CANARY: &[u8] = b"the canary sings at dawn";
    let world = World::new();
    let mut store = world.create();
    for table in Table::ALL {
        store.commit(&put(&[(table, b"k", CANARY)])).unwrap();
    }
    let seen = |name: &str| {
        let bytes = fs::read(world.dir.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(8).any(|window| CANARY.starts_with(window)), "{name}");
        bytes.len()
    };
    assert!(seen("store.db-wal") > 0);
    assert_eq!(store.checkpoint().unwrap(), Erased::All);
    assert_eq!(seen("store.db-wal"), 0);
    assert!(seen("store.db") > 0);
}

#[test]
fn a_row_moved_elsewhere_is_refused() {
    let world = World::new();
    let mut store = world.create();
    store
        .commit(&put(&[
            (Table::Contact, b"a", b"1"),
            (Table::Contact, b"b", b"2"),
            (Table::Invite, b"a", b"3"),
        ]))
        .unwrap();
    drop(store);
    let raw = Connection::open(world.path()).unwrap();
    raw.execute_batch(
        "UPDATE contact SET value = (SELECT value FROM contact WHERE key = x'62') WHERE key = x'61';
         UPDATE invite SET value = (SELECT value FROM contact WHERE key = x'61');",
    )
    .unwrap();
    drop(raw);
    let store = world.open().unwrap();
    let corrupt = |table: Table, key: &[u8]| matches!(store.get(table, key), Err(StoreError::Corrupt(Some(name))) if name == table.name());
    assert!(corrupt(Table::Contact, b"a"));
    assert!(corrupt(Table::Invite, b"a"));
    assert!(!corrupt(Table::Contact, b"b"));
    assert!(
        store
            .scan(Table::Contact, &Range::all(), Order::Ascending, &mut |_, _| ControlFlow::Continue(()))
            .is_err()
    );
}

#[test]
fn a_second_opener_hears_who_has_it() {
    let world = World::new();
    let first = world.create();
    match world.open() {
        Err(OpenError::Locked { source: LockError::Held(pid), .. }) => {
            assert_eq!(pid, Some(std::process::id()));
        }
        other => panic!("{:?}", other.err()),
    }
    drop(first);
    world.open().unwrap();
}

#[test]
fn another_key_is_named_as_such() {
    let world = World::new();
    drop(world.create());
    let other = StoreKey::generate();
    assert!(matches!(SqliteStore::open(&world.path(), &other), Err(OpenError::WrongKey(_))));
    world.open().unwrap();
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    for checkpointed in [true, false] {
        let world = World::new();
        drop(world.create());
        let newer = Connection::open(world.path()).unwrap();
        newer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !checkpointed).unwrap();
        newer.pragma_update(None, "user_version", schema::CURRENT.version + 1).unwrap();
        drop(newer);
        let files = || {
            ["store.db", "store.db-wal"].map(|name| fs::read(world.dir.path().join(name)).unwrap_or_default())
        };
        let before = files();
        assert_eq!(before[1].is_empty(), checkpointed);
        let known = schema::CURRENT.version;
        match world.open() {
            Err(OpenError::Newer { found, known: k, .. }) => assert_eq!((found, k), (known + 1, known)),
            other => panic!("{:?}", other.err()),
        }
        assert!(files() == before);
    }
}

#[test]
fn no_file_makes_it_panic() {
    let world = World::new();
    let mut store = world.create();
    store.commit(&put(&[(Table::Contact, b"a", b"1")])).unwrap();
    drop(store);
    let good = fs::read(world.path()).unwrap();
    let foreign = {
        let path = world.dir.path().join("foreign.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        fs::read(path).unwrap()
    };
    let zeroed = [&good[..100], &vec![0; good.len() - 100]].concat();
    // The number of the schema's format (sqlite.org/fileformat.html, section 1.3).
    let unknown = [&good[..47], &[0x44], &good[48..]].concat();
    for bytes in [vec![], b"hello".to_vec(), good[..99].to_vec(), vec![0; 8192], foreign, zeroed, unknown] {
        fs::write(world.path(), bytes).unwrap();
        let error = world.open().err().unwrap();
        assert!(matches!(error, OpenError::Corrupt(_)), "{error:?}");
    }
    // Damage anywhere is an error of its own kind at the latest when it is read.
    for at in (0..good.len()).step_by(97) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        fs::write(world.path(), bytes).unwrap();
        if let Ok(store) = world.open() {
            let _ = store.get(Table::Contact, b"a");
        }
    }
    fs::remove_file(world.path()).unwrap();
    assert!(matches!(world.open(), Err(OpenError::Missing(_))));
}

#[test]
fn an_unfinished_transaction_leaves_nothing() {
    let world = World::new();
    let mut store = world.create();
    store.commit(&put(&[(Table::Contact, b"a", b"1")])).unwrap();
    {
        let transaction = store.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        transaction.execute("DELETE FROM contact", []).unwrap();
    }
    assert!(store.get(Table::Contact, b"a").unwrap().is_some());
}

/// Variable that turns the test below into the child that it kills.
const CHILD: &str = "HERMES_TEST_STORE_CHILD";

/// Rows of one commit of the child.
const ROWS: u64 = 50;

/// The child commits in a loop and says so after each commit; it is killed in the middle. Every commit it announced is
/// there, and each commit is there with all its rows or with none.
#[test]
fn a_kill_leaves_whole_commits() {
    if let Ok(directory) = std::env::var(CHILD) {
        commit_until_killed(Path::new(&directory));
    }
    let world = World::new();
    let key_file = world.dir.path().join("test.key");
    let key = StoreKey::read_or_create(&key_file).unwrap();
    drop(SqliteStore::create(&world.path(), &key).unwrap());
    for announced in [1, 7, 30] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::a_kill_leaves_whole_commits", "--nocapture"])
            .env(CHILD, world.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let last =
            lines.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok()).nth(announced);
        child.kill().unwrap();
        child.wait().unwrap();
        let store = SqliteStore::open(&world.path(), &key).unwrap();
        let rows = keys(&store, &Range::all(), Order::Ascending, usize::MAX).len() as u64;
        assert_eq!(rows % ROWS, 0);
        assert!(rows / ROWS >= last.unwrap());
    }
}

fn commit_until_killed(directory: &Path) -> ! {
    let key = StoreKey::read(&directory.join("test.key")).unwrap();
    let mut store = SqliteStore::open(&directory.join("store.db"), &key).unwrap();
    let mut done = keys(&store, &Range::all(), Order::Ascending, usize::MAX).len() as u64 / ROWS;
    loop {
        let mut changes = ChangeSet::default();
        for row in 0..ROWS {
            changes.put(Table::Message, [done, row].map(u64::to_be_bytes).concat(), Value::new(vec![7; 400]));
        }
        store.commit(&changes).unwrap();
        done += 1;
        println!("committed {done}");
    }
}

#[tokio::test]
async fn a_scrub_finds_what_no_read_misses() {
    let world = World::new();
    let mut store = world.create();
    store.commit(&put(&[(Table::Message, b"a", b"1"), (Table::Message, b"b", b"2")])).unwrap();
    store.reader().scrub().await.unwrap();
    drop(store);
    // What a flipped bit in a key does: the row is whole and lies where nobody looks for it.
    let raw = rusqlite::Connection::open(world.path()).unwrap();
    let table = Table::Message.name();
    raw.execute(&format!("UPDATE \"{table}\" SET key = x'7a' WHERE key = x'62'"), ()).unwrap();
    drop(raw);
    let store = world.open().unwrap();
    assert_eq!(store.get(Table::Message, b"b").unwrap(), None);
    let found = store.reader().scrub().await;
    assert!(matches!(found, Err(StoreError::Corrupt(Some(name))) if name == table), "{found:?}");
    // Once the store is closed its key is gone, and with it all reading.
    store.reader().close().await;
    assert!(matches!(store.reader().scrub().await, Err(StoreError::Closed)));
}

/// What one flipped bit does. It sorts before all bytes then, so that a search that comes upon it goes past those before it.
#[tokio::test]
async fn a_scrub_finds_a_key_that_became_text() {
    let world = World::new();
    let mut store = world.create();
    let rows = [b"aaaa", b"bbbb", b"cccc"].map(|key| (Table::Message, &key[..], &b"v"[..]));
    store.commit(&put(&rows)).unwrap();
    drop(store);
    // A record's header (sqlite.org/fileformat.html, section 2.1): its length, four bytes of key, 41 of value.
    let (of_bytes, of_text) = (b"\x03\x14\x5ebbbb", b"\x03\x15\x5ebbbb");
    let mut file = fs::read(world.path()).unwrap();
    let at = file.windows(of_bytes.len()).position(|window| window == of_bytes).unwrap();
    file[at..][..of_text.len()].copy_from_slice(of_text);
    fs::write(world.path(), file).unwrap();
    let store = world.open().unwrap();
    assert_eq!(keys(&store, &Range::all(), Order::Ascending, 99), [b"cccc"], "nothing is known to be gone");
    let found = store.reader().scrub().await;
    assert!(matches!(found, Err(StoreError::Corrupt(Some("message")))), "{found:?}");
}

#[tokio::test]
async fn a_scrub_finds_that_a_row_is_gone() {
    let world = World::new();
    let mut store = world.create();
    let reader = store.reader();
    // Counted are rows that are added and removed, not those that change or were not there.
    store.commit(&put(&[(Table::Message, b"a", b"1"), (Table::Message, b"b", b"2")])).unwrap();
    let mut changes = put(&[(Table::Message, b"a", b"3"), (Table::Message, b"c", b"4")]);
    changes.delete(Table::Message, b"b".to_vec());
    changes.delete(Table::Message, b"d".to_vec());
    store.commit(&changes).unwrap();
    reader.scrub().await.unwrap();
    store.connection.execute("DELETE FROM message WHERE key = x'61'", ()).unwrap();
    let found = reader.scrub().await;
    assert!(matches!(found, Err(StoreError::Corrupt(Some("message")))), "{found:?}");
    // More than all that are counted cannot go.
    store
        .connection
        .execute("INSERT INTO message (key, value) VALUES (x'65', x''), (x'66', x'')", ())
        .unwrap();
    let mut changes = ChangeSet::default();
    for key in [b"c", b"e", b"f"] {
        changes.delete(Table::Message, key.to_vec());
    }
    assert!(matches!(store.commit(&changes), Err(StoreError::Corrupt(Some("message")))));
    // Nor can the counts.
    store.connection.execute("DELETE FROM store_meta WHERE name = 'row_counts'", ()).unwrap();
    assert!(matches!(store.commit(&changes), Err(StoreError::Corrupt(Some(META)))));
    assert!(matches!(reader.scrub().await, Err(StoreError::Corrupt(Some(META)))));
}
