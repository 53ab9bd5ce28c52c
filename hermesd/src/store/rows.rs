//! Reading sealed rows over a SQLite connection, whichever kind it is.

use std::ops::ControlFlow;

use hermes_engine::{Order, Range, Table, Value};
use rusqlite::{Connection, OptionalExtension, params};

use super::{batch::Batch, error::StoreError, schema::Sql, sealing::Sealer};
use crate::limits::{SCAN_BATCH, SHORT_SCAN};

pub(super) fn get(
    connection: &Connection,
    sealer: &Sealer,
    table: Table,
    key: &[u8],
) -> Result<Option<Value>, StoreError> {
    connection
        .prepare_cached(&Sql::of(table).get)?
        .query_row(params![key], |row| Ok(open(sealer, table, key, row.get_ref(0)?.as_blob()?)))
        .optional()?
        .transpose()
}

pub(super) fn scan(
    connection: &Connection,
    sealer: &Sealer,
    table: Table,
    range: &Range,
    order: Order,
    visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(Sql::of(table).scan(order, range.to.is_some()))?;
    let mut rows = match &range.to {
        Some(to) => statement.query(params![range.from, to])?,
        None => statement.query(params![range.from])?,
    };
    let (mut read, mut batch) = (0_usize, Batch::default());
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob().map_err(|_| StoreError::Corrupt(Some(table.name())))?;
        let sealed = row.get_ref(1)?.as_blob().map_err(|_| StoreError::Corrupt(Some(table.name())))?;
        read = read.saturating_add(1);
        if read <= SHORT_SCAN {
            if visit(key, open(sealer, table, key, sealed)?).is_break() {
                return Ok(());
            }
            continue;
        }
        batch.add(key, sealed);
        if batch.len() >= SCAN_BATCH && batch.visit(sealer, table, visit)?.is_break() {
            return Ok(());
        }
    }
    batch.visit(sealer, table, visit).map(|_| ())
}

pub(super) fn open(sealer: &Sealer, table: Table, key: &[u8], sealed: &[u8]) -> Result<Value, StoreError> {
    sealer.open(table.name(), key, sealed).map_err(|_| StoreError::Corrupt(Some(table.name())))
}
