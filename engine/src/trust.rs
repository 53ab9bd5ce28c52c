//! What is held of a contact's identity key, and what waits for the user's word about it.

use hermes_protocol::identity::Fingerprint;
use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use crate::row::ContactRecord;

/// Whether the identity key is known to be the person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nobody has checked it.
    Unverified,
    /// It was checked.
    Verified(VerifiedBy),
    /// Another identity speaks in the contact's place; nothing is sent until the user decides.
    Changed,
}

/// What a verification rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerifiedBy {
    /// The secret of an invite that was handed over.
    Invite,
    /// A safety number that two people compared.
    Number,
}

/// What happens when another identity speaks in a contact's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangePolicy {
    /// Sending stops and what the new identity says is held, until the user decides.
    Stop,
    /// The new identity is the contact's at once, unverified: for senders that nobody watches.
    Accept,
}

/// What is held of a contact's identity key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyTrust {
    pub(crate) verified: Option<VerifiedBy>,
    pub(crate) policy: ChangePolicy,
    pub(crate) change: Option<Box<Change>>,
    /// Identities that are not taken for this contact again, the newest first: those it had before, and those that the
    /// user refused. Otherwise whoever holds an old key could take the contact back.
    pub(crate) refused: Vec<Fingerprint>,
}

/// An identity that speaks under a contact's permission and is not the contact's.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The contact as it will be once the user accepts; its sessions are the new identity's.
    pub(crate) next: ContactRecord,
    pub(crate) at: Timestamp,
    /// What it has said, in rows of their own.
    pub(crate) held: u64,
}

impl KeyTrust {
    /// Of a fresh pairing.
    pub(crate) fn by_invite() -> Self {
        Self {
            verified: Some(VerifiedBy::Invite),
            policy: ChangePolicy::Stop,
            change: None,
            refused: Vec::new(),
        }
    }

    /// Of somebody for whom nothing vouches.
    pub(crate) fn unverified() -> Self {
        Self { verified: None, ..Self::by_invite() }
    }

    /// Another invite vouches for the same identity; what people compared themselves outweighs it.
    pub(crate) fn vouched_by_invite(&mut self) {
        self.verified.get_or_insert(VerifiedBy::Invite);
    }

    pub(crate) fn view(&self) -> Trust {
        match (&self.change, self.verified) {
            (Some(_), _) => Trust::Changed,
            (None, Some(by)) => Trust::Verified(by),
            (None, None) => Trust::Unverified,
        }
    }
}
