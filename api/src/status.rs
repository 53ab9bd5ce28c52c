//! How the daemon and its accounts are doing.

use serde::{Deserialize, Serialize};

use crate::{Problem, UnixMillis, V1};

/// The daemon and its accounts ([`crate::routes::STATUS`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct AccountStatus {
    /// Its local label.
    pub name: String,
    /// SHA-256 over its identity keys, 64 hex digits.
    pub fingerprint: String,
    /// Its relay's address.
    pub relay: String,
    /// How it stands with the relay.
    pub connection: Connection,
    /// Messages not read yet.
    pub unread: u64,
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
}

/// An envelope that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// When it was looked at.
    pub at: UnixMillis,
    /// Why, as text for people.
    pub cause: String,
}

/// A session that gave way to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Shutdown {
    /// The document's version.
    pub v: V1,
    /// The process that will be gone.
    pub pid: u32,
}
