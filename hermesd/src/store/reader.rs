//! Read-only connections for queries, so that they neither wait for the account's thread nor hold it up.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hermes_engine::{Order, Range, ReadError, Sifted, Table, Value, View};
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    task,
};

use super::{batch::Opener, error::StoreError, rows, sealing::Sealer};
use crate::limits::{BUSY_TIMEOUT, IDLE_READERS, QUERIES, READER_CACHE_KIB, STATEMENTS};

/// Opens snapshots of one store, as long as any clone of it lives.
#[derive(Clone)]
pub(crate) struct Reader(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// `None` once it is closed: the key is gone from here then.
    sealer: Mutex<Option<Arc<Sealer>>>,
    idle: Mutex<Vec<Connection>>,
    /// Queries at one time.
    turns: Semaphore,
    /// Whether nobody is to begin or go on.
    closing: watch::Sender<bool>,
}

impl Reader {
    pub(super) fn new(path: &Path, sealer: Arc<Sealer>) -> Self {
        Self(Arc::new(Shared {
            path: path.to_owned(),
            sealer: Mutex::new(Some(sealer)),
            idle: Mutex::default(),
            turns: Semaphore::new(QUERIES),
            closing: watch::Sender::new(false),
        }))
    }

    /// The committed rows as they are at this moment, for as long as the snapshot lives. Blocks on the disk.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let sealer = self.0.sealer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sealer = sealer.ok_or(StoreError::Closed)?;
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.0.connect()?,
        };
        connection.execute_batch("BEGIN")?;
        Ok(Snapshot { connection: Some(connection), sealer, shared: self.0.clone() })
    }

    /// Becomes true when the key is to be forgotten. Queries that take long end then.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// Waits for the queries under way, lets nobody begin another, and forgets the key.
    pub(crate) async fn close(&self) {
        self.0.closing.send_replace(true);
        // An error means that it is closed already.
        let all = u32::try_from(QUERIES).unwrap_or(u32::MAX);
        let _last_ones = self.0.turns.acquire_many(all).await;
        self.0.turns.close();
        *self.0.sealer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks one snapshot, off the runtime's threads.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Snapshot) -> Result<T, ReadError<StoreError>> + Send + 'static,
    ) -> Result<T, ReadError<StoreError>> {
        let reader = self.clone();
        let _turn = self.turn().await.map_err(ReadError::Store)?;
        let asked = task::spawn_blocking(move || ask(&reader.snapshot().map_err(ReadError::Store)?));
        match asked.await {
            Ok(answer) => answer,
            // The runtime is shutting down, or the query panicked, which no query does.
            Err(_) => Err(ReadError::Store(StoreError::Interrupted)),
        }
    }

    /// The right to run one query, for as long as it is held.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.0.turns.acquire().await.map_err(|_| StoreError::Closed)
    }
}

impl Shared {
    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(connection)
    }
}

/// One consistent state of the store.
pub(crate) struct Snapshot {
    /// Taken when dropped.
    connection: Option<Connection>,
    sealer: Arc<Sealer>,
    shared: Arc<Shared>,
}

impl Snapshot {
    /// Ends from another thread what this one is being asked.
    pub(super) fn interrupt(&self) -> InterruptHandle {
        self.connection().get_interrupt_handle()
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("taken only when dropped"))
    }
}

impl View for Snapshot {
    type Error = StoreError;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, StoreError> {
        rows::get(self.connection(), &self.sealer, table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        rows::scan_all(self.connection(), &self.sealer, table, range, order, visit)
    }

    fn sift(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        wanted: &(dyn Fn(&[u8]) -> bool + Sync),
        visit: &mut Sifted<'_>,
    ) -> Result<(), StoreError> {
        let opener = Opener { sealer: &self.sealer, table, wanted: Some(wanted) };
        rows::scan(self.connection(), opener, range, order, visit)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // A connection that cannot end its transaction is closed instead of kept.
        if connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
    }
}
