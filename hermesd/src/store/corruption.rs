//! Whatever becomes of a store's bytes: it holds what it held, or is refused by name. Never a panic, never a row that
//! nobody wrote.
//!
//! Opened, loaded and read from end to end as a daemon does, but in this process: a start of hermesd takes a hundred times
//! as long. `HERMES_CORRUPTIONS` says how many mutations ([`MUTATIONS`] when unset), `HERMES_CORRUPTIONS_SEED` draws others.

use std::{
    collections::BTreeMap,
    env, fs,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    time::Instant,
};

use hermes_engine::{Engine, Order, Range, ReadError, Table, View};
use hermes_tests::{
    damage::{PAGE, exchange_pages},
    duo::{Peer, greet, settle},
    scratch,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{schema::Sql, *};

const MUTATIONS: u64 = 200;
/// Messages each way.
const TEXTS: usize = 12;
/// Commits, the last ones, that are still in the write-ahead log of some of the stores.
const IN_LOG: usize = 6;

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

#[tokio::test(start_paused = true)]
async fn a_mutated_store_holds_what_it_held_or_is_refused_by_name() {
    let number = |name| env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    let mutations = number("HERMES_CORRUPTIONS").unwrap_or(MUTATIONS);
    let began = Instant::now();
    let good = [Good::at_rest(), Good::with_a_log()];
    let mut rng = ChaCha8Rng::seed_from_u64(number("HERMES_CORRUPTIONS_SEED").unwrap_or(5));
    let mut seen: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for number in 0..mutations {
        let good = &good[usize::from(rng.random_ratio(1, 4))];
        let damage = Damage::draw(good, &mut rng);
        let tried = AssertUnwindSafe(|| good.after(&damage));
        let outcome = match catch_unwind(tried) {
            Ok(open) => good.judge(open).await,
            Err(cause) => {
                eprintln!("mutation {number} made it panic: {damage:?}");
                resume_unwind(cause)
            }
        };
        let outcome = outcome.unwrap_or_else(|what| panic!("mutation {number}, {damage:?}: {what}"));
        *seen.entry((damage.name(), outcome)).or_default() += 1;
    }
    println!("{mutations} mutations in {:?}:", began.elapsed());
    seen.iter().for_each(|((damage, outcome), count)| println!("  {damage}: {count} {outcome}"));
    let named = seen.iter().filter(|((_, outcome), _)| outcome != HARMLESS).map(|(_, count)| count);
    assert!(named.sum::<u64>() >= mutations / 4, "hardly any was noticed");
}

const HARMLESS: &str = "harmless";

/// A store that is whole.
struct Good {
    key: StoreKey,
    file: Vec<u8>,
    log: Vec<u8>,
    /// What it holds, after each commit of the log.
    states: Vec<Rows>,
    home: TempDir,
}

/// What is done to it.
#[derive(Debug)]
enum Damage {
    /// A bit of the file, or of its log.
    Flip(Part, usize, u8),
    /// Everything from there on is gone.
    Cut(Part, usize),
    /// Two pages of the file stand in each other's place.
    Pages(usize, usize),
    /// Two rows have each other's value.
    Records([(Table, Vec<u8>); 2]),
}

#[derive(Clone, Copy, Debug)]
enum Part {
    File,
    Log,
}

impl Part {
    fn of<'a>(self, file: &'a mut Vec<u8>, log: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        match self {
            Self::File => file,
            Self::Log => log,
        }
    }
}

impl Damage {
    fn draw(good: &Good, rng: &mut ChaCha8Rng) -> Self {
        let (part, bytes) = match !good.log.is_empty() && rng.random_ratio(3, 4) {
            true => (Part::Log, &good.log),
            false => (Part::File, &good.file),
        };
        let rows: Vec<_> = good.now().keys().collect();
        match rng.random_range(0..8) {
            0 => Self::Flip(part, rng.random_range(0..bytes.len()), rng.random_range(0..8)),
            // Most of a small store is empty.
            1..4 => {
                let written: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
                Self::Flip(part, written[rng.random_range(0..written.len())], rng.random_range(0..8))
            }
            4 => Self::Cut(part, rng.random_range(0..bytes.len())),
            // As a disk would, which writes by sectors.
            5 => Self::Cut(part, rng.random_range(0..bytes.len()) / 512 * 512),
            6 => {
                let page = |rng: &mut ChaCha8Rng| rng.random_range(1..good.file.len() / PAGE);
                Self::Pages(page(rng), page(rng))
            }
            _ => {
                let row = |rng: &mut ChaCha8Rng| rows[rng.random_range(0..rows.len())].clone();
                Self::Records([row(rng), row(rng)])
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Flip(Part::File, ..) => "a flipped bit",
            Self::Flip(Part::Log, ..) => "a flipped bit of the log",
            Self::Cut(Part::File, _) => "cut off",
            Self::Cut(Part::Log, _) => "the log cut off",
            Self::Pages(..) => "two pages exchanged",
            Self::Records(_) => "two records exchanged",
        }
    }
}

impl Good {
    /// All in the file.
    fn at_rest() -> Self {
        Self::talked(0)
    }

    /// As after a crash.
    fn with_a_log() -> Self {
        Self::talked(IN_LOG)
    }

    /// A store of somebody who has a contact and a history.
    fn talked(in_log: usize) -> Self {
        // A disk that syncs would take most of the time.
        let home = scratch::in_memory();
        let path = home.path().join("store.db");
        let key = StoreKey::generate();
        let store = SqliteStore::create(&path, &key).unwrap();
        let (mut alice, mut bob) = (Peer::with_store("alice", 1, store), Peer::new("bob", 2));
        greet(&mut bob, &mut alice);
        settle(&mut bob, &mut alice);
        for number in 0..TEXTS {
            alice.send("bob", &format!("{number} of alice {}", "x".repeat(number * 300))).unwrap();
            bob.send("alice", &format!("{number} of bob")).unwrap();
            settle(&mut alice, &mut bob);
        }
        // Most of the store, and of the time that a mutation takes: rows like others.
        alice.lose_prekeys();
        assert_eq!(alice.store.checkpoint().unwrap(), Erased::All);
        let mut states = vec![rows(&alice.store).unwrap()];
        for number in 0..in_log {
            alice.send("bob", &format!("{number} in the log")).unwrap();
            states.push(rows(&alice.store).unwrap());
        }
        let read = |name: &str| fs::read(home.path().join(name)).unwrap_or_default();
        let (file, log) = (read("store.db"), read("store.db-wal"));
        assert_eq!(log.is_empty(), in_log == 0);
        drop(alice);
        Self { key, file, log, states, home }
    }

    /// What it holds.
    fn now(&self) -> &Rows {
        self.states.last().unwrap_or_else(|| unreachable!("there is one at least"))
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("store.db")
    }

    /// Opens the store with this damage, as an account does.
    fn after(&self, damage: &Damage) -> Result<SqliteStore, String> {
        let (mut file, mut log) = (self.file.clone(), self.log.clone());
        match damage {
            Damage::Flip(part, at, bit) => part.of(&mut file, &mut log)[*at] ^= 1 << bit,
            Damage::Cut(part, at) => part.of(&mut file, &mut log).truncate(*at),
            Damage::Pages(one, other) => exchange_pages(&mut file, *one, *other),
            Damage::Records(_) => {}
        }
        let _gone = fs::remove_file(self.path().with_file_name("store.db-shm"));
        fs::write(self.path(), file).unwrap();
        fs::write(self.path().with_file_name("store.db-wal"), log).unwrap();
        if let Damage::Records([one, other]) = damage {
            exchange_records(&self.path(), one, other);
        }
        let store = SqliteStore::open(&self.path(), &self.key).map_err(|error| match error {
            OpenError::Corrupt(_) => "refused as damaged".to_owned(),
            OpenError::WrongKey(_) => "refused as under another key".to_owned(),
            OpenError::Newer { .. } => "refused as of a newer version".to_owned(),
            // Nothing is wrong with the disk, the lock or the rights.
            error => panic!("{error:?}"),
        })?;
        match Engine::load(&store) {
            Ok(_) => Ok(store),
            Err(error) if is_damage(&error) => Err("found damaged when the account was loaded".to_owned()),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// What became of the store: in words, or what should not have.
    async fn judge(&self, opened: Result<SqliteStore, String>) -> Result<String, String> {
        let store = match opened {
            Ok(store) => store,
            Err(refused) => return Ok(refused),
        };
        let reader = store.reader();
        let found = reader.snapshot().map_err(|error| (Rows::new(), error)).and_then(|view| rows(&view));
        match (reader.scrub().await, found) {
            (Ok(()), Ok(found)) => match self.states.iter().position(|state| *state == found) {
                Some(last) if last + 1 == self.states.len() => Ok(HARMLESS.to_owned()),
                // Commits at the end of the log are gone, whole ones: the relay knows of later ones (rollback.rs).
                Some(_) => Ok("as it was some commits before".to_owned()),
                None => Err("other rows than any that were there, and the scrub found nothing".to_owned()),
            },
            (Err(StoreError::Corrupt(_)), found) => match found {
                Ok(found) => self.only_true(found).map(|()| "found by the scrub".to_owned()),
                Err((seen, _)) => self.only_true(seen).map(|()| "found by reading and the scrub".to_owned()),
            },
            (scrubbed, found) => Err(format!("{scrubbed:?}, {:?}", found.err().map(|(_, error)| error))),
        }
    }

    /// No row is there that was not written so.
    fn only_true(&self, found: Rows) -> Result<(), String> {
        let known = |(place, value): (&(Table, Vec<u8>), &Vec<u8>)| {
            self.states.iter().any(|state| state.get(place) == Some(value))
        };
        match found.iter().all(known) {
            true => Ok(()),
            false => Err("a row that nobody wrote was believed".to_owned()),
        }
    }
}

/// Every row; with an error, those that were read before it.
fn rows<V: View>(view: &V) -> Result<Rows, (Rows, V::Error)> {
    let (mut rows, mut failed) = (Rows::new(), None);
    for table in Table::ALL {
        let scanned = view.scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
            rows.insert((table, key.to_vec()), value.to_vec());
            ControlFlow::Continue(())
        });
        failed = failed.or(scanned.err());
    }
    match failed {
        Some(error) => Err((rows, error)),
        None => Ok(rows),
    }
}

fn is_damage(error: &ReadError<StoreError>) -> bool {
    matches!(error, ReadError::Corrupt(_) | ReadError::NoAccount | ReadError::Store(StoreError::Corrupt(_)))
}

fn exchange_records(path: &Path, one: &(Table, Vec<u8>), other: &(Table, Vec<u8>)) {
    let raw = Connection::open(path).unwrap();
    let sealed = |(table, key): &(Table, Vec<u8>)| -> Vec<u8> {
        raw.query_row(&Sql::of(*table).get, params![key], |row| row.get(0)).unwrap()
    };
    let values = [sealed(one), sealed(other)];
    for ((table, key), value) in [other, one].into_iter().zip(values) {
        raw.execute(&Sql::of(*table).replace, params![key, value]).unwrap();
    }
}
