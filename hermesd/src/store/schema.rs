//! What a store file looks like: its header, its tables, its version.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::LazyLock,
};

use hermes_engine::{Order, Table};
use rusqlite::Connection;

use super::error::OpenError;

/// "HERM" in the SQLite header, so that `file` and we can tell our stores from other databases.
const APPLICATION_ID: i32 = 0x4845_524d;
/// How many tables a store has at each version, from version 1 on. Whoever adds tables to [`Table::ALL`] adds a number
/// here, which makes the next version: an older store gets the tables that it lacks when it is opened, and an older
/// binary refuses the newer store instead of overlooking rows of it. Numbers that are here never change. Version 6 has
/// the tables of version 5, and counts their rows.
const TABLES: [usize; 6] = [36, 37, 39, 40, 41, 41];
/// The first version whose rows are counted.
pub(super) const COUNTED_SINCE: i32 = 6;
const _: () =
    assert!(TABLES[TABLES.len() - 1] == Table::ALL.len(), "new tables make a new version of the store");

/// What a store is to look like.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    /// Higher numbers are left alone, lower ones are upgraded.
    pub(super) version: i32,
    pub(super) tables: &'static [Table],
}

/// The schema of this binary.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a count of versions")]
pub(super) const CURRENT: Schema = Schema { version: TABLES.len() as i32, tables: &Table::ALL };

/// Bytes of the SQLite header (sqlite.org/fileformat.html, section 1.3).
const HEADER_BYTES: usize = 100;
/// How every SQLite file starts.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header has `user_version`.
const VERSION_AT: usize = 60;
/// Where the header has `application_id`.
const APPLICATION_ID_AT: usize = 68;

/// The table of what describes the store itself.
pub(super) const META: &str = "store_meta";

/// Reads a store's header without SQLite, which could write to a file merely by opening it: a newer store must stay as
/// it is, to the byte.
pub(super) fn check_header(path: &Path, known: Schema) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let mut header = [0; HEADER_BYTES];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing(path.to_owned()));
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::Corrupt(path.to_owned()));
        }
        Err(error) => return Err(failed(error)),
    }
    let number = |at: usize| {
        let bytes = header.get(at..).and_then(<[u8]>::first_chunk).copied();
        i32::from_be_bytes(bytes.unwrap_or_default())
    };
    if !header.starts_with(MAGIC) {
        return Err(OpenError::Corrupt(path.to_owned()));
    }
    check_numbers(path, known, number(APPLICATION_ID_AT), number(VERSION_AT)).map(drop)
}

/// The same check on the open database: a write-ahead log may hold a newer header than the file. Gives its version.
pub(super) fn check_database(path: &Path, connection: &Connection, known: Schema) -> Result<i32, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma("application_id").map_err(|error| OpenError::sqlite(path, error))?;
    let version = pragma("user_version").map_err(|error| OpenError::sqlite(path, error))?;
    check_numbers(path, known, application, version)
}

fn check_numbers(path: &Path, known: Schema, application: i32, version: i32) -> Result<i32, OpenError> {
    match (application, version) {
        (APPLICATION_ID, version) if (1..=known.version).contains(&version) => Ok(version),
        (APPLICATION_ID, found) if found > known.version => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: known.version })
        }
        _ => Err(OpenError::Corrupt(path.to_owned())),
    }
}

/// Makes the tables of an empty database.
pub(super) fn create(connection: &Connection, schema: Schema) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE {META} (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    ))?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    complete(connection, schema)
}

/// Makes the tables that are missing, and says which version this is. Within a transaction, all of it happens or none.
pub(super) fn complete(connection: &Connection, schema: Schema) -> rusqlite::Result<()> {
    for table in schema.tables {
        let name = table.name();
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS \"{name}\" (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
        ))?;
    }
    connection.pragma_update(None, "user_version", schema.version)
}

/// The statements on one table.
pub(super) struct Sql {
    pub(super) get: String,
    pub(super) insert: String,
    /// Gives a row another value, if it is there.
    pub(super) replace: String,
    pub(super) delete: String,
    /// Deletes every row.
    pub(super) clear: String,
    ascending: [String; 2],
    descending: [String; 2],
}

impl Sql {
    /// The statements on `table`.
    pub(super) fn of(table: Table) -> &'static Self {
        static ALL: LazyLock<BTreeMap<Table, Sql>> =
            LazyLock::new(|| Table::ALL.into_iter().map(|table| (table, Sql::new(table.name()))).collect());
        ALL.get(&table).unwrap_or_else(|| unreachable!("Table::ALL names every table"))
    }

    /// The scan from `?1`, and to `?2` when there is an end.
    pub(super) fn scan(&self, order: Order, bounded: bool) -> &str {
        let [open, closed] = match order {
            Order::Ascending => &self.ascending,
            Order::Descending => &self.descending,
        };
        if bounded { closed } else { open }
    }

    fn new(name: &str) -> Self {
        let scan = |bound: &str, order: &str| {
            format!("SELECT key, value FROM \"{name}\" WHERE key >= ?1{bound} ORDER BY key{order}")
        };
        Self {
            get: format!("SELECT value FROM \"{name}\" WHERE key = ?1"),
            insert: format!("INSERT INTO \"{name}\" (key, value) VALUES (?1, ?2)"),
            replace: format!("UPDATE \"{name}\" SET value = ?2 WHERE key = ?1"),
            delete: format!("DELETE FROM \"{name}\" WHERE key = ?1"),
            clear: format!("DELETE FROM \"{name}\""),
            ascending: [scan("", ""), scan(" AND key < ?2", "")],
            descending: [scan("", " DESC"), scan(" AND key < ?2", " DESC")],
        }
    }
}
