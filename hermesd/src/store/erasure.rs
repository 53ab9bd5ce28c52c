//! Keys that were replaced or deleted leave the files, so that a thief who has the store key finds no used one.
//!
//! Two places keep them. The write-ahead log has every page as it was; a checkpoint empties it. And the pages of a table
//! have copies that SQLite's `secure_delete` does not reach: it zeroes a cell that is deleted and a page that is freed,
//! but where a page is rebuilt to balance the tree (`rebuildPage` in btree.c), cells that moved stay behind in the space
//! between the page's pointers and its content, and outlive the row. So the tables with keys are emptied, which frees
//! and zeroes every page they had, and filled again with the rows as they are. Copies that this leaves are of rows that
//! are still there.

use std::collections::BTreeSet;

use hermes_engine::Table;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::schema::Sql;

/// What a checkpoint has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erased {
    /// What was replaced or deleted is in none of the store's files.
    All,
    /// A reader still looks at the log, where old rows are.
    LogInUse,
}

/// The tables with keys that have changed since their pages were last zeroed.
pub(super) struct Stale(BTreeSet<Table>);

impl Stale {
    /// Every table that holds keys: an earlier process may have left them so.
    pub(super) fn unknown() -> Self {
        Self(Table::ALL.into_iter().filter(|table| table.holds_keys()).collect())
    }

    /// A row of `table` changes.
    pub(super) fn note(&mut self, table: Table) {
        if table.holds_keys() {
            self.0.insert(table);
        }
    }
}

pub(super) fn erase(connection: &mut Connection, stale: &mut Stale) -> rusqlite::Result<Erased> {
    if !stale.0.is_empty() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in &stale.0 {
            rewrite(&transaction, *table)?;
        }
        transaction.commit()?;
        stale.0.clear();
    }
    empty_log(connection)
}

/// Rows are moved as they are sealed.
fn rewrite(transaction: &Transaction<'_>, table: Table) -> rusqlite::Result<()> {
    let sql = Sql::of(table);
    let rows = transaction
        .prepare_cached(sql.scan(hermes_engine::Order::Ascending, false))?
        .query_map(params![[0_u8; 0]], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(Vec<u8>, Vec<u8>)>>>()?;
    // Without a condition, so that SQLite clears the tree page by page instead of row by row.
    transaction.prepare_cached(&sql.clear)?.execute([])?;
    let mut insert = transaction.prepare_cached(&sql.insert)?;
    for (key, value) in rows {
        insert.execute(params![key, value])?;
    }
    Ok(())
}

/// Copies the write-ahead log into the database and cuts it to nothing.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<Erased> {
    let busy = connection
        .prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?
        .query_row([], |row| row.get::<_, bool>(0))?;
    Ok(if busy { Erased::LogInUse } else { Erased::All })
}
