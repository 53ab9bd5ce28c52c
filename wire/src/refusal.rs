//! The relay's refusals: typed, and each says what the sender should do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{channel::Head, id::InstanceId};

/// A relay of another version is asked again after this long.
const VERSION_RETRY: Duration = Duration::from_secs(60);

/// Which share of a mailbox is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FullScope {
    /// The whole mailbox.
    #[error("the recipient's mailbox")]
    Mailbox,
    /// This depositor's share of it.
    #[error("your share of the recipient's mailbox")]
    Contact,
}

/// Why the relay did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No such mailbox or channel, or the token does not open it. Deliberately one answer: absent and forbidden look the
    /// same.
    #[error("they take no messages from you any more, or their link or mailbox is gone")]
    NoEntry,
    /// The token was genuine and has expired.
    #[error("the permission to write to this mailbox has expired")]
    TokenExpired,
    /// An invite's uses are spent.
    #[error("the invite has already been used")]
    InviteUsed,
    /// The body is longer than the relay takes.
    #[error("the message is larger than the {max} bytes the relay takes")]
    TooLarge {
        /// Largest body in bytes.
        max: u32,
    },
    /// The recipient has too much waiting.
    #[error("{scope} is full")]
    MailboxFull {
        /// What is full.
        scope: FullScope,
        /// Try again after this many milliseconds.
        retry_ms: u32,
    },
    /// Too many requests under this token.
    #[error("the relay asks to slow down")]
    RateLimited {
        /// Try again after this many milliseconds.
        retry_ms: u32,
    },
    /// The envelope id was used for another body.
    #[error("the envelope id was already used for another message")]
    IdConflict,
    /// The store failed; nothing was stored.
    #[error("the relay cannot write to its disk")]
    StoreUnavailable {
        /// Try again after this many milliseconds.
        retry_ms: u32,
    },
    /// The relay is about to stop or restart.
    #[error("the relay said that it stops")]
    Draining {
        /// Reconnect after this many milliseconds.
        delay_ms: u32,
    },
    /// A newer connection of the same mailbox took over.
    #[error("another connection of this account took over")]
    Superseded {
        /// The installation that took over.
        instance: InstanceId,
    },
    /// The relay speaks other versions.
    #[error("the relay speaks protocol versions {min} to {max}")]
    Version {
        /// Oldest spoken.
        min: u16,
        /// Newest spoken.
        max: u16,
    },
    /// The frame was malformed or out of place. The connection is closed.
    #[error("the relay did not understand the request")]
    BadFrame,
    /// Registration needs a token, and none or a spent one was given.
    #[error("the relay takes new accounts only with a registration token")]
    RegistrationRefused,
    /// The relay is at its configured number of mailboxes, connections or streams.
    #[error("the relay is at its capacity")]
    Busy {
        /// Try again after this many milliseconds.
        retry_ms: u32,
    },
    /// The channel's epoch is over that the request was made in: a commit came first.
    #[error("the group has moved on to epoch {epoch}")]
    StaleEpoch {
        /// The channel's epoch.
        epoch: u64,
        /// The channel's head.
        head: Head,
    },
    /// The request was made in an epoch that the channel has not reached: the relay has lost a commit, or the client has
    /// invented one.
    #[error("the group is at epoch {epoch} at the relay, which is behind")]
    EpochAhead {
        /// The channel's epoch.
        epoch: u64,
    },
    /// The declared roster is not what the change gives, a new entry's token does not open its mailbox, or the roster
    /// key is not the epoch's.
    #[error("the relay does not agree on who is in the group")]
    RosterMismatch,
    /// The relay does not have this blob, not all of it yet, or not any more.
    #[error("the relay does not have this blob, or not all of it")]
    NoBlob,
    /// The uploader's blobs take up all the room it has.
    #[error("the relay keeps no more blobs for this account until older ones expire")]
    BlobsFull {
        /// Try again after this many milliseconds.
        retry_ms: u32,
    },
}

/// What a refused sender does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same request will never succeed.
    Permanent,
    /// Repeat the same bytes after this delay.
    RetryAfter(Duration),
    /// Apply what was committed meanwhile, and make the request anew from that.
    CatchUp,
}

impl Refusal {
    /// What to do about this refusal.
    pub fn advice(&self) -> Advice {
        match self {
            Self::NoEntry
            | Self::TokenExpired
            | Self::InviteUsed
            | Self::TooLarge { .. }
            | Self::IdConflict
            | Self::Superseded { .. }
            | Self::BadFrame
            | Self::RegistrationRefused
            | Self::EpochAhead { .. }
            | Self::RosterMismatch
            | Self::NoBlob => Advice::Permanent,
            Self::StaleEpoch { .. } => Advice::CatchUp,
            // An upgrade of either side mends it; what waits to leave must not be given up for it.
            Self::Version { .. } => Advice::RetryAfter(VERSION_RETRY),
            Self::MailboxFull { retry_ms, .. }
            | Self::RateLimited { retry_ms }
            | Self::StoreUnavailable { retry_ms }
            | Self::Busy { retry_ms }
            | Self::BlobsFull { retry_ms }
            | Self::Draining { delay_ms: retry_ms } => {
                Advice::RetryAfter(Duration::from_millis(u64::from(*retry_ms)))
            }
        }
    }
}
