//! How contents are written, and what is read as one.

use ciborium::Value;
use hermes_wire::{Timestamp, channel::Head, codec};
use serde_bytes::ByteBuf;

use super::{
    AskId, Body, ChatPlace, Content, ContentError, CounterRange, GuestAnswer, GuestRefusal, MessageId, Newer,
    Presence, ReceiptKind, UnknownBody, WithdrawnPlace,
    fields::{self, Fields},
};
use crate::{group::GroupId, limits::CONTENT_BYTES};

/// Keys of a content.
const ID: u64 = 0;
const SENT: u64 = 1;
const PLACE: u64 = 2;
pub(super) const KIND: u64 = 3;
pub(super) const PAYLOAD: u64 = 4;

/// Kinds of body.
const TEXT: u64 = 1;
pub(super) const RECEIPT: u64 = 2;
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
