//! What was committed last, kept in memory for a connected owner: one that keeps up is sent it without a read of the store.

use std::collections::VecDeque;

use hermes_wire::{
    Sequence,
    mailbox::{Credit, Delivered},
};

use crate::{
    limits::{FRESH_BYTES, FRESH_ENVELOPES},
    store::Budget,
};

/// Envelopes with consecutive sequences, all of them committed. It may be empty at any time: everything is in the store.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    envelopes: VecDeque<Delivered>,
    bytes: usize,
}

impl Fresh {
    /// Keeps an envelope. Whoever does not keep up loses all of them, and finds them in the store.
    pub(crate) fn add(&mut self, envelope: Delivered) {
        let follows = self.envelopes.back().is_none_or(|last| last.sequence.0 + 1 == envelope.sequence.0);
        let size = envelope.body.len();
        if !follows
            || self.envelopes.len() >= FRESH_ENVELOPES
            || self.bytes.saturating_add(size) > FRESH_BYTES
        {
            *self = Self::default();
        }
        if size <= FRESH_BYTES {
            self.bytes += size;
            self.envelopes.push_back(envelope);
        }
    }

    /// Takes what comes directly after `after`, as long as `credit` lasts; nothing if that is not here.
    pub(crate) fn take(&mut self, after: Sequence, credit: Credit) -> Vec<Delivered> {
        let old = self.envelopes.partition_point(|envelope| envelope.sequence <= after);
        self.forget(old);
        let next = self.envelopes.front().is_some_and(|first| first.sequence.0 == after.0.saturating_add(1));
        if !next {
            return Vec::new();
        }
        let mut budget = Budget::new(credit);
        let wanted = self.envelopes.iter().take(credit.envelopes as usize);
        let count = wanted.take_while(|envelope| budget.take(envelope)).count();
        self.forget(count)
    }

    fn forget(&mut self, count: usize) -> Vec<Delivered> {
        let taken: Vec<_> = self.envelopes.drain(..count).collect();
        self.bytes -= taken.iter().map(|envelope| envelope.body.len()).sum::<usize>();
        if self.envelopes.is_empty() {
            // Most owners wait for nothing most of the time.
            self.envelopes = VecDeque::new();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use hermes_wire::{ContactId, EnvelopeId, Timestamp};
    use serde_bytes::ByteBuf;

    use super::*;

    const ALL: Credit = Credit { envelopes: u32::MAX, bytes: u32::MAX };

    fn envelope(sequence: u64, size: usize) -> Delivered {
        Delivered {
            sequence: Sequence(sequence),
            envelope: EnvelopeId([0; 16]),
            contact: ContactId([0; 16]),
            stored: Timestamp(0),
            body: ByteBuf::from(vec![0; size]),
        }
    }

    fn fresh(sequences: impl IntoIterator<Item = u64>) -> Fresh {
        let mut fresh = Fresh::default();
        sequences.into_iter().for_each(|sequence| fresh.add(envelope(sequence, 10)));
        fresh
    }

    fn taken(fresh: &mut Fresh, after: u64, credit: Credit) -> Vec<u64> {
        fresh.take(Sequence(after), credit).iter().map(|envelope| envelope.sequence.0).collect()
    }

    #[test]
    fn nothing_is_taken_after_a_gap() {
        let mut one = fresh(3..6);
        assert_eq!(taken(&mut one, 1, ALL), [0; 0]);
        assert_eq!(taken(&mut one, 2, ALL), [3, 4, 5]);
        assert_eq!(taken(&mut one, 5, ALL), [0; 0]);
        let mut other = fresh([3, 4, 6, 7]);
        assert_eq!(taken(&mut other, 2, ALL), [0; 0]);
        assert_eq!(taken(&mut other, 5, ALL), [6, 7]);
        assert_eq!(taken(&mut fresh(3..6), 3, ALL), [4, 5]);
    }

    #[test]
    fn credit_lasts_as_long_as_it_does_for_the_store() {
        let mut fresh = fresh(1..6);
        assert_eq!(taken(&mut fresh, 0, Credit { envelopes: 0, bytes: 100 }), [0; 0]);
        assert_eq!(taken(&mut fresh, 0, Credit { envelopes: 2, bytes: 100 }), [1, 2]);
        assert_eq!(taken(&mut fresh, 2, Credit { envelopes: 2, bytes: 10 }), [3]);
        assert_eq!(taken(&mut fresh, 3, Credit { envelopes: 2, bytes: 9 }), [0; 0]);
        assert_eq!(taken(&mut fresh, 3, ALL), [4, 5]);
        assert_eq!(fresh.bytes, 0);
    }

    #[test]
    fn more_than_the_limit_is_left_to_the_store() {
        let many = FRESH_ENVELOPES as u64;
        let mut by_count = fresh(1..=many + 1);
        assert_eq!(taken(&mut by_count, 0, ALL), [0; 0]);
        assert_eq!(taken(&mut by_count, many, ALL), [many + 1]);
        let mut by_bytes = fresh([1]);
        by_bytes.add(envelope(2, FRESH_BYTES));
        assert_eq!(taken(&mut by_bytes, 0, ALL), [0; 0]);
        assert_eq!((taken(&mut by_bytes, 1, ALL), by_bytes.bytes), (vec![2], 0));
        by_bytes.add(envelope(3, FRESH_BYTES + 1));
        assert_eq!((by_bytes.envelopes.len(), by_bytes.bytes), (0, 0));
    }
}
