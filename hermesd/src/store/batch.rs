//! Rows of a long scan, opened by several threads at a time: the cipher is most of what such a scan takes.

use std::{mem, num::NonZero, ops::ControlFlow, thread};

use hermes_engine::{Table, Value};

use super::{error::StoreError, rows, sealing::Sealer};
use crate::limits::SCAN_THREADS;

/// Sealed rows in the order of the scan.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

/// Where a row lies in the bytes: the key, and the sealed value directly behind it.
#[derive(Clone, Copy)]
struct Row {
    key: usize,
    value: usize,
    end: usize,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn add(&mut self, key: &[u8], sealed: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value = self.bytes.len();
        self.bytes.extend_from_slice(sealed);
        self.rows.push(Row { key: start, value, end: self.bytes.len() });
    }

    /// Opens the rows and hands them to `visit`, in order, until it breaks. The batch is empty then.
    pub(super) fn visit(
        &mut self,
        sealer: &Sealer,
        table: Table,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let opened = self.open(sealer, table);
        let rows = mem::take(&mut self.rows);
        let bytes = mem::take(&mut self.bytes);
        for (row, value) in rows.iter().zip(opened) {
            // What comes before a damaged row is good.
            if visit(bytes.get(row.key..row.value).unwrap_or_default(), value?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn open(&self, sealer: &Sealer, table: Table) -> Vec<Result<Value, StoreError>> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(SCAN_THREADS);
        let share = self.rows.len().div_ceil(threads).max(1);
        let part = |from, to| self.bytes.get(from..to).unwrap_or_default();
        let open = |row: &Row| rows::open(sealer, table, part(row.key, row.value), part(row.value, row.end));
        let open_some = |some: &[Row]| some.iter().map(open).collect::<Vec<_>>();
        let (mine, others) = self.rows.split_at(share.min(self.rows.len()));
        thread::scope(|scope| {
            let others = others.chunks(share).map(|rows| {
                // Where there is no thread to be had, it takes longer.
                (rows, thread::Builder::new().spawn_scoped(scope, move || open_some(rows)).ok())
            });
            let others: Vec<_> = others.collect();
            let mut opened = open_some(mine);
            for (rows, thread) in others {
                let some = thread.and_then(|thread| thread.join().ok()).unwrap_or_else(|| open_some(rows));
                opened.extend(some);
            }
            opened
        })
    }
}
