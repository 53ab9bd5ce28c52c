//! What waits to leave.

use serde::{Deserialize, Serialize};

use crate::{Problem, Quote, UnixMillis, V1};

/// Which of it to list. Stands in the query of the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct OutboxQuery {
    /// Only what is for this contact or group.
    pub chat: Option<String>,
}

/// What waits to leave, chat by chat, in the order in which it will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outbox {
    /// The document's version.
    pub v: V1,
    /// At most 1,000.
    pub waiting: Vec<Waiting>,
    /// Whether there is more.
    pub more: bool,
}

/// Something that waits to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waiting {
    /// The contact or the group that it is for.
    pub chat: String,
    /// What it is.
    pub kind: WaitingKind,
    /// The message; nothing for what programs tell each other.
    pub message: Option<Quote>,
    /// Since when.
    pub since: UnixMillis,
    /// Bytes that are sealed and will leave as they are; nothing while it waits for what will seal it.
    pub bytes: Option<u64>,
    /// What holds it up; nothing when it is about to leave.
    pub reason: Option<Problem>,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WaitingKind {
    /// A message that can be kept from leaving.
    Message,
    /// A reaction, an edit, or that a message is withdrawn.
    Change,
    /// What programs tell each other: receipts, keys, changes of groups.
    Protocol,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}
