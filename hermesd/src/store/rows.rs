//! Reading sealed rows over a SQLite connection, whichever kind it is.

use std::ops::ControlFlow;

use hermes_engine::{Order, Range, Sifted, Table, Value};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    batch::{self, Opener},
    error::StoreError,
    schema::Sql,
    sealing::Sealer,
};
use crate::limits::SHORT_SCAN;

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

/// Hands over every value of a range.
pub(super) fn scan_all(
    connection: &Connection,
    sealer: &Sealer,
    table: Table,
    range: &Range,
    order: Order,
    visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let opener = Opener { sealer, table, wanted: None };
    // Without a choice, every value comes.
    scan(connection, opener, range, order, &mut |key, value| visit(key, value.unwrap_or_default()))
}

pub(super) fn scan(
    connection: &Connection,
    opener: Opener<'_>,
    range: &Range,
    order: Order,
    visit: &mut Sifted<'_>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(Sql::of(opener.table).scan(order, range.to.is_some()))?;
    let mut rows = match &range.to {
        Some(to) => statement.query(params![range.from, to])?,
        None => statement.query(params![range.from])?,
    };
    let mut room = Value::default();
    for _ in 0..SHORT_SCAN {
        let Some(row) = rows.next()? else { return Ok(()) };
        let (key, sealed) = columns(row, opener.table)?;
        if visit(key, opener.open(key, sealed, &mut room)?).is_break() {
            return Ok(());
        }
    }
    batch::visit(&mut rows, opener, visit)
}

/// A row's key and its sealed value.
pub(super) fn columns<'a>(row: &'a Row<'_>, table: Table) -> Result<(&'a [u8], &'a [u8]), StoreError> {
    let column = |at| row.get_ref(at)?.as_blob().map_err(|_| StoreError::Corrupt(Some(table.name())));
    Ok((column(0)?, column(1)?))
}

fn open(sealer: &Sealer, table: Table, key: &[u8], sealed: &[u8]) -> Result<Value, StoreError> {
    let mut value = Value::default();
    open_into(sealer, table, key, sealed, &mut value)?;
    Ok(value)
}

/// Puts a row's value where another one was.
pub(super) fn open_into(
    sealer: &Sealer,
    table: Table,
    key: &[u8],
    sealed: &[u8],
    value: &mut Value,
) -> Result<(), StoreError> {
    sealer.open_into(table.name(), key, sealed, value).map_err(|_| StoreError::Corrupt(Some(table.name())))
}
