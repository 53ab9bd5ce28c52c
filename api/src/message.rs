//! Messages: sending, the inbox, the log.

use serde::{Deserialize, Serialize};

use crate::{Person, Problem, Quote, Reaction, UnixMillis, V1};

/// Sends a text to contacts and groups, each with a result of its own.
///
/// The whole request is refused ([`crate::Failure`]) only when nothing was stored for anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// Names of contacts and groups.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 64))]
    pub to: Vec<String>,
    /// The text, at most [`crate::limits::TEXT_BYTES`] of UTF-8.
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub text: String,
    /// Seconds after which it is deleted at both ends; otherwise as it is settled for the chat.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
    /// The idempotency key, which may as well stand in the header `Idempotency-Key`: a repeat with the same key and
    /// content stores nothing and returns the same messages. Without one, every request is another message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The message that it answers, by its reference or id; the recipient is the chat that it stands in.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// What to wait for before replying.
    #[serde(default)]
    pub wait: Wait,
    /// How long to wait, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// The state to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// Stored here is enough.
    #[default]
    None,
    /// The relay has it on its disk.
    Relayed,
    /// The recipient's daemon has it on its disk; for a group, the daemons of all its members who are contacts.
    Delivered,
    /// The recipient has seen it, and lets it be known; for a group, all its members who are contacts.
    Read,
}

impl Wait {
    /// The state as it stands in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// What to wait for, of one or more messages. Stands in the query of the URL, and counts more than the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// The state.
    pub wait: Option<Wait>,
    /// How long to wait, in milliseconds; 30 seconds when nothing is said.
    pub timeout_ms: Option<u64>,
}

/// What became of a send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SentMessages {
    /// The document's version.
    pub v: V1,
    /// One for each recipient, in the order asked.
    pub results: Vec<SendResult>,
    /// Whether the wait ended before every message reached the state that was waited for.
    pub timed_out: bool,
}

/// What became of a send to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SendResult {
    /// The name as it was given.
    pub to: String,
    /// The message's id, 32 hex digits; nothing when it was not stored.
    pub id: Option<String>,
    /// The short local reference, like `bob#43`; nothing when it was not stored.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// How far it has come.
    pub state: MessageState,
    /// Why it failed.
    pub error: Option<Problem>,
    /// How far it has come with each member, when it went to a group; otherwise empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
}

/// The states of a sent message, in the order they are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MessageState {
    /// On this machine's disk.
    Queued,
    /// On the relay's disk.
    Relayed,
    /// On the recipient's disk; for a group, on those of all its members who are contacts.
    Delivered,
    /// Seen by the recipient, who lets it be known; in a group, by all its members who are contacts.
    Read,
    /// It will not arrive; the error says why.
    Failed,
}

/// Which messages of the inbox to list: unread ones, in order of arrival. Stands in the query of the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct InboxQuery {
    /// Only from this contact, or in this group.
    pub from: Option<String>,
    /// Only those that arrived at this time or later, as [`UnixMillis`].
    pub since_ms: Option<u64>,
    /// At most this many, and at most [`crate::limits::PAGE_MESSAGES`].
    pub limit: Option<u32>,
    /// Only those that arrived after the message of this id (32 hex digits), read or not.
    pub after: Option<String>,
}

/// Which messages of a chat's log to list: the newest ones, unless it is said behind which. Stands in the query of the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// At most this many, and at most [`crate::limits::PAGE_MESSAGES`].
    pub limit: Option<u32>,
    /// Only those before the message of this id (32 hex digits).
    pub before: Option<String>,
    /// Those right behind the message of this id; not together with `before`.
    pub after: Option<String>,
}

/// Messages, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessagePage {
    /// The document's version.
    pub v: V1,
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether the limit left some out.
    pub more: bool,
}

/// One message as its reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// The short local reference, like `bob#44`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The message's id, the same on both sides: 32 hex digits.
    pub id: String,
    /// The name of the chat.
    pub chat: String,
    /// Which way it went.
    pub direction: Direction,
    /// Who wrote it: the contact's name, or the account's own; in a group, the name of the member.
    pub from: String,
    /// The member of the group who wrote it; nothing for an outgoing message, and outside of groups.
    #[serde(default)]
    pub author: Option<Person>,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
    /// The message that it answers.
    #[serde(default)]
    pub reply_to: Option<Quote>,
    /// When its author edited it last, by the author's clock; nothing when it says what it said at first.
    #[serde(default)]
    pub edited_at: Option<UnixMillis>,
    /// What others think of it, the most frequent first; at most ten.
    #[serde(default)]
    pub reactions: Vec<Reaction>,
    /// The sender's clock when it was written.
    pub sent_at: UnixMillis,
    /// When it arrived here; nothing for an outgoing one.
    pub received_at: Option<UnixMillis>,
    /// How far an outgoing message has come; nothing for an incoming one.
    pub state: Option<MessageState>,
    /// Why an outgoing message failed.
    pub error: Option<Problem>,
    /// How many members of its group have an outgoing message; nothing for all others.
    #[serde(default)]
    pub confirmed: Option<Confirmed>,
    /// Seconds after which it is deleted: an outgoing one from when it has left, an incoming one from when it was read.
    #[serde(default)]
    pub ttl_seconds: Option<u32>,
    /// Whether its chat is muted: nobody wants to be disturbed for it.
    #[serde(default)]
    pub muted: bool,
    /// Whether an incoming message was read; an outgoing one is.
    pub read: bool,
    /// Whether the session began when its responder had no one-time prekey left, which weakens the forward secrecy of
    /// its first messages, those of either side.
    pub no_one_time_prekey: bool,
    /// Messages of the same sender right before this one that have not arrived.
    #[serde(default)]
    pub missing_before: u64,
    /// Those that were refused because the sender was blocked.
    #[serde(default)]
    pub refused_before: u64,
}

/// How many members of a group have a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Confirmed {
    /// Members who have confirmed it.
    pub by: u32,
    /// Members who confirm at all: those who are contacts, in a group of at most 100.
    pub of: u32,
}

/// One message in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageDetails {
    /// The document's version.
    pub v: V1,
    /// The message as a list shows it.
    pub message: Message,
    /// How far an outgoing message to a group has come with each of its members; empty for all others.
    pub recipients: Vec<Recipient>,
}

/// A member of a group that a message went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recipient {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// How far it has come. Members who are no contacts confirm nothing, so theirs stays relayed.
    pub state: MessageState,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the contact.
    In,
    /// To the contact.
    Out,
    /// Neither: a note of the own daemon.
    Note,
}

/// What a message says: `"kind":"text","text":"…"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// A text.
    Text {
        /// As the sender wrote it: to be cleaned before a terminal sees it.
        text: String,
    },
    /// Something that only a newer version can show. It is kept.
    Unsupported,
    /// It was to be deleted after a time, and was.
    Expired,
    /// Its author has withdrawn it.
    Withdrawn,
    /// A reaction. It is shown with the message that it is about; by itself only when it was asked for, or failed.
    Reaction {
        /// That message.
        to: Quote,
        /// The emoji; nothing when a reaction is taken back.
        emoji: Option<String>,
    },
    /// An edit, likewise.
    Edit {
        /// The message that it is about.
        to: Quote,
    },
    /// That a message is withdrawn, likewise.
    Unsend {
        /// The message that it is about.
        to: Quote,
    },
    /// Texts of this chat are deleted after a time from here on, or stay.
    TimerSet {
        /// The time in seconds; nothing when they stay.
        ttl: Option<u32>,
    },
    /// A note: from here on another session with the contact is in use.
    SessionRenewed {
        /// Why, as text for people.
        reason: String,
    },
    /// A note: from here on the group is another one.
    GroupChanged(Box<GroupNote>),
}

/// Who changed what of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupNote {
    /// Whose change it was.
    pub by: Person,
    /// Who came.
    pub added: Vec<Person>,
    /// Who was sent away.
    pub removed: Vec<Person>,
    /// Who wanted to go.
    pub left: Vec<Person>,
    /// The new name.
    pub renamed: Option<String>,
    /// Members who became admins.
    pub promoted: Vec<Person>,
    /// Members who are no admins any more.
    pub demoted: Vec<Person>,
    /// How many more were among them, for whose names there was no room.
    #[serde(default)]
    pub others: u32,
}

/// Marks messages read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReadMessages {
    /// References like `bob#44`, at most [`crate::limits::READ_REFS`].
    pub refs: Vec<String>,
}

/// The messages are marked, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadReceipt {
    /// The document's version.
    pub v: V1,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_reads_as_documented() {
        let sent = SentMessages {
            v: V1,
            results: vec![SendResult {
                to: "bob".into(),
                id: Some("9f".repeat(16)),
                reference: Some("bob#43".into()),
                state: MessageState::Queued,
                error: None,
                recipients: Vec::new(),
            }],
            timed_out: false,
        };
        let id = "9f".repeat(16);
        assert_eq!(
            serde_json::to_string(&sent).unwrap(),
            format!(
                r#"{{"v":1,"results":[{{"to":"bob","id":"{id}","ref":"bob#43","state":"queued","error":null}}],"timed_out":false}}"#
            )
        );
    }

    #[test]
    fn a_message_survives_json_with_its_body_in_line() {
        let message = Message {
            reference: "bob#1".into(),
            id: "00".repeat(16),
            chat: "bob".into(),
            direction: Direction::In,
            from: "bob".into(),
            author: None,
            body: Body::Text { text: "hi\u{202e}".into() },
            reply_to: None,
            edited_at: None,
            reactions: Vec::new(),
            sent_at: UnixMillis(1),
            received_at: Some(UnixMillis(2)),
            state: None,
            error: None,
            confirmed: None,
            ttl_seconds: None,
            muted: false,
            read: false,
            no_one_time_prekey: false,
            missing_before: 0,
            refused_before: 0,
        };
        let json = serde_json::to_value(&message).unwrap();
        assert_eq!((json["kind"].as_str(), json["text"].as_str()), (Some("text"), Some("hi\u{202e}")));
        assert_eq!(serde_json::from_value::<Message>(json).unwrap(), message);
    }
}
