//! What is said about messages: what they answer, reactions, edits, and that one is withdrawn.

use serde::{Deserialize, Serialize};

use crate::{Message, MessageState, V1};

/// A message that another one answers, or is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quote {
    /// Its id, 32 hex digits.
    pub id: String,
    /// Its short local reference; nothing when it is not here.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Who wrote it, as in [`Message::from`]; nothing when it is not here.
    pub from: Option<String>,
    /// Its first words as its author wrote them, at most 80 characters; nothing when they are not here, or no more.
    pub text: Option<String>,
}

/// A reaction to a message, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// The emoji, as its author wrote it.
    pub emoji: String,
    /// How many have it.
    pub count: u32,
    /// Whether the account itself has.
    pub me: bool,
    /// Names of some of them, at most five.
    pub by: Vec<String>,
}

/// Reacts to a message, in place of an earlier reaction of the account's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct React {
    /// 1 to 32 bytes of UTF-8 without a space or control; nothing takes the last one back.
    pub emoji: Option<String>,
}

/// Has an own text say something else, for all who have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    /// The text, at most [`crate::limits::TEXT_BYTES`] of UTF-8.
    pub text: String,
}

/// The message as it is now. A request that is repeated finds it as asked, and sends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageChanged {
    /// The document's version.
    pub v: V1,
    /// The message.
    pub message: Message,
    /// The id of what was sent for it, which names it as a message of its own; nothing when nothing was.
    pub id: Option<String>,
    /// How far that has come.
    pub state: Option<MessageState>,
}
