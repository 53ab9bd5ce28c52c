//! Used keys are gone from the disk, for a thief with the store key too.
//!
//! Two engines talk over stores that remember every sealed row they ever wrote. After an erasure, every byte of every
//! file is searched: no piece of a row that was replaced or deleted may be left in the tables that hold keys.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    ops::ControlFlow,
    path::Path,
    time::Duration,
};

use ciborium::Value as Cbor;
use hermes_engine::{ChangeSet, LinkEvent, Order, Range, Store, Table, Value, View};
use hermes_tests::duo::{Peer, carry, greet, settle};
use memchr::memmem;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::OptionalExtension;
use tempfile::TempDir;

use super::{schema::Sql, *};

/// Rows are looked for in pieces of this size, so that a run of twice as many bytes is found wherever it starts. A row
/// without its nonce, which is longer, opens for nobody.
const PIECE: usize = 12;

/// A row as it was committed once.
struct Written {
    table: Table,
    key: Vec<u8>,
    sealed: Vec<u8>,
    value: Vec<u8>,
}

/// A real store that remembers what it was given.
struct Recorded {
    store: SqliteStore,
    written: Vec<Written>,
    dir: TempDir,
}

impl Recorded {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::create(&dir.path().join("store.db"), &StoreKey::generate()).unwrap();
        Self { store, written: Vec::new(), dir }
    }

    /// The sealed bytes that stand in a row.
    fn sealed(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        let mut get = self.store.connection.prepare_cached(&Sql::of(table).get).unwrap();
        get.query_row(params![key], |row| row.get(0)).optional().unwrap()
    }

    fn is_current(&self, row: &Written) -> bool {
        self.sealed(row.table, &row.key).is_some_and(|sealed| sealed == row.sealed)
    }

    /// Rows that stand in a table.
    fn current(&self, table: Table) -> usize {
        self.written.iter().filter(|row| row.table == table && self.is_current(row)).count()
    }

    fn erase(&mut self) {
        assert_eq!(self.store.checkpoint().unwrap(), Erased::All);
    }

    /// Secrets that stood in a row with keys, and whether one of these rows is still there.
    fn secrets(&self) -> BTreeMap<Vec<u8>, (&'static str, bool)> {
        let mut secrets = BTreeMap::new();
        for row in self.written.iter().filter(|row| row.table.holds_keys()) {
            let current = self.is_current(row);
            for (name, secret) in secrets_in(row) {
                secrets.entry(secret).or_insert((name, false)).1 |= current;
            }
        }
        secrets
    }

    fn retired(&self) -> BTreeMap<Vec<u8>, &'static str> {
        self.secrets()
            .into_iter()
            .filter(|(_, (_, current))| !current)
            .map(|(secret, (name, _))| (secret, name))
            .collect()
    }

    /// What a thief with the key finds in the files.
    fn carve(&self) -> Loot<'_> {
        let mut pieces: HashMap<[u8; PIECE], (usize, usize)> = HashMap::new();
        // Most places are told from a piece by three bytes.
        let mut starts = vec![false; 1 << 24];
        for (index, row) in self.written.iter().enumerate() {
            for (number, piece) in row.sealed.chunks_exact(PIECE).enumerate() {
                pieces.insert(piece.try_into().unwrap(), (index, number));
                starts[start(piece)] = true;
            }
        }
        let files = files(self.dir.path());
        let mut loot = Loot { rows: BTreeSet::new(), opened: Vec::new() };
        for bytes in &files {
            for at in 0..bytes.len().saturating_sub(PIECE - 1) {
                let piece: &[u8; PIECE] = bytes[at..].first_chunk().unwrap();
                if !starts[start(piece)] {
                    continue;
                }
                let Some((index, number)) = pieces.get(piece) else { continue };
                loot.rows.insert(*index);
                let row = &self.written[*index];
                if *number == 0
                    && let Some(sealed) = bytes.get(at..at + row.sealed.len())
                    && let Ok(value) = self.store.sealer.open(row.table.name(), &row.key, sealed)
                {
                    assert_eq!(*value, row.value);
                    loot.opened.push(row);
                }
            }
        }
        loot
    }

    /// Everything that is there is found, and nothing of what is gone.
    fn assert_rows_erased(&self, stage: &str) -> Loot<'_> {
        let loot = self.carve();
        for (index, row) in self.written.iter().enumerate().filter(|(_, row)| row.table.holds_keys()) {
            let (found, current) = (loot.rows.contains(&index), self.is_current(row));
            assert_eq!(found, current, "{stage}: a row of {} that is current: {current}", row.table.name());
        }
        loot
    }

    /// Nor is a retired secret in a row of another table, nor any secret in the clear.
    fn assert_secrets_erased(&self, stage: &str) {
        let loot = self.assert_rows_erased(stage);
        let files = files(self.dir.path());
        for (secret, (name, current)) in self.secrets() {
            assert!(!files.iter().any(|bytes| contains(bytes, &secret)), "{stage}: {name} in the clear");
            let row =
                loot.opened.iter().find(|row| contains(&row.value, &secret)).map(|row| row.table.name());
            assert!(current || row.is_none(), "{stage}: a used {name} in a row of {row:?}");
        }
    }
}

/// What was found, whole or in pieces.
struct Loot<'a> {
    /// Indices of rows of which at least a piece is there.
    rows: BTreeSet<usize>,
    /// Rows that lie in one piece and open.
    opened: Vec<&'a Written>,
}

impl Loot<'_> {
    /// The kinds of these secrets that were found.
    fn kinds(&self, secrets: &BTreeMap<Vec<u8>, &'static str>) -> BTreeSet<&'static str> {
        let found = |secret: &[u8]| self.opened.iter().any(|row| contains(&row.value, secret));
        secrets.iter().filter(|(secret, _)| found(secret)).map(|(_, kind)| *kind).collect()
    }
}

impl View for Recorded {
    type Error = StoreError;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.store.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.store.scan(table, range, order, visit)
    }
}

impl Store for Recorded {
    fn commit(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        self.store.commit(changes)?;
        for (table, key, value) in changes.iter() {
            let Some(value) = value else { continue };
            let sealed = self.sealed(table, key).unwrap();
            self.written.push(Written { table, key: key.to_vec(), sealed, value: value.to_vec() });
        }
        Ok(())
    }
}

/// What two peers do.
type Act = dyn Fn(&mut Peer<Recorded>, &mut Peer<Recorded>);

#[test]
fn used_keys_leave_the_disk() {
    let mut alice = Peer::with_store("alice", 1, Recorded::new());
    let mut bob = Peer::with_store("bob", 2, Recorded::new());
    let (mut used, mut found) = (BTreeSet::new(), BTreeSet::new());
    let mut stage = |name: &str, alice: &mut Peer<Recorded>, bob: &mut Peer<Recorded>, act: &Act| {
        act(alice, bob);
        for peer in [alice, bob] {
            let retired = peer.store.retired();
            found.extend(peer.store.carve().kinds(&retired));
            used.extend(retired.into_values());
            peer.store.erase();
            peer.store.assert_secrets_erased(name);
        }
    };

    // Uses up one-time prekeys of Bob's.
    stage("pairing", &mut alice, &mut bob, &|alice, bob| {
        greet(alice, bob);
        settle(alice, bob);
    });
    stage("sending", &mut alice, &mut bob, &|alice, _| {
        alice.send("bob", "one").unwrap();
        alice.send("bob", "two").unwrap();
    });
    stage("receiving in order", &mut alice, &mut bob, &|alice, bob| settle(alice, bob));
    // Skipped in one chain, then left behind by a turn, then used.
    stage("skipping", &mut alice, &mut bob, &|alice, bob| {
        for number in 0..6 {
            alice.send("bob", &format!("skipped {number}")).unwrap();
        }
        deliver(alice, bob, &[5, 2]);
    });
    stage("a turn", &mut alice, &mut bob, &|alice, bob| {
        bob.send("alice", "a turn").unwrap();
        carry(bob, alice);
    });
    stage("using skipped keys", &mut alice, &mut bob, &|alice, bob| settle(alice, bob));
    // An offer, its answer, and the decapsulation key gone.
    for _ in 0..4 {
        stage("an ML-KEM step", &mut alice, &mut bob, &|alice, bob| {
            for peer in [&mut *alice, &mut *bob] {
                peer.now = peer.now.after(Duration::from_secs(86_400));
            }
            alice.send("bob", "there").unwrap();
            carry(alice, bob);
            bob.send("alice", "and back").unwrap();
            settle(alice, bob);
        });
    }
    // Nobody answers, so that each invite begins another session; Bob keeps some that gave way, and then drops them.
    let mut carol = Peer::with_store("carol", 3, Recorded::new());
    for _ in 0..hermes_engine::limits::RETIRED_SESSIONS + 2 {
        stage("a session too many", &mut carol, &mut bob, &|carol, bob| {
            greet(carol, bob);
            carry(carol, bob);
        });
    }
    assert_eq!(carol.store.current(Table::Session), 1);
    assert_eq!(bob.store.current(Table::Session), 1 + 1 + hermes_engine::limits::RETIRED_SESSIONS);
    let all = [
        "ML-KEM seed",
        "chain key",
        "ephemeral key",
        "header key",
        "message key",
        "prekey secret",
        "ratchet secret",
        "root key",
    ];
    assert_eq!(used, BTreeSet::from(all));
    // The search would find them: before each erasure it did.
    assert_eq!(found, used);
}

/// Delivers what lies in the outbox, only these and in this order.
fn deliver(from: &mut Peer<Recorded>, to: &mut Peer<Recorded>, numbers: &[usize]) {
    let flying = from.flying(to);
    for number in numbers {
        let flying = flying[*number].clone();
        from.link(LinkEvent::Deposited(flying.key));
        to.take(flying.contact, flying.body);
    }
}

/// Rows of every size come and go, so that pages are split, joined and rebuilt. This is where `secure_delete` alone
/// leaves whole rows behind.
#[test]
fn what_pages_shift_about_leaves_the_disk() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut recorded = Recorded::new();
    for round in 0..8 {
        for _ in 0..20 {
            let mut changes = ChangeSet::default();
            for _ in 0..5 {
                shuffle(&mut changes, &mut rng);
            }
            recorded.commit(&changes).unwrap();
        }
        recorded.erase();
        recorded.assert_rows_erased(&format!("round {round}"));
    }
}

fn shuffle(changes: &mut ChangeSet, rng: &mut ChaCha8Rng) {
    let key = rng.random_range(0..200_u8).to_be_bytes().repeat(16);
    let table = if rng.random() { Table::Session } else { Table::SkippedKey };
    if rng.random_ratio(3, 10) {
        return changes.delete(table, key);
    }
    let mut value = vec![0; [440, 500, 1_500][rng.random_range(0..3)]];
    rng.fill_bytes(&mut value);
    changes.put(table, key, Value::new(value));
}

#[test]
fn a_reader_delays_the_erasure() {
    let mut recorded = Recorded::new();
    // It would wait for the reader for seconds.
    recorded.store.connection.busy_timeout(Duration::ZERO).unwrap();
    let commit = |recorded: &mut Recorded, value: u8| {
        let mut changes = ChangeSet::default();
        changes.put(Table::Session, vec![1], Value::new(vec![value; 100]));
        recorded.commit(&changes).unwrap();
    };
    commit(&mut recorded, 1);
    let reader = recorded.store.reader();
    let snapshot = reader.snapshot().unwrap();
    assert!(snapshot.get(Table::Session, &[1]).unwrap().is_some());
    commit(&mut recorded, 2);
    assert_eq!(recorded.store.checkpoint().unwrap(), Erased::LogInUse);
    drop(snapshot);
    recorded.erase();
    recorded.assert_rows_erased("after the reader");
}

/// Secrets in a row, by kind.
fn secrets_in(row: &Written) -> Vec<(&'static str, Vec<u8>)> {
    let record: Cbor = ciborium::from_reader(row.value.as_slice()).unwrap();
    let field = |name: &str| {
        let fields = record.as_map().unwrap();
        let (_, value) = fields.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap();
        value.as_bytes().unwrap().as_slice()
    };
    match row.table {
        Table::Session => secrets_of_session(field("core")),
        // Behind version, chain, index and time.
        Table::SkippedKey => vec![("message key", record.as_bytes().unwrap()[17..].to_vec())],
        // Behind version, number and time.
        Table::SkippedChain => vec![("header key", record.as_bytes().unwrap()[13..][..32].to_vec())],
        // Behind version, kind and number.
        Table::Prekey => vec![("prekey secret", field("secret")[10..][..32].to_vec())],
        _ => Vec::new(),
    }
}

/// The fields of `Session::to_bytes`, or of `RetiredSession::to_bytes`, in their order.
fn secrets_of_session(core: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = Fields { rest: core, secrets: Vec::new() };
    fields.skip(1 + 16 + 32);
    if core.len() == RETIRED_BYTES {
        fields.skip(4).secret("chain key").secret("header key");
        return fields.secrets;
    }
    fields.secret("root key").secret("ratchet secret").skip(32).secret("header key").secret("header key");
    if fields.flag() == 1 {
        fields.skip(4).secret("ephemeral key");
    }
    if fields.flag() == 1 {
        fields.secret("chain key").secret("header key").skip(4).secret("ephemeral key");
    }
    if fields.flag() == 1 {
        fields.skip(4).secret("chain key").secret("header key").skip(4 + 4).secret("ephemeral key");
    }
    fields.skip(4 + 8 + 4);
    if fields.flag() == 1 {
        fields.secret("ML-KEM seed");
    }
    fields.secrets
}

/// Bytes of a retired session's record.
const RETIRED_BYTES: usize = 1 + 16 + 32 + 4 + 32 + 32 + 4 + 4;

/// A record on the way through it.
struct Fields<'a> {
    rest: &'a [u8],
    secrets: Vec<(&'static str, Vec<u8>)>,
}

impl Fields<'_> {
    fn skip(&mut self, bytes: usize) -> &mut Self {
        self.rest = &self.rest[bytes..];
        self
    }

    fn secret(&mut self, name: &'static str) -> &mut Self {
        self.secrets.push((name, self.rest[..32].to_vec()));
        self.skip(32)
    }

    fn flag(&mut self) -> u8 {
        let flag = self.rest[0];
        self.skip(1);
        flag
    }
}

/// Every byte of every file, the lock's too.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// The first three bytes as a number.
fn start(piece: &[u8]) -> usize {
    usize::from(piece[0]) << 16 | usize::from(piece[1]) << 8 | usize::from(piece[2])
}

fn contains(bytes: &[u8], sought: &[u8]) -> bool {
    memmem::find(bytes, sought).is_some()
}
