//! What is said about messages: what they answer, what they were changed to, what others think of them.

use hermes_protocol::content::{MessageId, WithdrawnPlace};
use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use super::Author;
use crate::{
    id::ChatId,
    rows::{Key, pair_keys, rows, wrapped_rows},
};

/// What stands beside a message's text. Absent from the records of messages of which there is nothing to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// The message that it answers, as its author says.
    pub(crate) reply_to: Option<MessageId>,
    /// The newest edit of it.
    pub(crate) edited: Option<Box<Edited>>,
    /// Rows of reactions to it, those that were taken back included.
    pub(crate) reactions: u32,
}

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn reply(to: Option<MessageId>) -> Self {
        Self { reply_to: to, ..Self::default() }
    }
}

/// An edit of a text. The text itself stands in the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edited {
    pub(crate) order: MarkOrder,
    /// When, by the author's clock.
    pub(crate) at: Timestamp,
    /// What an own message said at first: it may have to be said again word for word.
    pub(crate) first: Option<String>,
    /// Numbers of the own edits in the history, each with its text, for the same reason.
    pub(crate) rows: Vec<u64>,
}

/// Which of two things that one author says of one message is the later: its count in the chat. The id decides between
/// two that have the same, as of an author that went back to an old state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MarkOrder {
    pub(crate) counter: u64,
    pub(crate) id: MessageId,
}

/// Something that is said about another message. It has a place in the history as it has one among its author's messages,
/// and no list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A reaction, or that there is none any more.
    Reacted {
        /// To which message.
        to: MessageId,
        /// The emoji.
        emoji: Option<String>,
    },
    /// A text says something else.
    Edited {
        /// Which.
        to: MessageId,
        /// What, as long as this account may have to say it again.
        text: Option<String>,
    },
    /// A message is withdrawn.
    Withdrew {
        /// Which.
        to: MessageId,
        /// Where it stood.
        place: Option<Stood>,
    },
}

impl Action {
    /// The message that it is about.
    pub fn about(&self) -> MessageId {
        match self {
            Self::Reacted { to, .. } | Self::Edited { to, .. } | Self::Withdrew { to, .. } => *to,
        }
    }
}

/// The place of a withdrawn message, as its author told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    pub(crate) counter: u64,
    pub(crate) previous: serde_bytes::ByteArray<32>,
    pub(crate) hash: serde_bytes::ByteArray<32>,
}

impl From<WithdrawnPlace> for Stood {
    fn from(place: WithdrawnPlace) -> Self {
        let WithdrawnPlace { place, hash } = place;
        Self { counter: place.counter, previous: place.previous.into(), hash: hash.into() }
    }
}

impl From<Stood> for WithdrawnPlace {
    fn from(stood: Stood) -> Self {
        let place = hermes_protocol::content::ChatPlace { counter: stood.counter, previous: *stood.previous };
        Self { place, hash: *stood.hash }
    }
}

/// What one author says of one message beside the message itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MarkRecord {
    pub(crate) by: Author,
    pub(crate) reaction: Option<Reaction>,
    /// An edit of a message that is not here yet.
    pub(crate) edit: Option<EarlyEdit>,
    /// That a message is withdrawn which is not here yet.
    pub(crate) withdrawn: Option<EarlyWithdrawal>,
    /// When it came, while its message is not here.
    pub(crate) early: Option<Timestamp>,
}

/// A withdrawal that waits for its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlyWithdrawal {
    /// Its number in the history.
    pub(crate) row: u64,
    /// Whether it told the message's place, which counts as taken.
    pub(crate) placed: bool,
}

/// A reaction, or that it was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) order: MarkOrder,
    pub(crate) emoji: Option<String>,
}

/// An edit that waits for its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlyEdit {
    pub(crate) order: MarkOrder,
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

rows! {
    MarkRecord: Mark by MarkKey;
}

wrapped_rows! {
    /// A mark that waits for its message, by the time.
    EarlyMarkRow(()): Mark by EarlyMarkKey;
    /// How many of an author's wait in a chat.
    EarlyCountRow(u32): Mark by EarlyCountKey;
}

/// When a mark came, in milliseconds, and which. Chats are named by random ids, so that none begins like a time of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlyMarkKey(pub(crate) u64, pub(crate) MarkKey);

/// A chat, and an author in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlyCountKey(pub(crate) ChatId, pub(crate) ChatId);

pair_keys! {
    EarlyMarkKey(u64, 8, MarkKey);
    EarlyCountKey(ChatId, 16, ChatId);
}

/// A chat, a message of it, and who says something about it: an id that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MarkKey(pub(crate) ChatId, pub(crate) MessageId, pub(crate) ChatId);

impl MarkKey {
    /// What all marks of one message begin with.
    pub(crate) fn of(chat: ChatId, message: MessageId) -> Vec<u8> {
        [chat.0, message.0].concat()
    }
}

impl Key for MarkKey {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.0, self.1.0, self.2.0].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, rest) = bytes.split_first_chunk()?;
        let (message, by) = rest.split_first_chunk()?;
        Some(Self(ChatId(*chat), MessageId(*message), ChatId(by.try_into().ok()?)))
    }
}
