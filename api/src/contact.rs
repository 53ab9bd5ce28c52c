//! Invites and contacts.

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, V1};

/// Asks for a new invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateInvite {
    /// How long it can be accepted, in seconds.
    pub expires_seconds: u64,
    /// Whether many may use it, each of whom becomes a contact only once the user accepts it; otherwise it works once.
    #[serde(default)]
    pub requests: bool,
}

/// A new invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedInvite {
    /// The document's version.
    pub v: V1,
    /// `hermes-invite:…`, to hand to one person; one for requests, to be published.
    pub invite: String,
    /// It cannot be accepted after this.
    pub expires_at: UnixMillis,
}

/// Accepts an invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcceptedInvite {
    /// The document's version.
    pub v: V1,
    /// The contact, under a provisional name while it is pending.
    pub contact: Contact,
}

/// All contacts of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Contacts {
    /// The document's version.
    pub v: V1,
    /// By name.
    pub contacts: Vec<Contact>,
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Since when it is blocked; nothing if it is not.
    #[serde(default)]
    pub blocked_since: Option<UnixMillis>,
    /// Since when its relay takes nothing for it from this account: it has blocked or removed this account, has withdrawn
    /// the link, or is gone; nothing if it does.
    #[serde(default)]
    pub refused_since: Option<UnixMillis>,
}

/// Removes a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemoveContact {
    /// What becomes of its messages.
    pub history: History,
}

/// What becomes of the messages of a contact that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum History {
    /// They stay, under its name.
    Keep,
    /// They are deleted.
    Delete,
}

/// A contact was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedContact {
    /// The document's version.
    pub v: V1,
    /// The name it had.
    pub removed: String,
}

/// How far the pairing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ContactState {
    /// The other side has not answered yet.
    Pending,
    /// It was asked, by an invite for requests, and has yet to be accepted by the other side's user.
    Asked,
    /// Messages go both ways.
    Ready,
}

/// How sure it is who a contact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum VerifiedBy {
    /// The secret of an invite that was handed over.
    Invite,
    /// A safety number that two people compared.
    Number,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// One contact in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContactDetails {
    /// The document's version.
    pub v: V1,
    /// The contact as a list shows it.
    pub contact: Contact,
    /// What it calls itself, as it said last, uncleaned. Its name here is `contact.name`, and not touched by this.
    #[serde(default)]
    pub profile_name: Option<String>,
    /// Sixty digits in groups of five, the same on the contact's side.
    pub safety_number: String,
    /// The same for a camera: `hermes-safety:…`, the text of a QR code.
    pub safety_code: String,
    /// What happens when the identity key changes.
    pub key_policy: KeyPolicy,
    /// The identity key that waits to be accepted or refused.
    pub key_change: Option<KeyChange>,
    /// The session in use; nothing before there is one.
    pub session: Option<SessionFacts>,
}

/// What happens when a contact's identity key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyPolicy {
    /// Sending stops until the user decides.
    Stop,
    /// The new key is taken at once, unverified.
    Accept,
}

/// An identity key that somebody uses in a contact's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyChange {
    /// SHA-256 over the new identity keys, 64 hex digits.
    pub fingerprint: String,
    /// The safety number with the new key.
    pub safety_number: String,
    /// The text of its QR code.
    pub safety_code: String,
    /// When it was first heard.
    pub at: UnixMillis,
    /// Messages that are held until it is accepted.
    pub held: u64,
}

/// How a contact's sessions stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionFacts {
    /// Sessions that are kept; the newest is used for sending.
    pub kept: u32,
    /// Whether the contact has been heard in the newest.
    pub heard: bool,
    /// Whether the newest began without a one-time prekey: its first messages are as safe as the signed prekey.
    pub no_one_time_prekey: bool,
}

/// Compares a safety number with what the contact's side shows, and marks the contact verified if they are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VerifyContact {
    /// Sixty digits, or `hermes-safety:…`.
    pub safety_number: String,
}

/// Gives a contact another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenameContact {
    /// The name, unique in the account.
    pub name: String,
}

/// Says what happens when a contact's identity key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetKeyPolicy {
    /// From here on.
    pub key_policy: KeyPolicy,
}
