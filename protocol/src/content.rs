//! What people send each other, as CBOR inside the encryption.
//!
//! Maps with small integer keys, ascending, in the one canonical encoding (RFC 8949, section 4.2). Unlike frames,
//! content tolerates what a newer version adds: unknown kinds and fields are kept, so that decoding and encoding again
//! gives the same bytes, and the hash that chains a chat's messages is the same on both sides.

use ciborium::Value;
use hermes_wire::{RelayAddress, Timestamp, byte_id, channel::Head, codec, limits::REGISTRATION_TOKEN_CHARS};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    blob::BlobRef,
    content::fields::Fields,
    group::GroupId,
    kdf::{self, Label},
    limits::{
        CONTENT_BYTES, KEY_PACKAGE_BYTES, KEY_PACKAGES, PROFILE_NAME_CHARS, REACTION_BYTES, RECEIPT_MESSAGES,
        RESEND_RANGES, TEXT_BYTES,
    },
    ticket::Ticket,
};

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

/// Keys of a content.
const ID: u64 = 0;
const SENT: u64 = 1;
const PLACE: u64 = 2;
const KIND: u64 = 3;
const PAYLOAD: u64 = 4;

/// Kinds of body.
const TEXT: u64 = 1;
const RECEIPT: u64 = 2;
const HELLO: u64 = 3;
const TOKEN_RENEWAL: u64 = 4;
const RESEND_REQUEST: u64 = 5;
const GROUP_KEY_PACKAGES: u64 = 6;
const GROUP_INVITE: u64 = 7;
const GROUP_REJOIN: u64 = 8;
const TIMER: u64 = 9;
const REACTION: u64 = 10;
const EDIT: u64 = 11;
const UNSEND: u64 = 12;
const PROFILE: u64 = 13;
const GUEST_WANTED: u64 = 20;
const GUEST_PLACE: u64 = 21;
/// From here on, kinds of ephemeral content.
const PRESENCE: u64 = 32;
const PING: u64 = 33;
const PONG: u64 = 34;
const KINDS: [u64; 18] = [
    TEXT,
    RECEIPT,
    HELLO,
    TOKEN_RENEWAL,
    RESEND_REQUEST,
    GROUP_KEY_PACKAGES,
    GROUP_INVITE,
    GROUP_REJOIN,
    TIMER,
    REACTION,
    EDIT,
    UNSEND,
    PROFILE,
    GUEST_WANTED,
    GUEST_PLACE,
    PRESENCE,
    PING,
    PONG,
];

impl Content {
    /// The one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = self.newer.content.clone();
        fields.put(ID, Value::Bytes(self.id.0.to_vec()));
        fields.put(SENT, self.sent.0.into());
        if let Some(ChatPlace { counter, previous }) = self.place {
            fields.put(PLACE, Value::Array(vec![counter.into(), Value::Bytes(previous.to_vec())]));
        }
        let (kind, payload) = self.body.encode(&self.newer.body);
        fields.put(KIND, kind.into());
        fields.put(PAYLOAD, payload);
        codec::encode(&fields.into_value())
    }

    /// Decodes exactly what [`Self::encode`] of this or a newer version makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        let value: Value =
            codec::decode_tolerant(bytes, CONTENT_BYTES).map_err(|_| ContentError::Malformed)?;
        let content = Self::from_value(value).ok_or(ContentError::Malformed)?;
        if content.encode() != bytes {
            return Err(ContentError::Malformed);
        }
        content.body.check()?;
        Ok(content)
    }

    /// What the author's next message in the chat names as its predecessor.
    pub fn hash(&self) -> [u8; 32] {
        kdf::hash(Label::CONTENT, &[&self.encode()])
    }

    fn from_value(value: Value) -> Option<Self> {
        let mut fields = Fields::from_value(value)?;
        let id = MessageId(fields::array(fields.take(ID)?)?);
        let sent = Timestamp(fields::integer(fields.take(SENT)?)?);
        let place = match fields.take(PLACE) {
            None => None,
            Some(value) => {
                let [counter, previous] = value.into_array().ok()?.try_into().ok()?;
                Some(ChatPlace { counter: fields::integer(counter)?, previous: fields::array(previous)? })
            }
        };
        let kind = fields::integer(fields.take(KIND)?)?;
        let (body, rest) = Body::decode(kind, fields.take(PAYLOAD)?)?;
        Some(Self { id, sent, place, body, newer: Newer { content: fields, body: rest } })
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

    fn encode(&self, newer: &Fields) -> (u64, Value) {
        let mut fields = newer.clone();
        let kind = match self {
            Self::Text { text, reply_to, ttl } => {
                fields.put(0, text.as_str().into());
                if let Some(id) = reply_to {
                    fields.put(1, Value::Bytes(id.0.to_vec()));
                }
                if let Some(seconds) = ttl {
                    fields.put(2, (*seconds).into());
                }
                TEXT
            }
            Self::Timer(ttl) => {
                if let Some(seconds) = ttl {
                    fields.put(0, (*seconds).into());
                }
                TIMER
            }
            Self::Reaction { message, emoji } => {
                fields.put(0, Value::Bytes(message.0.to_vec()));
                if let Some(emoji) = emoji {
                    fields.put(1, emoji.as_str().into());
                }
                REACTION
            }
            Self::Edit { message, text } => {
                fields.put(0, Value::Bytes(message.0.to_vec()));
                fields.put(1, text.as_str().into());
                EDIT
            }
            Self::Unsend { message, place } => {
                fields.put(0, Value::Bytes(message.0.to_vec()));
                if let Some(place) = place {
                    fields.put(1, place.to_value());
                }
                UNSEND
            }
            Self::Receipt { kind, messages } => {
                fields.put(0, kind.code().into());
                fields.put(1, Value::Array(messages.iter().map(|id| Value::Bytes(id.0.to_vec())).collect()));
                RECEIPT
            }
            Self::Hello { profile_name, ticket, proof } => {
                fields.put(0, profile_name.as_str().into());
                fields.put(1, fields::nested(ticket));
                if let Some(proof) = proof {
                    fields.put(2, Value::Bytes(proof.to_vec()));
                }
                HELLO
            }
            Self::Profile(name) => {
                fields.put(0, name.as_str().into());
                PROFILE
            }
            Self::TokenRenewal(ticket) => {
                fields.put(0, fields::nested(ticket));
                TOKEN_RENEWAL
            }
            Self::ResendRequest { received, missing, sent } => {
                fields.put(0, (*received).into());
                fields.put(1, Value::Array(missing.iter().map(|range| range.to_value()).collect()));
                fields.put(2, (*sent).into());
                RESEND_REQUEST
            }
            Self::KeyPackages { packages, only } => {
                let packages = packages.iter().map(|package| Value::Bytes(package.to_vec()));
                fields.put(0, Value::Array(packages.collect()));
                if *only {
                    fields.put(1, true.into());
                }
                GROUP_KEY_PACKAGES
            }
            Self::GroupInvite { welcome, head, relay } => {
                fields.put(0, fields::nested(welcome));
                fields.put(1, Value::Bytes(head.0.to_vec()));
                if let Some(relay) = relay {
                    fields.put(2, fields::nested(relay));
                }
                GROUP_INVITE
            }
            Self::GuestWanted { ask, relay, registration_token } => {
                fields.put(0, Value::Bytes(ask.0.to_vec()));
                fields.put(1, fields::nested(relay));
                if let Some(token) = registration_token {
                    fields.put(2, token.as_str().into());
                }
                GUEST_WANTED
            }
            Self::GuestPlace { ask, answer } => {
                fields.put(0, Value::Bytes(ask.0.to_vec()));
                match answer {
                    GuestAnswer::Package(package) => fields.put(1, Value::Bytes(package.to_vec())),
                    GuestAnswer::Refused(refusal) => fields.put(2, refusal.code().into()),
                }
                GUEST_PLACE
            }
            Self::GroupRejoin { group, package } => {
                fields.put(0, Value::Bytes(group.0.to_vec()));
                fields.put(1, Value::Bytes(package.to_vec()));
                GROUP_REJOIN
            }
            Self::Presence(presence) => {
                fields.put(0, presence.code().into());
                PRESENCE
            }
            Self::Ping => PING,
            Self::Pong(id) => {
                fields.put(0, Value::Bytes(id.0.to_vec()));
                PONG
            }
            Self::Unknown(UnknownBody { kind, payload }) => return (*kind, payload.clone()),
        };
        (kind, fields.into_value())
    }

    /// The body, and the fields of it that this version does not know.
    fn decode(kind: u64, payload: Value) -> Option<(Self, Fields)> {
        if !KINDS.contains(&kind) {
            return Some((Self::Unknown(UnknownBody { kind, payload }), Fields::default()));
        }
        let mut fields = Fields::from_value(payload.clone())?;
        let body = match kind {
            TEXT => Self::Text {
                text: fields.take(0)?.into_text().ok()?,
                reply_to: fields.take_optional(1, |value| fields::array(value).map(MessageId))?,
                ttl: fields.take_optional(2, seconds)?,
            },
            TIMER => Self::Timer(fields.take_optional(0, seconds)?),
            REACTION => Self::Reaction {
                message: MessageId(fields::array(fields.take(0)?)?),
                emoji: fields.take_optional(1, |value| value.into_text().ok())?,
            },
            EDIT => Self::Edit {
                message: MessageId(fields::array(fields.take(0)?)?),
                text: fields.take(1)?.into_text().ok()?,
            },
            UNSEND => Self::Unsend {
                message: MessageId(fields::array(fields.take(0)?)?),
                place: fields.take_optional(1, WithdrawnPlace::from_value)?,
            },
            RECEIPT => match ReceiptKind::from_code(fields::integer(fields.take(0)?)?) {
                Some(kind) => Self::Receipt { kind, messages: messages(fields.take(1)?)? },
                None => return Some((Self::Unknown(UnknownBody { kind, payload }), Fields::default())),
            },
            HELLO => Self::Hello {
                profile_name: fields.take(0)?.into_text().ok()?,
                ticket: fields.take(1)?.deserialized().ok()?,
                proof: fields.take_optional(2, fields::array)?,
            },
            PROFILE => Self::Profile(fields.take(0)?.into_text().ok()?),
            RESEND_REQUEST => Self::ResendRequest {
                received: fields::integer(fields.take(0)?)?,
                missing: ranges(fields.take(1)?)?,
                sent: fields::integer(fields.take(2)?)?,
            },
            GROUP_KEY_PACKAGES => Self::KeyPackages {
                packages: byte_strings(fields.take(0)?)?,
                only: fields.take_optional(1, |value| value.into_bool().ok())?.unwrap_or(false),
            },
            GROUP_INVITE => Self::GroupInvite {
                welcome: fields.take(0)?.deserialized().ok()?,
                head: Head(fields::array(fields.take(1)?)?),
                relay: fields.take_optional(2, |value| value.deserialized().ok())?,
            },
            GUEST_WANTED => Self::GuestWanted {
                ask: AskId(fields::array(fields.take(0)?)?),
                relay: fields.take(1)?.deserialized().ok()?,
                registration_token: fields.take_optional(2, |value| value.into_text().ok())?,
            },
            GUEST_PLACE => {
                let ask = AskId(fields::array(fields.take(0)?)?);
                let package = fields.take_optional(1, |value| value.into_bytes().ok())?;
                let answer = match package {
                    Some(package) => GuestAnswer::Package(ByteBuf::from(package)),
                    None => match GuestRefusal::from_code(fields::integer(fields.take(2)?)?) {
                        Some(refusal) => GuestAnswer::Refused(refusal),
                        None => {
                            return Some((Self::Unknown(UnknownBody { kind, payload }), Fields::default()));
                        }
                    },
                };
                Self::GuestPlace { ask, answer }
            }
            GROUP_REJOIN => Self::GroupRejoin {
                group: GroupId(fields::array(fields.take(0)?)?),
                package: ByteBuf::from(fields.take(1)?.into_bytes().ok()?),
            },
            PRESENCE => match Presence::from_code(fields::integer(fields.take(0)?)?) {
                Some(presence) => Self::Presence(presence),
                None => return Some((Self::Unknown(UnknownBody { kind, payload }), Fields::default())),
            },
            PING => Self::Ping,
            PONG => Self::Pong(MessageId(fields::array(fields.take(0)?)?)),
            _ => Self::TokenRenewal(fields.take(0)?.deserialized().ok()?),
        };
        Some((body, fields))
    }
}

fn seconds(value: Value) -> Option<u32> {
    u32::try_from(fields::integer(value)?).ok()
}

fn messages(value: Value) -> Option<Vec<MessageId>> {
    value.into_array().ok()?.into_iter().map(|id| fields::array(id).map(MessageId)).collect()
}

fn byte_strings(value: Value) -> Option<Vec<ByteBuf>> {
    value.into_array().ok()?.into_iter().map(|bytes| bytes.into_bytes().ok().map(ByteBuf::from)).collect()
}

fn ranges(value: Value) -> Option<Vec<CounterRange>> {
    value.into_array().ok()?.into_iter().map(CounterRange::from_value).collect()
}

/// Whether this can stand under a message as a reaction to it.
fn is_reaction(emoji: &str) -> bool {
    let visible = |c: char| !c.is_whitespace() && !c.is_control();
    !emoji.is_empty() && emoji.len() <= REACTION_BYTES && emoji.chars().all(visible)
}

impl WithdrawnPlace {
    fn to_value(self) -> Value {
        let ChatPlace { counter, previous } = self.place;
        let hashes = [previous, self.hash].map(|hash| Value::Bytes(hash.to_vec()));
        Value::Array([counter.into()].into_iter().chain(hashes).collect())
    }

    fn from_value(value: Value) -> Option<Self> {
        let [counter, previous, hash] = value.into_array().ok()?.try_into().ok()?;
        let place = ChatPlace { counter: fields::integer(counter)?, previous: fields::array(previous)? };
        Some(Self { place, hash: fields::array(hash)? })
    }
}

impl CounterRange {
    fn to_value(self) -> Value {
        Value::Array(vec![self.first.into(), self.last.into()])
    }

    fn from_value(value: Value) -> Option<Self> {
        let [first, last] = value.into_array().ok()?.try_into().ok()?;
        let range = Self { first: fields::integer(first)?, last: fields::integer(last)? };
        (range.first <= range.last).then_some(range)
    }

    /// Whether a message with this counter is among them.
    pub fn contains(&self, counter: u64) -> bool {
        (self.first..=self.last).contains(&counter)
    }
}

impl GuestRefusal {
    fn code(self) -> u64 {
        match self {
            Self::NoRegistration => 1,
            Self::NoRoom => 2,
            Self::Other => 3,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        [Self::NoRegistration, Self::NoRoom, Self::Other].into_iter().find(|refusal| refusal.code() == code)
    }
}

impl ReceiptKind {
    fn code(self) -> u64 {
        match self {
            Self::Delivered => 1,
            Self::Read => 2,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        [Self::Delivered, Self::Read].into_iter().find(|kind| kind.code() == code)
    }
}

impl Presence {
    fn code(self) -> u64 {
        match self {
            Self::Arrived => 1,
            Self::Here => 2,
            Self::Away => 3,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        [Self::Arrived, Self::Here, Self::Away].into_iter().find(|presence| presence.code() == code)
    }
}

#[cfg(test)]
mod tests;
