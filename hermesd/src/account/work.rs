//! What is handed to an account's thread, and what comes back.

use std::collections::{BTreeMap, BTreeSet};

use hermes_engine::{Command, CommandError, GuestEvent, GuestId, LinkEvent, Reply};
use hermes_wire::Sequence;
use tokio::sync::oneshot;

/// One item of an account's queue.
pub(crate) enum Work {
    /// A user's command. The answer comes after the commit.
    Command(Command, oneshot::Sender<Result<Reply, CommandFailure>>),
    /// What the link heard, in order. The sender learns of the commit, or, when it failed, that its end is dropped.
    Link(Vec<LinkEvent>, Option<oneshot::Sender<Committed>>),
    /// A scrub found the store damaged, in these words. Nothing is committed from here on.
    Damaged(String),
    /// Ends the thread after what came before.
    Stop,
}

/// The commit that made an item true.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    /// The highest sequence that was delivered and is safe; `None` when nothing was delivered. It may be acknowledged on
    /// the connection that delivered it, and on no other: a relay restored from an old copy gives old numbers to new
    /// mail.
    pub(crate) ack: Option<Sequence>,
    /// The same, of mailboxes at other relays.
    pub(crate) guests: BTreeMap<GuestId, Sequence>,
    /// Mailboxes at other relays that are not to be served for a while.
    pub(crate) strays: BTreeSet<GuestId>,
}

impl Committed {
    /// What may be acknowledged on this mailbox's connection.
    pub(crate) fn ack_of(&self, mailbox: Option<GuestId>) -> Option<Sequence> {
        match mailbox {
            None => self.ack,
            Some(guest) => self.guests.get(&guest).copied(),
        }
    }
}

/// Why a command has no reply.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CommandFailure {
    /// The engine refuses it; nothing was stored.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The same, because a name stands for nothing; this one looks much like it.
    #[error("{0}")]
    Misspelt(CommandError, String),
    /// The store failed. Whether the command was stored is unknown.
    #[error("{0}")]
    Store(String),
    /// The store is damaged, in these words. The command was not stored.
    #[error("{0}")]
    Damaged(String),
    /// The account is closed.
    #[error("the account is closed")]
    Closed,
}

impl Work {
    /// How many inputs the engine gets from this.
    pub(super) fn inputs(&self) -> usize {
        match self {
            Self::Command(..) => 1,
            Self::Link(events, _) => events.len(),
            Self::Damaged(_) | Self::Stop => 0,
        }
    }

    /// Bytes of message text, envelopes and blobs in this.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Command(Command::Send(send), _) => send.text.len(),
            Self::Command(..) | Self::Damaged(_) | Self::Stop => 0,
            Self::Link(events, _) => events.iter().map(event_bytes).sum(),
        }
    }
}

fn event_bytes(event: &LinkEvent) -> usize {
    match event {
        LinkEvent::Delivered(delivered) | LinkEvent::Guest(_, GuestEvent::Delivered(delivered)) => {
            delivered.body.len()
        }
        LinkEvent::BlobFetched(_, bytes) | LinkEvent::Guest(_, GuestEvent::BlobFetched(_, bytes)) => {
            bytes.len()
        }
        _ => 0,
    }
}
