//! Reading a store from end to end, so that damage is found before somebody needs what it took.
//!
//! A row whose key was damaged is not where anybody looks for it: a read finds nothing, and no seal is there to fail.
//! Reading every row finds it, as its seal is bound to its key. SQLite's own check finds pages that no row points to
//! any more (sqlite.org/pragma.html#pragma_quick_check).

use std::ops::ControlFlow;

use hermes_engine::{Order, Range, Table, View};
use tokio::task;

use super::{
    error::StoreError,
    reader::{Reader, Snapshot},
};

impl Reader {
    /// Reads the whole store as it is at this moment. An error that says it is damaged is found nowhere else; it ends
    /// with [`StoreError::Interrupted`] when the store closes meanwhile.
    pub(crate) async fn scrub(&self) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut closing = self.closing();
        let is_closing = closing.clone();
        let reader = self.clone();
        let snapshot = task::spawn_blocking(move || reader.snapshot()).await;
        let snapshot = snapshot.unwrap_or(Err(StoreError::Interrupted))?;
        let interrupt = snapshot.interrupt();
        let mut scrub = task::spawn_blocking(move || snapshot.scrub(&|| *is_closing.borrow()));
        let done = tokio::select! {
            done = &mut scrub => Some(done),
            () = async { drop(closing.wait_for(|closing| *closing).await) } => None,
        };
        let done = match done {
            Some(done) => done,
            None => {
                interrupt.interrupt();
                scrub.await
            }
        };
        done.unwrap_or(Err(StoreError::Interrupted))
    }
}

impl Snapshot {
    /// Looks at one table after the other, until `given_up`.
    fn scrub(&self, given_up: &dyn Fn() -> bool) -> Result<(), StoreError> {
        for table in Table::ALL {
            let outcome = self.check_pages(table).and_then(|()| self.open_rows(table, given_up));
            if given_up() {
                return Err(StoreError::Interrupted);
            }
            outcome?;
        }
        Ok(())
    }

    fn check_pages(&self, table: Table) -> Result<(), StoreError> {
        let name = table.name();
        let found: String =
            self.connection().query_row(&format!("PRAGMA quick_check(\"{name}\")"), (), |row| row.get(0))?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt(Some(name))) }
    }

    fn open_rows(&self, table: Table, given_up: &dyn Fn() -> bool) -> Result<(), StoreError> {
        self.scan(table, &Range::all(), Order::Ascending, &mut |_, _| match given_up() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }
}
