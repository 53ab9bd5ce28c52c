//! What the numbers of a peer's messages have told.

use std::ops::Not;

use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::reference::Reference;

/// What the numbers and hashes of a peer's messages have told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Messages that arrived.
    pub(crate) messages: u64,
    /// The highest number so far; every one below it has arrived or is missing.
    pub(crate) highest: u64,
    /// The message of that number, once there is one.
    pub(crate) newest: Option<Neighbour>,
    /// Numbers that have not arrived.
    pub(crate) missing: u64,
    /// Rows that say which.
    pub(crate) gaps: u64,
    /// Those of the missing that no row has room for.
    pub(crate) unlisted: Option<Unlisted>,
    /// Numbers that have not arrived because the contact was blocked; not among the missing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) refused: u64,
    /// Whether the contact was blocked since its newest message, and let in again.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) let_in: bool,
    /// What does not fit together, one for each kind.
    pub(crate) findings: Vec<Finding>,
}

/// Missing numbers of which only the count is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Unlisted {
    /// None is below this.
    pub(crate) from: u64,
    pub(crate) missing: u64,
}

/// Numbers that have not arrived; the first is the row's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GapRecord {
    pub(crate) last: u64,
    /// The message before them, unless they begin the chat; its hash is its own.
    pub(crate) before: Option<Neighbour>,
    /// The message behind them; its hash is the one that it names, which the last missing one must have.
    pub(crate) after: Neighbour,
    /// Whether the contact was blocked in between: it was not to arrive. Nobody can tell such a number from one that was
    /// lost after the contact was let in and before the first one that came.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) while_blocked: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A message beside a gap.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Neighbour {
    pub(crate) hash: ByteArray<32>,
    /// Its row in the history here.
    pub(crate) number: u64,
    /// The peer's clock.
    pub(crate) sent: Timestamp,
    pub(crate) stored: Timestamp,
}

/// Something about a peer's numbers that does not fit together, as often as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Messages that showed it.
    pub count: u64,
    /// The first of them.
    pub first: Sighting,
    /// The newest of them.
    pub last: Sighting,
}

/// A message that showed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Its row in the history here.
    pub(crate) number: u64,
    /// When it was stored.
    pub at: Timestamp,
}

impl Sighting {
    /// The message, in the chat of this name.
    pub fn reference(&self, chat: &str) -> Reference {
        Reference::of(chat.to_owned(), self.number)
    }
}

/// What can be wrong with the place that a message claims among its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub enum FindingKind {
    /// It names the hash of another message than the one that arrived before it.
    #[error("it continues another history than the one that arrived")]
    HistoryMismatch,
    /// Another message had its number.
    #[error("it has the number of an earlier message: its sender went back to an old state")]
    NumberRepeated,
    /// Its number is further ahead than messages can be missing.
    #[error("its number is too far ahead to be believed")]
    NumberImplausible,
    /// It has no number, so that nobody can tell whether it is all.
    #[error("it has no number")]
    Unnumbered,
}
