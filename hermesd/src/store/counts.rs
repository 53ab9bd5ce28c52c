//! How many rows each table has, sealed beside them and written with each commit that changes it.
//!
//! A seal says that a row is what was written there. It does not say that a row is there: a page of another table, or an
//! older one of this, can stand in a page's place, and its rows are gone without a trace. The counts are what tells.

use hermes_engine::Table;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    error::StoreError,
    schema::{META, Schema},
    sealing::Sealer,
};

/// Meta row: the counts, sealed.
const ROW_COUNTS: &str = "row_counts";
const COUNT_BYTES: usize = size_of::<u64>();

/// Rows of each table, in the order of [`Table::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts([u64; Table::ALL.len()]);

impl Counts {
    /// Of a store without rows.
    pub(super) fn none() -> Self {
        Self([0; Table::ALL.len()])
    }

    /// Counts the rows that are there, for a store that was written without.
    pub(super) fn count(connection: &Connection, schema: Schema) -> rusqlite::Result<Self> {
        let mut counts = Self::none();
        for table in schema.tables {
            *counts.of_mut(*table) = Self::count_table(connection, *table)?;
        }
        Ok(counts)
    }

    /// The counts as they were last written.
    pub(super) fn read(connection: &Connection, sealer: &Sealer) -> Result<Self, StoreError> {
        let damaged = StoreError::Corrupt(Some(META));
        let sealed: Option<Vec<u8>> = connection
            .prepare_cached(&format!("SELECT value FROM {META} WHERE name = ?1"))?
            .query_row(params![ROW_COUNTS], |row| row.get(0))
            .optional()?;
        match sealed.and_then(|sealed| sealer.open(META, ROW_COUNTS.as_bytes(), &sealed).ok()) {
            Some(value) => Self::decode(&value).ok_or(damaged),
            None => Err(damaged),
        }
    }

    /// Within the transaction that changes the rows.
    pub(super) fn write(&self, transaction: &Connection, sealer: &Sealer) -> rusqlite::Result<()> {
        let value: Vec<u8> = self.0.iter().flat_map(|count| count.to_be_bytes()).collect();
        let sealed = sealer.seal(META, ROW_COUNTS.as_bytes(), &value);
        transaction
            .prepare_cached(&format!("INSERT OR REPLACE INTO {META} (name, value) VALUES (?1, ?2)"))?
            .execute(params![ROW_COUNTS, sealed])
            .map(drop)
    }

    /// A row of `table` was added.
    pub(super) fn added(&mut self, table: Table) {
        let count = self.of_mut(table);
        *count = count.saturating_add(1);
    }

    /// A row of `table` was removed. More than there are cannot be, unless some were gone before.
    pub(super) fn removed(&mut self, table: Table) -> Result<(), StoreError> {
        let count = self.of_mut(table);
        *count = count.checked_sub(1).ok_or(StoreError::Corrupt(Some(table.name())))?;
        Ok(())
    }

    /// Whether `table` has as many rows as are counted.
    pub(super) fn hold(&self, connection: &Connection, table: Table) -> rusqlite::Result<bool> {
        Ok(Self::count_table(connection, table)? == self.of(table))
    }

    fn count_table(connection: &Connection, table: Table) -> rusqlite::Result<u64> {
        let count = format!("SELECT count(*) FROM \"{}\"", table.name());
        connection.query_row(&count, (), |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    }

    /// A store from before a table was added has no count of it, and no row.
    fn decode(value: &[u8]) -> Option<Self> {
        let (counted, rest) = value.as_chunks::<COUNT_BYTES>();
        let mut counts = Self::none();
        let places = counts.0.get_mut(..counted.len()).filter(|_| rest.is_empty())?;
        for (place, bytes) in places.iter_mut().zip(counted) {
            *place = u64::from_be_bytes(*bytes);
        }
        Some(counts)
    }

    fn of(&self, table: Table) -> u64 {
        Table::ALL.iter().zip(self.0).find(|(known, _)| **known == table).map_or(0, |(_, count)| count)
    }

    fn of_mut(&mut self, table: Table) -> &mut u64 {
        let place = Table::ALL.iter().zip(&mut self.0).find(|(known, _)| **known == table);
        place.map_or_else(|| unreachable!("Table::ALL names every table"), |(_, count)| count)
    }
}
