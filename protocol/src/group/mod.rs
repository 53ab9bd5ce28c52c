//! Groups: who is in one and which keys they share, agreed with MLS (RFC 9420), and the sender chains under which
//! members write.
//!
//! Two halves that meet once per epoch. The slow one is the ratchet tree ([`create`], [`commit`], [`receive`],
//! [`join`]): OpenMLS behind the types of this module, its storage as opaque [`MlsRows`] that grow with the group. The
//! quick one is [`EpochKeys`] and one [`SenderChain`] per member: a message changes one row of 73 bytes, whatever the
//! group's size. They meet when an epoch begins: a seed is exported from the tree once, becomes the
//! [`EpochSecrets`], and is erased; the rows that are given back are punctured, so that no stored state can export it
//! again.
//!
//! A step is a value, as everywhere in this crate: each call takes rows and gives back what changed in them, and on an
//! error nothing has changed. No library object outlives a call.
//!
//! Deliberately absent: where rows rest, the relay's channel, when to commit, and what a group's name means.

mod agreement;
mod chain;
mod commit;
mod context;
mod crypto;
mod envelope;
mod epoch;
mod error;
mod join;
mod key_package;
mod leave;
mod library;
mod member;
mod message;
mod receive;
mod rows;
mod rules;
mod skipped;
mod storage;
#[cfg(test)]
mod tests;
mod tree;

use hermes_wire::byte_id;
use serde::{Deserialize, Serialize};

pub use agreement::read;
pub use chain::SenderChain;
pub use commit::{Change, Merged, Prepared, commit, drop_own, merge_own};
pub use context::GroupContext;
pub use epoch::{Authenticator, Epoch, EpochKeys, EpochSecrets};
pub use error::{GroupError, GroupMessageError, JoinError, KeyPackageError, ReceiveError, Rule};
pub use join::{Created, Joined, create, join};
pub use key_package::{DrawnKeyPackage, KeyPackage};
pub use leave::propose_leave;
use library::failed;
pub use member::{Member, MemberCard};
pub use message::{BodyKind, GroupHeader, GroupMessage, OpenedGroupMessage, body_kind, open, seal};
pub use receive::{Followed, LeaveProposal, Received, Removed, receive};
pub use rows::{MlsRows, RowChanges};
pub use skipped::{GroupSkippedChanges, GroupSkippedKey, GroupSkippedKeys};

byte_id!(
    /// Names a group among its members; random, and unknown to the relay, which knows only the channel.
    GroupId, 32
);

/// A member's place in the tree. It may be taken by somebody else after its member was removed, in a later epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leaf(pub u32);
