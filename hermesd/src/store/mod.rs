//! The account's store: SQLite, every value sealed, one writer for the life of the process.
//!
//! A commit is one transaction and durable when it returns (write-ahead log, `synchronous=FULL`). What a thief of the
//! file sees: which kinds of rows there are, how many and how large. Deliberately absent: what the rows mean (the
//! engine's business) and any repair (a damaged store is refused and left alone).

mod batch;
#[cfg(test)]
mod corruption;
mod counts;
mod erasure;
mod error;
#[cfg(test)]
mod forward_secrecy;
mod reader;
mod rows;
mod schema;
mod scrub;
mod sealing;
#[cfg(test)]
mod tests;
mod upgrade;

use std::{
    fs::File,
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use hermes_engine::{ChangeSet, Order, Range, Store, Table, Value, View};
use rand::Rng;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, config::DbConfig, params};

pub(crate) use erasure::Erased;
pub use error::{OpenError, StoreError};
pub(crate) use reader::{Reader, Snapshot};

use self::{
    counts::Counts,
    erasure::Stale,
    schema::{META, Schema, Sql},
    sealing::{Epoch, Sealer},
};
use crate::{
    keystore::StoreKey,
    limits::{BUSY_TIMEOUT, STATEMENTS},
    lock::{LockError, LockFile},
    random::rng,
};

/// The version of what is in the tables.
pub(crate) fn schema_version() -> u32 {
    schema::CURRENT.version.unsigned_abs()
}

/// Meta row: the store's epoch.
const EPOCH: &str = "epoch";
/// Meta row: [`KEY_CHECK_VALUE`], sealed, to tell a wrong key from a damaged row.
const KEY_CHECK: &str = "key_check";
/// What the right key finds in the key check.
const KEY_CHECK_VALUE: &[u8] = b"this key opens this store";

/// An open store. Closing it folds the write-ahead log back into the file.
pub struct SqliteStore {
    path: PathBuf,
    schema: Schema,
    connection: Connection,
    sealer: Arc<Sealer>,
    reader: Reader,
    stale: Stale,
    /// Last, so that the lock outlives the connection.
    _lock: LockFile,
}

impl SqliteStore {
    /// Makes an empty store. `path` must not exist.
    pub fn create(path: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        Self::create_as(path, key, schema::CURRENT)
    }

    fn create_as(path: &Path, key: &StoreKey, schema: Schema) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        File::create_new(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let failed = |error| OpenError::sqlite(path, error);
        let mut connection = connect(path)?;
        configure(&connection).map_err(failed)?;
        let mut epoch = Epoch::default();
        rng().fill_bytes(&mut epoch);
        let sealer = Sealer::new(key, epoch);
        initialize(&mut connection, &sealer, epoch, schema).map_err(failed)?;
        // The header is read from the file itself, so it must not lie in the log alone.
        erasure::empty_log(&connection).map_err(failed)?;
        Ok(Self::assemble(path, schema, connection, sealer, lock))
    }

    /// Opens an existing store. One of an older version is upgraded, and a copy kept until
    /// [`SqliteStore::forget_copies`].
    pub fn open(path: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        Self::open_as(path, key, schema::CURRENT)
    }

    fn open_as(path: &Path, key: &StoreKey, schema: Schema) -> Result<Self, OpenError> {
        schema::check_header(path, schema)?;
        let lock = lock(path)?;
        let failed = |error| OpenError::sqlite(path, error);
        let mut connection = connect(path)?;
        // Closing without a checkpoint leaves a newer store's files as they were found.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
        let version = schema::check_database(path, &connection, schema)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        let epoch: Epoch =
            meta(path, &connection, EPOCH)?.try_into().map_err(|_| OpenError::Corrupt(path.to_owned()))?;
        let sealer = Sealer::new(key, epoch);
        let check = meta(path, &connection, KEY_CHECK)?;
        match sealer.open(META, KEY_CHECK.as_bytes(), &check) {
            Ok(value) if value.as_slice() == KEY_CHECK_VALUE => {}
            _ => return Err(OpenError::WrongKey(path.to_owned())),
        }
        if version < schema.version {
            upgrade::upgrade(path, &mut connection, &sealer, version, schema)?;
        }
        Ok(Self::assemble(path, schema, connection, sealer, lock))
    }

    /// Read-only access that works beside this store, on other threads.
    pub(crate) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Leaves nothing in the store's files of the keys that were replaced or deleted. Readers may prevent it.
    pub(crate) fn checkpoint(&mut self) -> Result<Erased, StoreError> {
        Ok(erasure::erase(&mut self.connection, &mut self.stale)?)
    }

    /// Erases the copy that an upgrade left, which holds keys that are used from here on. To be called once the account
    /// has started from the upgraded store.
    pub(crate) fn forget_copies(&self) -> io::Result<()> {
        upgrade::forget_copies(&self.path, self.schema)
    }

    fn assemble(path: &Path, schema: Schema, connection: Connection, sealer: Sealer, lock: LockFile) -> Self {
        let sealer = Arc::new(sealer);
        let reader = Reader::new(path, sealer.clone());
        Self {
            path: path.to_owned(),
            schema,
            connection,
            sealer,
            reader,
            stale: Stale::unknown(),
            _lock: lock,
        }
    }
}

impl View for SqliteStore {
    type Error = StoreError;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, StoreError> {
        rows::get(&self.connection, &self.sealer, table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        rows::scan_all(&self.connection, &self.sealer, table, range, order, visit)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = Counts::read(&transaction, &self.sealer)?;
        let mut counts = before.clone();
        for (table, key, value) in changes.iter() {
            self.stale.note(table);
            let sql = Sql::of(table);
            match value {
                Some(value) => {
                    let sealed = self.sealer.seal(table.name(), key, value);
                    if transaction.prepare_cached(&sql.replace)?.execute(params![key, sealed])? == 0 {
                        transaction.prepare_cached(&sql.insert)?.execute(params![key, sealed])?;
                        counts.added(table);
                    }
                }
                None => {
                    if transaction.prepare_cached(&sql.delete)?.execute(params![key])? > 0 {
                        counts.removed(table)?;
                    }
                }
            }
        }
        if counts != before {
            counts.write(&transaction, &self.sealer)?;
        }
        Ok(transaction.commit()?)
    }
}

/// The lock lies beside the store, so that SQLite's own locks stay its own.
fn lock(path: &Path) -> Result<LockFile, OpenError> {
    LockFile::acquire(&path.with_extension("lock"))
        .map_err(|source: LockError| OpenError::Locked { path: path.to_owned(), source })
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| OpenError::sqlite(path, error))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // FULL syncs the log at every commit; NORMAL would lose the last commits with the power.
    connection.pragma_update(None, "synchronous", "full")?;
    // On macOS fsync leaves data in the drive's cache; F_FULLFSYNC does not. Elsewhere these do nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

fn initialize(
    connection: &mut Connection,
    sealer: &Sealer,
    epoch: Epoch,
    schema: Schema,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    schema::create(&transaction, schema)?;
    let insert = format!("INSERT INTO {META} (name, value) VALUES (?1, ?2)");
    transaction.execute(&insert, params![EPOCH, epoch])?;
    let check = sealer.seal(META, KEY_CHECK.as_bytes(), KEY_CHECK_VALUE);
    transaction.execute(&insert, params![KEY_CHECK, check])?;
    Counts::none().write(&transaction, sealer)?;
    transaction.commit()
}

fn meta(path: &Path, connection: &Connection, name: &str) -> Result<Vec<u8>, OpenError> {
    connection
        .query_row(&format!("SELECT value FROM {META} WHERE name = ?1"), params![name], |row| row.get(0))
        .optional()
        .map_err(|error| match error {
            rusqlite::Error::InvalidColumnType(..) => OpenError::Corrupt(path.to_owned()),
            error => OpenError::sqlite(path, error),
        })?
        .ok_or_else(|| OpenError::Corrupt(path.to_owned()))
}
