//! A client's store in memory, with a process that can die around a commit.

use std::{collections::BTreeMap, ops::ControlFlow};

use hermes_engine::{ChangeSet, Order, Range, Store, Table, Value, View};
use rand_core::CryptoRng;

/// Rows that have been committed. A clone is a copy of the disk.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    /// Bytes of values written so far.
    written: BTreeMap<Table, u64>,
    /// Commits so far.
    revision: u64,
    /// What happens at the next commit, if anything.
    pub doom: Option<Doom>,
}

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doom {
    /// Before anything is durable.
    BeforeCommit,
    /// After everything is, before any effect.
    AfterCommit,
}

impl Doom {
    /// Dies around one commit in `one_in`.
    pub fn draw(one_in: u32, rng: &mut dyn CryptoRng) -> Option<Self> {
        match rng.next_u32() % one_in.saturating_mul(2).max(2) {
            0 => Some(Self::BeforeCommit),
            1 => Some(Self::AfterCommit),
            _ => None,
        }
    }
}

/// The process died.
#[derive(Debug, thiserror::Error)]
#[error("the process died")]
pub struct Died;

impl MemoryStore {
    /// Equal as long as nothing was committed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Bytes of values that were written to some tables so far.
    pub fn written(&self, tables: &[Table]) -> u64 {
        tables.iter().filter_map(|table| self.written.get(table)).sum()
    }

    /// Bytes of the values in a table.
    pub fn stored(&self, table: Table) -> u64 {
        let rows = self.rows.range((table, Vec::new())..).take_while(|((of, _), _)| *of == table);
        rows.map(|(_, value)| value.len() as u64).sum()
    }
}

impl View for MemoryStore {
    type Error = Died;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, Died> {
        Ok(self.rows.get(&(table, key.to_vec())).map(|value| Value::new(value.clone())))
    }

    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), Died> {
        let inside = |key: &[u8]| range.to.as_deref().is_none_or(|to| key < to);
        let rows = self
            .rows
            .range((table, range.from.clone())..)
            .take_while(|((t, key), _)| *t == table && inside(key))
            .map(|((_, key), value)| (key, value));
        let mut visit = |(key, value): (&Vec<u8>, &Vec<u8>)| visit(key, Value::new(value.clone()));
        let _ = match order {
            Order::Ascending => { rows }.try_for_each(&mut visit),
            Order::Descending => rows.collect::<Vec<_>>().into_iter().rev().try_for_each(&mut visit),
        };
        Ok(())
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, changes: &ChangeSet) -> Result<(), Died> {
        let doom = self.doom.take();
        if doom == Some(Doom::BeforeCommit) {
            return Err(Died);
        }
        self.revision += u64::from(!changes.is_empty());
        for (table, key, value) in changes.iter() {
            let bytes = value.map_or(0, |value| value.len());
            *self.written.entry(table).or_default() += bytes as u64;
            match value {
                Some(value) => self.rows.insert((table, key.to_vec()), value.to_vec()),
                None => self.rows.remove(&(table, key.to_vec())),
            };
        }
        if doom == Some(Doom::AfterCommit) { Err(Died) } else { Ok(()) }
    }
}
