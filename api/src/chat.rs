//! What a user settles for a chat with a contact or in a group.

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, V1};

/// What is settled for a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatSettings {
    /// The document's version.
    pub v: V1,
    /// The contact's or the group's name.
    pub chat: String,
    /// Until when it is quiet; nothing when it is not.
    pub muted_until: Option<UnixMillis>,
    /// Seconds after which its texts are deleted, at both ends; nothing when they stay.
    pub ttl_seconds: Option<u32>,
}

/// Has a chat be quiet, or not. Its messages arrive all the same; notifications, and programs that look, leave it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuteChat {
    /// For how many seconds; nothing ends it.
    pub seconds: Option<u64>,
}

/// Has texts of a chat be deleted after a time from here on: with their author from when they have left, with their
/// readers from when they have read them. The other side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTtl {
    /// The time in seconds; nothing lets them stay.
    pub seconds: Option<u64>,
}
