//! What people send each other, as CBOR inside the encryption.
//!
//! Maps with small integer keys, ascending, in the one canonical encoding (RFC 8949, section 4.2). Unlike frames,
//! content tolerates what a newer version adds: unknown kinds and fields are kept, so that decoding and encoding again
//! gives the same bytes, and the hash that chains a chat's messages is the same on both sides.

use ciborium::Value;
use hermes_wire::{RelayAddress, Timestamp, byte_id, channel::Head, limits::REGISTRATION_TOKEN_CHARS};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    blob::BlobRef,
    content::fields::Fields,
    group::GroupId,
    kdf::{self, Label},
    limits::{
        KEY_PACKAGE_BYTES, KEY_PACKAGES, PROFILE_NAME_CHARS, REACTION_BYTES, RECEIPT_MESSAGES, RESEND_RANGES,
        TEXT_BYTES,
    },
    ticket::Ticket,
};

mod encoding;
mod fields;

byte_id!(
    /// One message, drawn at random by its author; shown as 32 hex digits.
    MessageId, 16
);
byte_id!(
    /// One asking for a place at another relay, drawn at random by the asker; the answer names it.
    AskId, 16
);

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Which message this is.
    pub id: MessageId,
    /// The author's clock.
    pub sent: Timestamp,
    /// Where it stands in its chat, so that a gap shows even when the relay made it. Absent from what is no part of
    /// the conversation, such as receipts.
    pub place: Option<ChatPlace>,
    /// What it says.
    pub body: Body,
    /// Fields that a newer version added.
    pub newer: Newer,
}

/// A message's place among its author's messages in one chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatPlace {
    /// Counts the author's messages in this chat, from 1.
    pub counter: u64,
    /// [`Content::hash`] of the author's previous message in this chat; zeros for the first.
    pub previous: [u8; 32],
}

/// Where a message stood that was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawnPlace {
    /// The place that it had.
    pub place: ChatPlace,
    /// Its own [`Content::hash`].
    pub hash: [u8; 32],
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A text.
    Text {
        /// UTF-8, at most 16 KiB.
        text: String,
        /// The message it answers.
        reply_to: Option<MessageId>,
        /// Seconds after which it is to be deleted: with its author from when it has left, with its readers from when
        /// they have read it.
        ttl: Option<u32>,
    },
    /// Texts of this chat are to be deleted after so many seconds from here on, or are to stay.
    Timer(Option<u32>),
    /// What the author thinks of a message of the chat, in place of what it thought before.
    Reaction {
        /// Which message.
        message: MessageId,
        /// An emoji, of 1 to 32 bytes without space or control; nothing takes the last one back.
        emoji: Option<String>,
    },
    /// An earlier text of the author's says something else from here on.
    Edit {
        /// Which message.
        message: MessageId,
        /// UTF-8, at most 16 KiB.
        text: String,
    },
    /// An earlier text of the author's is withdrawn: it is to be deleted.
    Unsend {
        /// Which message.
        message: MessageId,
        /// Where it stands among the author's messages, so that it is not missed where it has not arrived.
        place: Option<WithdrawnPlace>,
    },
    /// What became of messages.
    Receipt {
        /// How far they came.
        kind: ReceiptKind,
        /// Which messages, at most 256.
        messages: Vec<MessageId>,
    },
    /// The first content in each direction.
    Hello {
        /// How the author wants to be called, at most 64 characters.
        profile_name: String,
        /// The way to the author's mailbox.
        ticket: Ticket,
        /// Proof that an invite was used ([`crate::InviteSecret::prove`]).
        proof: Option<[u8; 32]>,
    },
    /// How the author wants to be called from here on, at most 64 characters.
    Profile(String),
    /// A fresh way to the author's mailbox.
    TokenRenewal(Ticket),
    /// What the author has of the recipient's messages in this chat: whatever is missing is wanted again. The first
    /// content of a session that takes the place of another, and the answer to that.
    ResendRequest {
        /// Every message up to this counter is here, but for those in `missing`.
        received: u64,
        /// Counters of messages that are missing below that, at most 64 ranges, ascending.
        missing: Vec<CounterRange>,
        /// The counter of the author's own last message in this chat.
        sent: u64,
    },
    /// Key packages for this reader alone, each for one group that the author may be added to.
    KeyPackages {
        /// At most 4.
        packages: Vec<ByteBuf>,
        /// Whether the reader has no other that is good: the author has lost or used up all earlier ones.
        only: bool,
    },
    /// The author has added the reader to a group.
    GroupInvite {
        /// The welcome lies as a blob at the group's relay.
        welcome: BlobRef,
        /// Names the commits up to the one that added the reader, which has seen none of them.
        head: Head,
        /// The group's relay, if it is not the reader's own.
        relay: Option<RelayAddress>,
    },
    /// The author wants to add the reader to a group at another relay than the reader's: a key package is wanted that
    /// names a mailbox there.
    GuestWanted {
        /// Which asking this is.
        ask: AskId,
        /// Where the mailbox is to be.
        relay: RelayAddress,
        /// What that relay may ask of a stranger, at most 128 characters.
        registration_token: Option<String>,
    },
    /// The answer.
    GuestPlace {
        /// Which asking is answered.
        ask: AskId,
        /// What came of it.
        answer: GuestAnswer,
    },
    /// The author is a member of a group and cannot follow it: the reader, an admin, is asked to add it anew.
    GroupRejoin {
        /// Which group.
        group: GroupId,
        /// A key package drawn for this. All that are drawn for one loss have one copy key, so that an admin sees in the
        /// tree whether another one was quicker.
        package: ByteBuf,
    },
    /// Whether the author's daemon is connected. Said in ephemeral messages only.
    Presence(Presence),
    /// Whoever hears this is asked to answer at once. Said in ephemeral messages only.
    Ping,
    /// The answer to a [`Self::Ping`], which it names. Said in ephemeral messages only.
    Pong(MessageId),
    /// Something a newer version says.
    Unknown(UnknownBody),
}

/// What comes of asking for a place at another relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestAnswer {
    /// A key package for one group, which names a mailbox there.
    Package(ByteBuf),
    /// There is none.
    Refused(GuestRefusal),
}

/// Why a contact has no mailbox at another relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestRefusal {
    /// The relay takes no mailbox without a valid registration token.
    NoRegistration,
    /// The contact has as many such mailboxes as it may have.
    NoRoom,
    /// For a reason that this version does not know.
    Other,
}

/// Whether a daemon is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has just connected, and does not know who else is: the reader is asked to tell.
    Arrived,
    /// It is connected.
    Here,
    /// It is about to go.
    Away,
}

/// Counters of consecutive messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRange {
    /// The first.
    pub first: u64,
    /// The last, not below the first.
    pub last: u64,
}

/// How far a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Durable at its recipient.
    Delivered,
    /// Seen by its recipient.
    Read,
}

/// A body of a kind that this version does not know, kept whole.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownBody {
    kind: u64,
    payload: Value,
}

/// Fields that this version does not know, kept whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Newer {
    content: Fields,
    body: Fields,
}

/// Why bytes are no content. The author's program is to blame: the bytes are authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not CBOR, not in canonical form, or a known kind without what belongs to it.
    #[error("the message's content is malformed")]
    Malformed,
    /// A text over 16 KiB.
    #[error("a text has at most {max} bytes", max = TEXT_BYTES)]
    TextTooLong,
    /// A profile name over 64 characters.
    #[error("a profile name has at most {max} characters", max = PROFILE_NAME_CHARS)]
    ProfileNameTooLong,
    /// A receipt for more than 256 messages.
    #[error("a receipt names at most {max} messages", max = RECEIPT_MESSAGES)]
    ReceiptTooLong,
    /// A resend request with more than 64 ranges.
    #[error("a resend request names at most {max} ranges", max = RESEND_RANGES)]
    ResendRequestTooLong,
    /// A reaction that is no emoji.
    #[error("a reaction has 1 to {max} bytes, none of them a space or a control", max = REACTION_BYTES)]
    BadReaction,
    /// More or larger key packages than one content brings.
    #[error("a content brings at most {max} key packages of {KEY_PACKAGE_BYTES} bytes", max = KEY_PACKAGES)]
    KeyPackagesTooLong,
    /// A registration token is longer than any relay takes.
    #[error("the registration token is too long")]
    TokenTooLong,
}

impl Content {
    /// What the author's next message in the chat names as its predecessor.
    pub fn hash(&self) -> [u8; 32] {
        kdf::hash(Label::CONTENT, &[&self.encode()])
    }
}

impl Body {
    /// Whether it keeps the limits; to be asked before sending, and asked by decoding.
    pub fn check(&self) -> Result<(), ContentError> {
        match self {
            Self::Text { text, .. } | Self::Edit { text, .. } if text.len() > TEXT_BYTES => {
                Err(ContentError::TextTooLong)
            }
            Self::Reaction { emoji: Some(emoji), .. } if !is_reaction(emoji) => {
                Err(ContentError::BadReaction)
            }
            Self::Receipt { messages, .. } if messages.len() > RECEIPT_MESSAGES => {
                Err(ContentError::ReceiptTooLong)
            }
            Self::Hello { profile_name: name, .. } | Self::Profile(name)
                if name.chars().count() > PROFILE_NAME_CHARS =>
            {
                Err(ContentError::ProfileNameTooLong)
            }
            Self::ResendRequest { missing, .. } if missing.len() > RESEND_RANGES => {
                Err(ContentError::ResendRequestTooLong)
            }
            Self::KeyPackages { packages, .. }
                if packages.len() > KEY_PACKAGES
                    || packages.iter().any(|package| package.len() > KEY_PACKAGE_BYTES) =>
            {
                Err(ContentError::KeyPackagesTooLong)
            }
            Self::GroupRejoin { package, .. }
            | Self::GuestPlace { answer: GuestAnswer::Package(package), .. }
                if package.len() > KEY_PACKAGE_BYTES =>
            {
                Err(ContentError::KeyPackagesTooLong)
            }
            Self::GuestWanted { registration_token: Some(token), .. }
                if token.chars().count() > REGISTRATION_TOKEN_CHARS =>
            {
                Err(ContentError::TokenTooLong)
            }
            _ => Ok(()),
        }
    }
}

/// Whether this can stand under a message as a reaction to it.
fn is_reaction(emoji: &str) -> bool {
    let visible = |c: char| !c.is_whitespace() && !c.is_control();
    !emoji.is_empty() && emoji.len() <= REACTION_BYTES && emoji.chars().all(visible)
}

impl CounterRange {
    /// Whether a message with this counter is among them.
    pub fn contains(&self, counter: u64) -> bool {
        (self.first..=self.last).contains(&counter)
    }
}

#[cfg(test)]
mod tests;
