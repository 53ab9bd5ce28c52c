//! Reading a store from end to end, so that damage is found before somebody needs what it took.
//!
//! A row whose key was damaged is not where anybody looks for it: a read finds nothing, and no seal is there to fail.
//! Reading every row finds it, as its seal is bound to its key. SQLite's own check finds pages that are none of this
//! table's, or out of order (sqlite.org/pragma.html#pragma_quick_check). What neither finds are rows that went with a
//! page of which the tree knows nothing any more: so they are counted.

use std::ops::ControlFlow;

use hermes_engine::{Order, Range, Table, View};
use rusqlite::InterruptHandle;
use tokio::{sync::watch, task, time::sleep};

use super::{
    counts::Counts,
    error::StoreError,
    reader::{Reader, Snapshot},
};
use crate::limits::{SCRUB_PAUSE, SCRUB_ROWS};

impl Reader {
    /// Reads the whole store, some rows at a time: as long as a snapshot lives, used keys cannot be erased from the
    /// write-ahead log. An error that says it is damaged is found nowhere else; it ends with
    /// [`StoreError::Interrupted`] as soon as the store closes.
    pub(crate) async fn scrub(&self) -> Result<(), StoreError> {
        let stop = &mut self.closing();
        for table in Table::ALL {
            self.scrub_part(stop, move |snapshot| snapshot.check_pages(table)).await?;
            let mut after = Some(Vec::new());
            while let Some(from) = after {
                after = self.scrub_part(stop, move |snapshot| snapshot.open_rows(table, from)).await?;
                sleep(SCRUB_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Asks one snapshot, which lives no longer than that.
    async fn scrub_part<T: Send + 'static>(
        &self,
        stop: &mut watch::Receiver<bool>,
        ask: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.turn().await?;
        let reader = self.clone();
        let snapshot = task::spawn_blocking(move || reader.snapshot()).await;
        let snapshot = snapshot.unwrap_or(Err(StoreError::Interrupted))?;
        if *stop.borrow() {
            return Err(StoreError::Interrupted);
        }
        let interrupt = snapshot.interrupt();
        let asked = task::spawn_blocking(move || ask(&snapshot));
        match until_stopped(stop, &interrupt, asked).await {
            _ if *stop.borrow() => Err(StoreError::Interrupted),
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Interrupted),
        }
    }
}

/// Waits for `asked`, and makes it end early when `stop` says so.
async fn until_stopped<T>(
    stop: &mut watch::Receiver<bool>,
    interrupt: &InterruptHandle,
    mut asked: task::JoinHandle<T>,
) -> Result<T, task::JoinError> {
    let done = tokio::select! {
        done = &mut asked => Some(done),
        // An error means that whoever would say so is gone, which is the same.
        () = async { drop(stop.wait_for(|stop| *stop).await) } => None,
    };
    match done {
        Some(done) => done,
        None => {
            interrupt.interrupt();
            asked.await
        }
    }
}

impl Snapshot {
    fn check_pages(&self, table: Table) -> Result<(), StoreError> {
        let name = table.name();
        let found: String =
            self.connection().query_row(&format!("PRAGMA quick_check(\"{name}\")"), (), |row| row.get(0))?;
        // A bit makes text of a key, which sorts before all bytes: a search that comes upon it looks for the first bytes behind it,
        // and misses those before. Asked so that every row is looked at, for an order that is none leads nowhere.
        let misplaced = format!("SELECT EXISTS (SELECT 1 FROM \"{name}\" WHERE typeof(key) <> 'blob')");
        let misplaced: bool = self.connection().query_row(&misplaced, (), |row| row.get(0))?;
        let complete = Counts::read(self.connection(), self.sealer())?.hold(self.connection(), table)?;
        if found == "ok" && !misplaced && complete { Ok(()) } else { Err(StoreError::Corrupt(Some(name))) }
    }

    /// Opens some rows; gives the key from which to go on, unless the table ends.
    fn open_rows(&self, table: Table, from: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        let (mut rows, mut next) = (0, None);
        self.scan(table, &Range { from, to: None }, Order::Ascending, &mut |key, _| {
            rows += 1;
            if rows < SCRUB_ROWS {
                return ControlFlow::Continue(());
            }
            // The smallest key behind this one.
            next = Some([key, &[0]].concat());
            ControlFlow::Break(())
        })?;
        Ok(next)
    }
}
