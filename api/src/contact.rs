//! Invites and contacts.

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, V1};

/// Asks for a new single-use invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateInvite {
    /// How long it can be accepted, in seconds.
    pub expires_seconds: u64,
}

/// A new invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedInvite {
    /// The document's version.
    pub v: V1,
    /// `hermes-invite:…`, to hand to one person.
    pub invite: String,
    /// It cannot be accepted after this.
    pub expires_at: UnixMillis,
}

/// Accepts an invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvite {
    /// `hermes-invite:…`
    pub invite: String,
    /// How long to wait for the pairing to finish before replying with what stands, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// The contact of an accepted invite, as it stands when the wait is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedInvite {
    /// The document's version.
    pub v: V1,
    /// The contact, under a provisional name while it is pending.
    pub contact: Contact,
}

/// All contacts of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacts {
    /// The document's version.
    pub v: V1,
    /// By name.
    pub contacts: Vec<Contact>,
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The local name, unique in the account. Chosen by the peer, so shown only after cleaning.
    pub name: String,
    /// Whether it can be written to.
    pub state: ContactState,
    /// How sure it is who this is.
    pub trust: Trust,
    /// What the trust rests on.
    pub verified_by: Option<VerifiedBy>,
    /// SHA-256 over the contact's identity keys, 64 hex digits.
    pub fingerprint: String,
    /// When the pairing began.
    pub since: UnixMillis,
}

/// How far the pairing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContactState {
    /// The other side has not answered yet.
    Pending,
    /// Messages go both ways.
    Ready,
}

/// How sure it is who a contact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Nobody has checked the identity key.
    Unverified,
    /// The identity key was checked.
    Verified,
    /// The identity key is another one than before; sending stopped.
    Changed,
}

/// What a verification rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifiedBy {
    /// The secret of an invite that was handed over.
    Invite,
}
