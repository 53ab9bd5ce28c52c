//! Contacts as one looks at them before writing.

use serde::{Deserialize, Serialize};

use crate::{ContactState, Trust, UnixMillis, V1, VerifiedBy};

/// All contacts of an account, with whether they are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Peers {
    /// The document's version.
    pub v: V1,
    /// By name.
    pub peers: Vec<Peer>,
}

/// One contact and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Peer {
    /// The contact's name.
    pub name: String,
    /// Whether its daemon has said that it is connected, and has not been silent since for longer than 3.5 minutes.
    pub online: bool,
    /// When something of it was last heard, to a minute; nothing if never, or by a version too old to know.
    pub last_seen_at: Option<UnixMillis>,
    /// Whether it can be written to.
    pub state: ContactState,
    /// How sure it is who this is.
    pub trust: Trust,
    /// What the trust rests on.
    pub verified_by: Option<VerifiedBy>,
    /// Whether the session with it works.
    pub session: SessionHealth,
    /// Unread messages of it.
    pub unread: u64,
    /// Whether its relay takes nothing for it from this account.
    #[serde(default)]
    pub refuses: bool,
    /// Whether it is blocked.
    #[serde(default)]
    pub blocked: bool,
}

/// Whether the session with a contact works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SessionHealth {
    /// There is none yet.
    None,
    /// The contact has not answered in it yet.
    Unanswered,
    /// Both sides have written in it.
    Established,
    /// It did not work, and another is being made.
    Renewing,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// Asks a contact's daemon for a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PingContact {
    /// How long to wait for it, in milliseconds.
    pub timeout_ms: u64,
}

/// A contact's daemon has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pong {
    /// The document's version.
    pub v: V1,
    /// The contact's name.
    pub contact: String,
    /// From the question to the answer, in microseconds, over both relays.
    pub round_trip_us: u64,
}
