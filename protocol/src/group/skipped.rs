//! Keys of messages that have been overtaken, or whose copies never came: rows that the caller lends.

use zeroize::Zeroizing;

use crate::{
    group::Leaf,
    limits::SKIPPED_KEYS_PER_SESSION,
    record::{Reader, RecordError, Writer},
    secret::MessageKey,
};

/// A group's rows of the current epoch as they are committed, seen through the step in progress.
pub trait GroupSkippedKeys {
    /// One key.
    fn message_key(&self, leaf: Leaf, iteration: u32) -> Option<GroupSkippedKey>;
    /// (leaf, iteration) of every key, ascending.
    fn stored(&self) -> Vec<(Leaf, u32)>;
}

/// The key of one message that has not arrived.
#[derive(Clone)]
pub struct GroupSkippedKey {
    /// Whose message.
    pub leaf: Leaf,
    /// Its number.
    pub iteration: u32,
    key: MessageKey,
}

/// What an opening does to the rows. No row is both put and deleted.
#[derive(Default)]
pub struct GroupSkippedChanges {
    /// Keys to put.
    pub put: Vec<GroupSkippedKey>,
    /// (leaf, iteration) of keys to delete: used, or beyond the limits.
    pub delete: Vec<(Leaf, u32)>,
}

impl GroupSkippedKey {
    pub(super) fn new(leaf: Leaf, iteration: u32, key: MessageKey) -> Self {
        Self { leaf, iteration, key }
    }

    pub(super) fn key(&self) -> &MessageKey {
        &self.key
    }

    /// For the sealed store: 41 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(40).u32(self.leaf.0).u32(self.iteration).bytes(self.key.as_bytes()).finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let (leaf, iteration) = (Leaf(reader.u32()?), reader.u32()?);
        let key = MessageKey::new(reader.array()?);
        reader.finish()?;
        Ok(Self { leaf, iteration, key })
    }
}

impl GroupSkippedChanges {
    /// The keys that a jump left behind, and of those that were stored as many fewer as it takes to keep the limit: the
    /// lowest numbers go first, whoever's they are.
    pub(super) fn of_jump(put: Vec<GroupSkippedKey>, rows: &impl GroupSkippedKeys) -> Self {
        if put.is_empty() {
            return Self::default();
        }
        let mut stored = rows.stored();
        let beyond = stored.len().saturating_add(put.len()).saturating_sub(SKIPPED_KEYS_PER_SESSION);
        stored.sort_by_key(|(_, iteration)| *iteration);
        stored.truncate(beyond);
        Self { put, delete: stored }
    }
}
