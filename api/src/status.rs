//! How the daemon and its accounts are doing.

use serde::{Deserialize, Serialize};

use crate::{KeyStatus, Problem, UnixMillis, V1};

/// The daemon and its accounts ([`crate::routes::STATUS`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DaemonStatus {
    /// The document's version.
    pub v: V1,
    /// The daemon's version, as in `0.1.0`.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started_at: UnixMillis,
    /// What it can do beyond version 1 of the API; a program asks here before it uses something newer.
    pub capabilities: Vec<String>,
    /// The accounts, by name.
    pub accounts: Vec<AccountStatus>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountStatus {
    /// Its local label.
    pub name: String,
    /// SHA-256 over its identity keys, 64 hex digits.
    pub fingerprint: String,
    /// Its relay's address.
    pub relay: String,
    /// Its mailbox there, 64 hex digits, by which the relay's operator finds it.
    #[serde(default)]
    pub mailbox: String,
    /// How it stands with the relay.
    pub connection: Connection,
    /// Its mailboxes at other relays, for groups there.
    #[serde(default)]
    pub guests: Vec<GuestStatus>,
    /// Whether everything is here that waited at the relay when the account connected last.
    #[serde(default)]
    pub caught_up: bool,
    /// Envelopes that waited at the relay then and have not been fetched yet, at most.
    #[serde(default)]
    pub waiting: u64,
    /// Messages not read yet.
    pub unread: u64,
    /// People who ask to be contacts, and wait for an answer.
    #[serde(default)]
    pub requests: u64,
    /// Until when its user wants not to be disturbed; nothing when it is otherwise.
    #[serde(default)]
    pub dnd_until: Option<UnixMillis>,
    /// Messages waiting to leave.
    pub outbox: u64,
    /// Envelopes that arrived and could not be read, ever.
    pub unreadable: u64,
    /// The newest of those, as long as it is on record.
    pub last_unreadable: Option<Unreadable>,
    /// Sessions that did not work any more and gave way to others, ever.
    #[serde(default)]
    pub renewals: u64,
    /// The last of those.
    pub last_renewal: Option<SessionRenewal>,
    /// Messages that contacts sent and that have not arrived, as far as later ones tell; [`crate::Audit`] says which.
    #[serde(default)]
    pub missing: u64,
    /// One-time X25519 prekeys the relay has on hand; nothing until the relay has said so.
    pub one_time_prekeys: Option<u32>,
    /// The same, of ML-KEM keys.
    #[serde(default)]
    pub one_time_kem_prekeys: Option<u32>,
    /// Whether its store is the newest copy.
    #[serde(default)]
    pub store: StoreStatus,
    /// How its keys are protected; nothing from a daemon that is too old to say.
    #[serde(default)]
    pub keys: Option<KeyStatus>,
}

/// A mailbox of an account at another relay than its own, for groups there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuestStatus {
    /// That relay's address.
    pub relay: String,
    /// How it stands with it.
    pub connection: Connection,
    /// Envelopes from there that could not be read, ever. They are not among the account's.
    #[serde(default)]
    pub unreadable: u64,
    /// Envelopes that the relay says it dropped before they were fetched, ever.
    #[serde(default)]
    pub expired: u64,
    /// When either was last counted.
    #[serde(default)]
    pub last_unreadable_at: Option<UnixMillis>,
}

/// Whether an account's store is its newest copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoreStatus {
    /// The most pressing of what follows.
    pub state: StoreState,
    /// It was put back from an old copy, or took over from another copy.
    #[serde(default)]
    pub restored: Option<Restored>,
    /// When another copy of it last connected.
    #[serde(default)]
    pub copy_seen_at: Option<UnixMillis>,
    /// Since when it is stopped, because another copy is at work.
    #[serde(default)]
    pub stopped_at: Option<UnixMillis>,
    /// When every row of it was last read and found whole, since the daemon opened it. It is done when it opens and each
    /// day; damage that it finds is the reason of the connection.
    #[serde(default)]
    pub scrubbed_at: Option<UnixMillis>,
}

/// The states of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StoreState {
    /// The newest copy, as far as its relay knows.
    #[default]
    Ok,
    /// Working since it was put back from an old copy.
    Restored,
    /// Working, and another copy of it has connected.
    CopySeen,
    /// About to go on as the newest copy, as soon as the relay has taken its word. Nothing is sent or fetched until then.
    Recovering,
    /// Another copy is at work. This one does nothing until [`crate::routes::RECOVER`].
    Stopped,
    /// A state that this program is too old to know.
    #[serde(other)]
    Other,
}

/// A store that began new sessions with every contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restored {
    /// When.
    pub at: UnixMillis,
    /// Contacts it had.
    pub contacts: u64,
    /// Those that have a new session.
    pub renewed: u64,
}

/// What [`crate::routes::RECOVER`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recovered {
    /// The document's version.
    pub v: V1,
    /// What was done.
    pub outcome: RecoverOutcome,
    /// The account as it stands when the wait is over.
    pub account: AccountStatus,
}

/// What was done about copies of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RecoverOutcome {
    /// This copy goes on, and every other one stops when it next connects.
    TookOver,
    /// This copy has been going on anyway; its alarms are ended.
    AlarmEnded,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// Asks to go on with this copy of a store ([`crate::routes::RECOVER`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// How long to wait for the relay's answer before replying with what stands, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// An envelope that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Unreadable {
    /// When it was looked at.
    pub at: UnixMillis,
    /// Why, as text for people.
    pub cause: String,
}

/// A session that gave way to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionRenewal {
    /// The contact's name.
    pub contact: String,
    /// When.
    pub at: UnixMillis,
    /// Why, as text for people.
    pub reason: String,
}

/// How an account stands with its relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Connection {
    /// The state.
    pub state: ConnectionState,
    /// Since when.
    pub since: UnixMillis,
    /// Why it is not connected, when a reason is known.
    pub reason: Option<Problem>,
}

/// The states of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// The relay has never taken this account; it is being tried.
    Registering,
    /// Registered and connected.
    Connected,
    /// Registered before, trying to connect again.
    Connecting,
    /// Waiting before the next attempt.
    Offline,
    /// The relay said no; nothing is tried until the user acts.
    Refused,
}

/// The daemon is about to stop ([`crate::routes::SHUTDOWN`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shutdown {
    /// The document's version.
    pub v: V1,
    /// The process that will be gone.
    pub pid: u32,
}
