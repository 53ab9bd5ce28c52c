//! What a user settles for a chat with a contact or in a group.

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, V1};

/// Every chat of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Chats {
    /// The document's version.
    pub v: V1,
    /// The one with the newest message first.
    pub chats: Vec<Chat>,
}

/// A chat at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Chat {
    /// The contact's or the group's name.
    pub name: String,
    /// Whom it is with.
    pub with: ChatWith,
    /// Whether it is put away.
    #[serde(default)]
    pub archived: bool,
    /// Unread messages in it.
    pub unread: u64,
    /// When its newest message was sent or arrived; nothing when there is none.
    pub last_at: Option<UnixMillis>,
    /// Until when it is quiet; nothing when it is not.
    pub muted_until: Option<UnixMillis>,
}

/// Whom a chat is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChatWith {
    /// A contact.
    Contact,
    /// The members of a group.
    Group,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// What is settled for a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatSettings {
    /// The document's version.
    pub v: V1,
    /// The contact's or the group's name.
    pub chat: String,
    /// Until when it is quiet; nothing when it is not.
    pub muted_until: Option<UnixMillis>,
    /// Seconds after which its texts are deleted, at both ends; nothing when they stay.
    pub ttl_seconds: Option<u32>,
    /// Whether it is put away, until a message comes in it while it is not muted.
    #[serde(default)]
    pub archived: bool,
}

/// Has the account be quiet, or not. Messages arrive all the same; notifications, and programs that look, leave its user
/// alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetDnd {
    /// For how many seconds; nothing ends it.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub seconds: Option<u64>,
}

/// Whether the account is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dnd {
    /// The document's version.
    pub v: V1,
    /// Until when; nothing when it is not.
    pub until: Option<UnixMillis>,
}

/// Has a chat be quiet, or not. Its messages arrive all the same; notifications, and programs that look, leave it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MuteChat {
    /// For how many seconds; nothing ends it.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub seconds: Option<u64>,
}

/// Has texts of a chat be deleted after a time from here on: with their author from when they have left, with their
/// readers from when they have read them. The other side is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetTtl {
    /// The time in seconds; nothing lets them stay.
    pub seconds: Option<u64>,
}
