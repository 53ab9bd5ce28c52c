//! What a step changes, and the store as it will be once it has.

use std::{collections::BTreeMap, ops::ControlFlow};

use crate::store::{Order, Range, Table, Value, View};

/// Rows to write (`Some`) and to delete (`None`), together. Later changes of a row replace earlier ones.
#[derive(Default)]
pub struct ChangeSet {
    rows: BTreeMap<(Table, Vec<u8>), Option<Value>>,
}

impl ChangeSet {
    /// Nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The changes, by table and key.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&Value>)> {
        self.rows.iter().map(|((table, key), value)| (*table, key.as_slice(), value.as_ref()))
    }

    /// Writes a row.
    pub fn put(&mut self, table: Table, key: Vec<u8>, value: Value) {
        self.rows.insert((table, key), Some(value));
    }

    /// Deletes a row.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.rows.insert((table, key), None);
    }

    /// Deletes a row that is written once in its life: if that was here, the store never hears of it. A peer that makes
    /// rows come and go by the thousand would otherwise leave as many deletions for every scan of the step to pass over.
    pub(crate) fn retract(&mut self, table: Table, key: Vec<u8>) {
        let place = (table, key);
        if !matches!(self.rows.remove(&place), Some(Some(_))) {
            self.rows.insert(place, None);
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<Option<&Value>> {
        self.rows.get(&(table, key.to_vec())).map(Option::as_ref)
    }

    fn within(&self, table: Table, range: &Range) -> BTreeMap<&[u8], Option<&Value>> {
        let inside = |key: &[u8]| range.to.as_deref().is_none_or(|to| key < to);
        self.rows
            .range((table, range.from.clone())..)
            .take_while(|((t, key), _)| *t == table && inside(key))
            .map(|((_, key), value)| (key.as_slice(), value.as_ref()))
            .collect()
    }
}

/// A view as it will be once `changes` are committed.
pub(crate) struct Overlay<'a, V> {
    pub(crate) base: &'a V,
    pub(crate) changes: &'a ChangeSet,
}

impl<V: View> View for Overlay<'_, V> {
    type Error = V::Error;

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Value>, V::Error> {
        match self.changes.get(table, key) {
            Some(change) => Ok(change.cloned()),
            None => self.base.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        range: &Range,
        order: Order,
        visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
    ) -> Result<(), V::Error> {
        let mut changed = self.changes.within(table, range);
        let mut stopped = false;
        // Changed rows that sort before `key`; `None` means the base is exhausted.
        let mut drain = |before: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>| {
            loop {
                let next = match order {
                    Order::Ascending => changed.first_key_value().map(|(k, _)| *k),
                    Order::Descending => changed.last_key_value().map(|(k, _)| *k),
                };
                let Some(next) = next else { return ControlFlow::Continue(false) };
                let due = match (before, order) {
                    (None, _) => true,
                    (Some(key), Order::Ascending) => next <= key,
                    (Some(key), Order::Descending) => next >= key,
                };
                if !due {
                    return ControlFlow::Continue(false);
                }
                if let Some(Some(value)) = changed.remove(next) {
                    visit(next, value.clone())?;
                }
                if before == Some(next) {
                    return ControlFlow::Continue(true);
                }
            }
        };
        self.base.scan(table, range, order, &mut |key, value| {
            let flow = match drain(Some(key), visit) {
                ControlFlow::Continue(true) => ControlFlow::Continue(()),
                ControlFlow::Continue(false) => visit(key, value),
                ControlFlow::Break(()) => ControlFlow::Break(()),
            };
            stopped = flow.is_break();
            flow
        })?;
        if !stopped {
            let _ = drain(None, visit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Rows(BTreeMap<Vec<u8>, u8>);

    impl View for Rows {
        type Error = Infallible;

        fn get(&self, _: Table, key: &[u8]) -> Result<Option<Value>, Infallible> {
            Ok(self.0.get(key).map(|v| Value::new(vec![*v])))
        }

        fn scan(
            &self,
            _: Table,
            range: &Range,
            order: Order,
            visit: &mut dyn FnMut(&[u8], Value) -> ControlFlow<()>,
        ) -> Result<(), Infallible> {
            let mut rows: Vec<_> = self
                .0
                .range(range.from.clone()..)
                .filter(|(k, _)| range.to.as_ref().is_none_or(|to| *k < to))
                .collect();
            if order == Order::Descending {
                rows.reverse();
            }
            for (key, value) in rows {
                if visit(key, Value::new(vec![*value])).is_break() {
                    break;
                }
            }
            Ok(())
        }
    }

    #[test]
    fn a_row_that_comes_and_goes_within_a_step_leaves_no_trace() {
        let mut changes = ChangeSet::default();
        changes.put(Table::SkippedKey, vec![1], Value::new(vec![1]));
        changes.retract(Table::SkippedKey, vec![1]);
        assert!(changes.is_empty());
        // One that the store has must go from there, however often it is asked for.
        changes.retract(Table::SkippedKey, vec![2]);
        changes.retract(Table::SkippedKey, vec![2]);
        assert_eq!(changes.iter().collect::<Vec<_>>(), [(Table::SkippedKey, &[2][..], None)]);
    }

    fn first(view: &impl View, range: &Range, order: Order, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen = Vec::new();
        let scanned = view.scan(Table::Message, range, order, &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            if seen.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        scanned.unwrap();
        seen
    }

    proptest! {
        /// A scan through an overlay equals a scan after the commit.
        #[test]
        fn overlay_equals_committed(
            base in prop::collection::btree_map(prop::collection::vec(0u8..4, 0..3), any::<u8>(), 0..12),
            changes in prop::collection::btree_map(prop::collection::vec(0u8..4, 0..3), any::<Option<u8>>(), 0..12),
            prefix in prop::collection::vec(0u8..4, 0..2),
            descending: bool,
            limit in 1usize..6,
        ) {
            let mut set = ChangeSet::default();
            let mut committed = base.clone();
            for (key, change) in changes {
                match change {
                    Some(v) => {
                        set.put(Table::Message, key.clone(), Value::new(vec![v]));
                        committed.insert(key, v);
                    }
                    None => {
                        set.delete(Table::Message, key.clone());
                        committed.remove(&key);
                    }
                }
            }
            let order = if descending { Order::Descending } else { Order::Ascending };
            let range = Range::prefix(&prefix);
            let (base, after) = (Rows(base), Rows(committed));
            let overlay = Overlay { base: &base, changes: &set };
            prop_assert_eq!(first(&overlay, &range, order, limit), first(&after, &range, order, limit));
        }
    }
}
