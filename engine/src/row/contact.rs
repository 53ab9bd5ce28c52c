//! A contact: who it is, how to write to it, and which sessions there are.

use hermes_protocol::{
    handshake::ReplayId, identity::Fingerprint, invite::InviteSecret, ratchet::SessionId, ticket::Ticket,
};
use hermes_wire::{ContactId, FetchId, Timestamp};
use serde::{Deserialize, Serialize};

use super::UnreadableCause;
use crate::{removal::Removed, trust::KeyTrust};

/// A contact.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ContactRecord {
    pub(crate) name: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) trust: KeyTrust,
    pub(crate) since: Timestamp,
    /// How to write to them.
    pub(crate) ticket: Ticket,
    /// A bundle that was asked for.
    pub(crate) fetching: Option<Box<Fetching>>,
    /// Whether the contact has been heard: its name is its own, its ticket for this account alone.
    pub(crate) answered: bool,
    /// The session that seals, and opens.
    pub(crate) active: Option<SessionId>,
    /// Sessions that gave way to others, the newest first: they open what was on its way.
    pub(crate) retired: Vec<SessionId>,
    /// The highest counter among the contact's initiations that became sessions.
    pub(crate) initiation: u64,
    /// Initiations of the contact that could not be opened, newest first, until they are told in one of our own.
    pub(crate) unopened: Vec<ReplayId>,
    /// Those of them that the own initiation under way tells.
    pub(crate) told: Vec<ReplayId>,
    /// How its sessions have been renewed.
    pub(crate) renewal: Renewal,
    /// What the contact lacks, as it said last, until all of it has been said again.
    pub(crate) resend: Option<Resend>,
    /// Whether the user has named it, so that what it calls itself is no name for it.
    #[serde(default)]
    pub(crate) named: bool,
    /// Key packages of ours that it has and has not used.
    pub(crate) given: Vec<ContactId>,
    /// When it was last given places in mailboxes at other relays, oldest first: there is a rate.
    #[serde(default)]
    pub(crate) places: Vec<Timestamp>,
    /// What it calls itself, as it said last.
    #[serde(default)]
    pub(crate) profile: Option<String>,
    /// Whether it has yet to hear that it was accepted, and to get a permission of its own: the next session says so.
    #[serde(default)]
    pub(crate) ungreeted: bool,
    /// Since when nothing of it is taken, and nothing said to it.
    #[serde(default)]
    pub(crate) blocked: Option<Timestamp>,
    /// Since when its relay takes nothing for it from here: it has blocked or removed this account, or is gone.
    #[serde(default)]
    pub(crate) refused: Option<Timestamp>,
    /// That it is none any more.
    #[serde(default)]
    pub(crate) removed: Option<Removed>,
}

/// A resend request that is being heeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resend {
    /// Everything up to this counter is there,
    pub(crate) received: u64,
    /// but for these, first and last.
    pub(crate) missing: Vec<(u64, u64)>,
    /// The counter that is looked at next; none while the request waits its turn.
    pub(crate) next: Option<u64>,
}

/// Renewals of a contact's session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renewal {
    /// A renewal that is wanted and has not begun.
    pub(crate) wanted: Option<RenewalReason>,
    /// When the last few were begun by this side, oldest first: there is a rate.
    pub(crate) begun: Vec<Timestamp>,
    /// When the contact's last few requests were heeded, oldest first.
    pub(crate) heeded: Vec<Timestamp>,
    /// How many there were, begun by either side.
    pub(crate) count: u64,
    /// The last one.
    pub(crate) last: Option<(Timestamp, RenewalReason)>,
}

/// Why a session gave way to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RenewalReason {
    /// An envelope of the contact could not be read.
    #[error("a message could not be read: {0}")]
    Unreadable(UnreadableCause),
    /// A message came a second time under a new number: its sender may have gone back to an old state.
    #[error("a message came twice")]
    Repeated,
    /// The contact went on in a session that had given way here.
    #[error("the contact still used a session that had given way")]
    Outdated,
    /// This account's store was put back from an old copy.
    #[error("this account was restored from an old copy")]
    Restored,
    /// The contact began anew.
    #[error("the contact began a new session")]
    Peer,
}

/// A bundle that was asked for, to initiate with.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Fetching {
    pub(crate) fetch: FetchId,
    pub(crate) purpose: FetchPurpose,
    /// The permission to fetch: an invite's, or the contact's own. The latter stays in use until the bundle is here.
    pub(crate) ticket: Ticket,
}

/// What a bundle is wanted for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum FetchPurpose {
    /// To use the invite with this secret.
    Pair(InviteSecret),
    /// To renew the session.
    Renew(RenewalReason),
}

impl ContactRecord {
    /// Somebody with whom nothing has begun.
    pub(crate) fn new(
        name: String,
        fingerprint: Fingerprint,
        trust: KeyTrust,
        since: Timestamp,
        ticket: Ticket,
    ) -> Self {
        Self {
            name,
            fingerprint,
            trust,
            since,
            ticket,
            fetching: None,
            answered: false,
            active: None,
            retired: Vec::new(),
            initiation: 0,
            unopened: Vec::new(),
            told: Vec::new(),
            renewal: Renewal::default(),
            resend: None,
            given: Vec::new(),
            places: Vec::new(),
            profile: None,
            ungreeted: false,
            named: false,
            blocked: None,
            refused: None,
            removed: None,
        }
    }
}
