//! People who ask to be contacts, by an invite that many may use.

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, Unreadable, V1};

/// Who asks to be a contact, and by which invites people can ask ([`crate::routes::REQUESTS`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Requests {
    /// The document's version.
    pub v: V1,
    /// Those who wait for an answer, in the order in which they came.
    pub requests: Vec<Request>,
    /// Open invites for requests.
    pub invites: Vec<OpenInvite>,
}

/// Somebody who asks. Everything but the fingerprint is its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Request {
    /// The name by which it is accepted or rejected: near the one that it calls itself by, no contact's, and the same for as
    /// long as it waits.
    pub name: String,
    /// What it calls itself, uncleaned.
    pub profile_name: String,
    /// A contact or a group that has this name and is somebody else.
    pub namesake: Option<String>,
    /// SHA-256 over its identity keys, 64 hex digits.
    pub fingerprint: String,
    /// When it was first heard.
    pub since: UnixMillis,
    /// The id of the invite that it used.
    pub invite: String,
    /// The texts that it has sent.
    pub messages: Vec<RequestMessage>,
    /// Everything that it has sent and that becomes part of the conversation once it is accepted, reactions and the like too.
    pub held: u64,
}

/// A text of somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestMessage {
    /// As it was written, uncleaned.
    pub text: String,
    /// By its author's clock.
    pub sent_at: UnixMillis,
}

/// An invite for requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenInvite {
    /// Its id, 32 hex digits.
    pub id: String,
    /// It cannot be used after this.
    pub expires_at: UnixMillis,
    /// What came by it and was refused: junk, what was too much, who was rejected before.
    pub refused: u64,
    /// The last of that.
    pub last_refused: Option<Unreadable>,
}

/// Makes somebody who asks a contact ([`crate::routes::REQUEST_ACCEPT`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// The name that it gets; without one it keeps the name that it has as a request.
    #[serde(default)]
    pub name: Option<String>,
}

/// Somebody who asked was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedRequest {
    /// The document's version.
    pub v: V1,
    /// The name it had as a request.
    pub rejected: String,
}

/// Withdraws invites for requests ([`crate::routes::REQUESTS_CLOSE`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CloseRequests {
    /// The one whose id begins so; without it, all of them.
    #[serde(default)]
    pub invite: Option<String>,
}

/// Invites for requests were withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClosedRequests {
    /// The document's version.
    pub v: V1,
    /// How many.
    pub closed: u64,
}
