//! One change of the rows, seen from inside.

use super::*;
use crate::secret::ChainKey;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Chains in memory, and the numbers of their keys.
struct Rows {
    chains: Vec<SkippedChain>,
    stored: Vec<(u32, u32)>,
}

impl SkippedKeys for Rows {
    fn chains(&self) -> Vec<SkippedChain> {
        self.chains.clone()
    }

    fn message_key(&self, _: u32, _: u32) -> Option<SkippedKey> {
        None
    }

    fn stored(&self) -> Vec<(u32, u32)> {
        self.stored.clone()
    }
}

fn receiving(number: u32) -> ReceivingChain {
    let (chain, header) = (ChainKey::new(&[1; 32]), HeaderKey::new(&[2; 32]));
    ReceivingChain { number, chain, header, index: 1_000, evicted_below: 0 }
}

fn passed(number: u32) -> SkippedChain {
    SkippedChain::passed(&receiving(number), NOW)
}

fn unread(count: u32) -> Skipped {
    (0..count).map(|index| (index, MessageKey::new(&[3; 32]))).collect()
}

/// A full session, in which one turn both forgets the oldest chain and gives up keys of the second oldest.
#[test]
fn no_chain_is_put_but_the_passed_one_and_those_that_lose_keys() {
    let oldest_first = 0..u32::try_from(SKIPPED_CHAINS).unwrap();
    let counts = [10, 900, 900, 190];
    let stored = (0..).zip(counts).flat_map(|(chain, count)| (0..count).map(move |index| (chain, index)));
    let rows = Rows { chains: oldest_first.rev().map(passed).collect(), stored: stored.collect() };
    assert_eq!(rows.stored.len(), SKIPPED_KEYS_PER_SESSION);

    let changes = after_turn(Some((receiving(8), unread(15))), Skipped::new(), &mut receiving(9), &rows, NOW);
    assert_eq!(changes.delete_chains, [0]);
    let mut put: Vec<_> =
        changes.put_chains.iter().map(|chain| (chain.number, chain.evicted_below)).collect();
    put.sort_unstable();
    assert_eq!(put, [(1, 5), (8, 0)]);
    assert_eq!(changes.put_keys.len(), 15);
    let mut deleted = changes.delete_keys;
    deleted.sort_unstable();
    let forgotten = (0..10).map(|index| (0, index));
    assert_eq!(deleted, forgotten.chain((0..5).map(|index| (1, index))).collect::<Vec<_>>());
}

#[test]
fn rows_have_their_time_to_the_millisecond() {
    let chain = passed(1);
    let key = stored_since(NOW, 1, unread(1)).remove(0);
    let last = NOW.after(SKIPPED_LIFETIME);
    assert!(!chain.is_expired(last) && !key.is_expired(last));
    let past = Timestamp(last.0 + 1);
    assert!(chain.is_expired(past) && key.is_expired(past));
}

/// A buffer that grows leaves a copy of its keys behind.
#[test]
fn records_fill_their_buffers() {
    let key = stored_since(NOW, 1, unread(1)).remove(0);
    for record in [passed(1).to_bytes(), key.to_bytes()] {
        assert_eq!(record.capacity(), record.len());
    }
}
