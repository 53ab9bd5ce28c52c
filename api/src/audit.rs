//! What is missing: messages that a later one proves, messages that nobody confirmed, envelopes that said nothing.

use serde::{Deserialize, Serialize};

use crate::{Person, UnixMillis, V1};

/// Which chats to look at. Stands in the query of the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only this one.
    pub chat: Option<String>,
}

/// What is missing ([`crate::routes::AUDIT`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Audit {
    /// The document's version.
    pub v: V1,
    /// Whether nothing is missing and nothing contradicts anything, in the chats of this answer. The last messages of
    /// a chat have none behind them that would prove them; whoever sent those finds them unconfirmed.
    pub complete: bool,
    /// The chats, by name.
    pub chats: Vec<ChatAudit>,
    /// Envelopes that could not be read and belong to no chat, by cause.
    pub unreadable: Vec<UnreadableCount>,
    /// Envelopes that the relay let expire before they were fetched. Nobody knows what was in them, or of whom.
    pub expired: u64,
}

/// One chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChatAudit {
    /// The contact's or the group's name.
    pub chat: String,
    /// Of a group, one of those who have written in it: each numbers its messages by itself. A group has an entry of its
    /// own besides, for what went to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Person>,
    /// What came from the contact or the member.
    pub received: ReceivedAudit,
    /// What went to the contact.
    pub sent: SentAudit,
    /// The contact's envelopes that could not be read, by cause, as far as they are on record.
    pub unreadable: Vec<UnreadableCount>,
}

/// What came from a contact. The contact's daemon numbers its messages in each chat, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceivedAudit {
    /// Messages that arrived.
    pub messages: u64,
    /// Every number through this one arrived.
    pub through: u64,
    /// The highest number that did.
    pub highest: u64,
    /// Numbers between the two that did not.
    pub missing: u64,
    /// Which, the lowest first.
    pub gaps: Vec<Gap>,
    /// Those of the missing that the list has no room for.
    pub unlisted: u64,
    /// Numbers that did not arrive because the contact was blocked; not among the missing.
    #[serde(default)]
    pub refused: u64,
    /// What does not fit together.
    pub findings: Vec<Finding>,
}

/// Numbers in a row that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gap {
    /// The lowest.
    pub first: u64,
    /// The highest.
    pub last: u64,
    /// The message before them; nothing at the beginning of the chat.
    pub previous: Option<Neighbour>,
    /// The message behind them.
    pub next: Neighbour,
    /// Whether the contact was blocked then: they were refused, and are not counted as missing.
    #[serde(default)]
    pub while_blocked: bool,
}

/// A message beside a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Neighbour {
    /// Its short local reference, like `bob#44`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The sender's clock when it was written.
    pub sent_at: UnixMillis,
    /// When it arrived here.
    pub received_at: UnixMillis,
}

/// Something that does not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The same, as text for people about a message of which it is said.
    pub text: String,
    /// Messages of which it is.
    pub count: u64,
    /// The first of them.
    pub first: Sighting,
    /// The newest of them.
    pub last: Sighting,
}

/// What can be wrong with a message's place among its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// It continues another history than the one that arrived: its sender's store was put back from an old copy, or
    /// its sender lies.
    HistoryMismatch,
    /// It has the number of an earlier message: its sender went back to an old state.
    NumberRepeated,
    /// Its number is too far ahead to be believed.
    NumberImplausible,
    /// It has no number, so that nobody can tell whether it is all.
    Unnumbered,
    /// Something that this program is too old to know; the text still says what.
    #[serde(other)]
    Other,
}

/// A message that showed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sighting {
    /// Its short local reference, like `bob#44`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When it arrived here.
    pub received_at: UnixMillis,
}

/// What went to a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SentAudit {
    /// Messages that were sent.
    pub messages: u64,
    /// Those that the relay took and the contact's daemon has not confirmed, the oldest first. It may not have been
    /// online since, or they may be lost.
    pub unconfirmed: Vec<Unconfirmed>,
}

/// A message that waits for its recipient's receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Unconfirmed {
    /// Its short local reference, like `bob#43`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When the relay took it.
    pub relayed_at: UnixMillis,
}

/// Envelopes that could not be read for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnreadableCount {
    /// Why, as text for people.
    pub cause: String,
    /// How many.
    pub envelopes: u64,
    /// When the first was looked at.
    pub first_at: UnixMillis,
    /// When the last was.
    pub last_at: UnixMillis,
}
