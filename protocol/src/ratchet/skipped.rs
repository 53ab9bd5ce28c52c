//! Keys of messages that have been overtaken: rows outside the session, lent by the caller, changed by an opening.

use std::collections::{BTreeMap, BTreeSet};

use hermes_wire::Timestamp;
use zeroize::Zeroizing;

use crate::{
    limits::{SKIPPED_CHAINS, SKIPPED_KEYS_PER_CHAIN, SKIPPED_KEYS_PER_SESSION, SKIPPED_LIFETIME},
    ratchet::{
        OpenError,
        chain::{ReceivingChain, Skipped},
    },
    record::{Reader, RecordError, Writer},
    secret::{HeaderKey, MessageKey},
};

/// A session's rows as they are committed, seen through the step in progress.
pub trait SkippedKeys {
    /// The session's passed chains, newest (highest number) first, at most 8.
    fn chains(&self) -> Vec<SkippedChain>;
    /// One key of the session.
    fn message_key(&self, chain: u32, index: u32) -> Option<SkippedKey>;
    /// (chain, index) of every key of the session, ascending.
    fn stored(&self) -> Vec<(u32, u32)>;
}

/// A receiving chain that the peer has left. It is remembered without skipped keys too, so that a late duplicate is
/// known for one.
#[derive(Clone)]
pub struct SkippedChain {
    /// Counts the receiving chains of the session.
    pub number: u32,
    /// When it was passed.
    pub created: Timestamp,
    pub(super) header: HeaderKey,
    end: u32,
    evicted_below: u32,
}

/// The key of one message that has not arrived.
pub struct SkippedKey {
    /// The receiving chain's number.
    pub chain: u32,
    /// The message's number.
    pub index: u32,
    /// When it was skipped.
    pub created: Timestamp,
    pub(super) key: MessageKey,
}

/// What an opening does to the rows. Puts replace rows of the same number; no row is both put and deleted.
#[derive(Default)]
pub struct SkippedChanges {
    /// Chains to put.
    pub put_chains: Vec<SkippedChain>,
    /// Keys to put.
    pub put_keys: Vec<SkippedKey>,
    /// (chain, index) of keys to delete: used, or beyond the limits.
    pub delete_keys: Vec<(u32, u32)>,
    /// Numbers of chains to delete.
    pub delete_chains: Vec<u32>,
}

impl SkippedChanges {
    /// After a skipped message has been opened.
    pub(super) fn used(key: &SkippedKey) -> Self {
        Self { delete_keys: vec![(key.chain, key.index)], ..Self::default() }
    }

    /// Gives up the oldest keys beyond the limits, and notes in their chains that it did.
    pub(super) fn evict(&mut self, rows: &impl SkippedKeys, current: &mut ReceivingChain) {
        let deleted: BTreeSet<_> = self.delete_keys.iter().copied().collect();
        let mut keys: Vec<_> = rows.stored().into_iter().filter(|key| !deleted.contains(key)).collect();
        keys.extend(self.put_keys.iter().map(|key| (key.chain, key.index)));
        keys.sort_unstable();

        let mut victims = BTreeSet::new();
        let mut kept: Vec<(u32, u32)> = Vec::with_capacity(keys.len());
        for chain in keys.chunk_by(|left, right| left.0 == right.0) {
            let (old, new) = chain.split_at(chain.len().saturating_sub(SKIPPED_KEYS_PER_CHAIN));
            victims.extend(old);
            kept.extend(new);
        }
        let excess = kept.len().saturating_sub(SKIPPED_KEYS_PER_SESSION);
        victims.extend(kept.into_iter().take(excess));

        // Ascending, so the last one of each chain stands.
        let bounds: BTreeMap<u32, u32> =
            victims.iter().map(|(chain, index)| (*chain, index.saturating_add(1))).collect();
        self.raise_bounds(&bounds, rows, current);
        self.put_keys.retain(|key| !victims.remove(&(key.chain, key.index)));
        self.delete_keys.extend(victims);
    }

    fn raise_bounds(
        &mut self,
        bounds: &BTreeMap<u32, u32>,
        rows: &impl SkippedKeys,
        current: &mut ReceivingChain,
    ) {
        if bounds.is_empty() {
            return;
        }
        // Neither the passed chain, which is no row yet, nor a forgotten one, which has no keys left to give up.
        self.put_chains.extend(rows.chains().into_iter().filter(|chain| bounds.contains_key(&chain.number)));
        for chain in &mut self.put_chains {
            if let Some(bound) = bounds.get(&chain.number) {
                chain.evicted_below = chain.evicted_below.max(*bound);
            }
        }
        if let Some(bound) = bounds.get(&current.number) {
            current.evicted_below = current.evicted_below.max(*bound);
        }
    }

    /// Remembers the chain that was passed, and forgets the oldest beyond the limit with its keys.
    fn pass(&mut self, chain: SkippedChain, rows: &impl SkippedKeys) {
        self.delete_chains.extend(rows.chains().iter().skip(SKIPPED_CHAINS - 1).map(|old| old.number));
        if !self.delete_chains.is_empty() {
            let gone = rows.stored().into_iter().filter(|(chain, _)| self.delete_chains.contains(chain));
            self.delete_keys.extend(gone);
        }
        self.put_chains.push(chain);
    }
}

/// The rows after a new chain has begun: `passed` is the chain before it with its unread keys, `skipped` the unread
/// keys of the new one.
pub(super) fn after_turn(
    passed: Option<(ReceivingChain, Skipped)>,
    skipped: Skipped,
    current: &mut ReceivingChain,
    rows: &impl SkippedKeys,
    now: Timestamp,
) -> SkippedChanges {
    let mut changes = SkippedChanges::default();
    if let Some((chain, unread)) = passed {
        changes.put_keys = stored_since(now, chain.number, unread);
        changes.pass(SkippedChain::passed(&chain, now), rows);
    }
    changes.put_keys.extend(stored_since(now, current.number, skipped));
    if !changes.put_keys.is_empty() {
        changes.evict(rows, current);
    }
    changes
}

/// Rows for keys that were skipped in this step.
pub(super) fn stored_since(now: Timestamp, chain: u32, skipped: Skipped) -> Vec<SkippedKey> {
    skipped.into_iter().map(|(index, key)| SkippedKey { chain, index, created: now, key }).collect()
}

/// A chain with messages behind its head, current or left: where a late message is looked up.
pub(super) struct PassedChain {
    number: u32,
    /// The lowest number that was never reached.
    end: u32,
    evicted_below: u32,
    /// When the peer left it; `None` while it is the current one.
    left: Option<Timestamp>,
}

impl From<&ReceivingChain> for PassedChain {
    fn from(chain: &ReceivingChain) -> Self {
        Self { number: chain.number, end: chain.index, evicted_below: chain.evicted_below, left: None }
    }
}

impl From<&SkippedChain> for PassedChain {
    fn from(chain: &SkippedChain) -> Self {
        Self {
            number: chain.number,
            end: chain.end,
            evicted_below: chain.evicted_below,
            left: Some(chain.created),
        }
    }
}

impl PassedChain {
    /// The stored key of a late message, or why there is none.
    pub fn key(&self, index: u32, rows: &impl SkippedKeys, now: Timestamp) -> Result<SkippedKey, OpenError> {
        if index >= self.end {
            return Err(OpenError::ChainEnded);
        }
        match rows.message_key(self.number, index) {
            Some(key) if key.is_expired(now) => Err(OpenError::TooOld),
            Some(key) => Ok(key),
            None if index < self.evicted_below || self.left.is_some_and(|left| is_expired(left, now)) => {
                Err(OpenError::TooOld)
            }
            None => Err(OpenError::Duplicate),
        }
    }
}

impl SkippedChain {
    fn passed(chain: &ReceivingChain, now: Timestamp) -> Self {
        Self {
            number: chain.number,
            created: now,
            header: chain.header.clone(),
            end: chain.index,
            evicted_below: chain.evicted_below,
        }
    }

    /// Whether all its keys are past their time.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        is_expired(self.created, now)
    }

    /// For the sealed store.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(4 + 8 + 32 + 4 + 4)
            .u32(self.number)
            .u64(self.created.0)
            .bytes(self.header.as_bytes())
            .u32(self.end)
            .u32(self.evicted_below)
            .finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let chain = Self {
            number: reader.u32()?,
            created: Timestamp(reader.u64()?),
            header: HeaderKey::new(reader.array()?),
            end: reader.u32()?,
            evicted_below: reader.u32()?,
        };
        reader.finish()?;
        Ok(chain)
    }
}

impl SkippedKey {
    /// Whether it is past its time.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        is_expired(self.created, now)
    }

    /// For the sealed store.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(4 + 4 + 8 + 32)
            .u32(self.chain)
            .u32(self.index)
            .u64(self.created.0)
            .bytes(self.key.as_bytes())
            .finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let key = Self {
            chain: reader.u32()?,
            index: reader.u32()?,
            created: Timestamp(reader.u64()?),
            key: MessageKey::new(reader.array()?),
        };
        reader.finish()?;
        Ok(key)
    }
}

fn is_expired(created: Timestamp, now: Timestamp) -> bool {
    now.since(created) > SKIPPED_LIFETIME
}

#[cfg(test)]
mod tests;
