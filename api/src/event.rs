//! Events of an account ([`crate::routes::EVENTS`]): server-sent events whose data is one [`EventFrame`] each.
//!
//! All but [`Event::Connection`] and [`Event::Presence`] stand in the daemon's log and are numbered. A program that listens under a name, as a
//! consumer, goes on behind the last event that it has acknowledged; one that sends the header `Last-Event-ID`, behind
//! that; any other hears what happens from then on. The log is bounded, and [`Event::Lagged`] says what it has lost; never
//! on a consumer that a message arrived.

use serde::{Deserialize, Serialize};

use crate::{
    Connection, Contact, Group, GroupChange, Message, MessageState, Problem, Request, StoreStatus,
    UnixMillis, V1,
};

/// Which events to hear. Stands in the query of the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Goes on behind the last event that this consumer has acknowledged. A new name begins with what happens next. One
    /// program at a time listens under a name.
    pub consumer: Option<String>,
    /// Only these kinds ([`Event::KINDS`]), with commas between.
    pub kind: Option<String>,
    /// Only what is about this contact.
    pub contact: Option<String>,
    /// Only what is about this group.
    pub group: Option<String>,
}

/// Says that a consumer has done with every event up to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AckEvents {
    /// The consumer's name.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")
    )]
    pub consumer: String,
    /// The event's number. A lower one than before changes nothing.
    pub seq: u64,
}

/// Says that a consumer will not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ForgetConsumer {
    /// Its name.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._:@-]+$")
    )]
    pub consumer: String,
}

/// A consumer after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsumerState {
    /// The document's version.
    pub v: V1,
    /// Its name.
    pub consumer: String,
    /// It has done with every event up to this one.
    pub acknowledged: u64,
}

/// The consumers of an account's events ([`crate::routes::CONSUMERS`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Consumers {
    /// The document's version.
    pub v: V1,
    /// The number of the last event there is.
    pub newest: u64,
    /// The consumers, by name.
    pub consumers: Vec<Consumer>,
}

/// A program that listens under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// It has done with every event up to this one.
    pub acknowledged: u64,
    /// When it first came.
    pub since: UnixMillis,
    /// Whether it listens at this moment.
    pub listening: bool,
}

/// One event with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventFrame {
    /// The document's version.
    pub v: V1,
    /// Its number in the log, which is its SSE id too; nothing for what is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMillis>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen to an account: `"event":"received","message":{…}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A message arrived.
    Received {
        /// The message.
        message: Box<Message>,
    },
    /// A message was to be deleted after a time, and was.
    Expired {
        /// Its short local reference.
        #[serde(rename = "ref")]
        reference: String,
    },
    /// Something was said about a message: a reaction, an edit, or that it is withdrawn.
    MessageChanged {
        /// The message as it is now.
        message: Box<Message>,
        /// What.
        change: MarkKind,
    },
    /// A sent message came further.
    State {
        /// The message's id, 32 hex digits.
        id: String,
        /// Its short local reference.
        #[serde(rename = "ref")]
        reference: String,
        /// How far it has come.
        state: MessageState,
        /// Why it failed.
        error: Option<Problem>,
    },
    /// A contact is new, or its pairing has finished.
    Contact {
        /// The contact.
        contact: Contact,
    },
    /// Another identity key is used in a contact's place.
    IdentityChanged {
        /// The contact as it stands: with trust `changed` sending stopped until the user decides, otherwise the new
        /// key was taken because the contact's key policy says so.
        contact: Contact,
    },
    /// Somebody asks to be a contact.
    Request {
        /// Who.
        request: Request,
    },
    /// A pairing ended without a contact.
    PairingFailed {
        /// The provisional name it had.
        name: String,
        /// Why.
        error: Problem,
    },
    /// A contact has connected, or is not there any more.
    Presence {
        /// The contact's name.
        contact: String,
        /// Whether it is there.
        online: bool,
    },
    /// The connection to the relay changed.
    Connection {
        /// How it stands.
        connection: Connection,
    },
    /// The session with a contact did not work any more and gave way to another.
    SessionRenewed {
        /// The contact's name.
        contact: String,
        /// Why, as text for people.
        reason: String,
    },
    /// The session with a contact does not work, and the keys for another could not be had.
    RenewalFailed {
        /// The contact's name.
        contact: String,
    },
    /// Something became of a group.
    Group {
        /// The group as it stands.
        group: Group,
        /// What.
        #[serde(flatten)]
        change: GroupChange,
    },
    /// The account's store was put back from an old copy, or another copy of it was seen.
    Store {
        /// How it stands.
        store: StoreStatus,
    },
    /// Events were dropped from the log before this listener had them. For a consumer, none of them told of a message
    /// that arrived and is still there.
    Lagged {
        /// Number of the first.
        #[serde(default)]
        first: u64,
        /// Number of the last.
        #[serde(default)]
        last: u64,
    },
    /// A kind that this program is too old to know.
    #[serde(other)]
    Other,
}

/// What can be said about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// A reaction is new, another one, or gone.
    Reaction,
    /// It says something else.
    Edit,
    /// Its author has withdrawn it.
    Withdrawn,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

impl Event {
    /// Every kind, as it stands in JSON and in a filter.
    pub const KINDS: [&str; 15] = [
        "received",
        "message-changed",
        "expired",
        "state",
        "contact",
        "identity-changed",
        "request",
        "pairing-failed",
        "connection",
        "presence",
        "session-renewed",
        "renewal-failed",
        "group",
        "store",
        "lagged",
    ];

    /// Its kind, as it stands in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::MessageChanged { .. } => "message-changed",
            Self::Expired { .. } => "expired",
            Self::State { .. } => "state",
            Self::Contact { .. } => "contact",
            Self::IdentityChanged { .. } => "identity-changed",
            Self::Request { .. } => "request",
            Self::PairingFailed { .. } => "pairing-failed",
            Self::Connection { .. } => "connection",
            Self::Presence { .. } => "presence",
            Self::SessionRenewed { .. } => "session-renewed",
            Self::RenewalFailed { .. } => "renewal-failed",
            Self::Group { .. } => "group",
            Self::Store { .. } => "store",
            Self::Lagged { .. } => "lagged",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_newer_daemon_is_passed_over_not_an_error() {
        let frame: EventFrame = serde_json::from_str(r#"{"v":1,"event":"typing","who":"bob"}"#).unwrap();
        assert_eq!(frame.event, Event::Other);
        let event = Event::Lagged { first: 3, last: 7 };
        assert_eq!(event.kind(), "lagged");
        let lagged = serde_json::to_string(&EventFrame { v: V1, seq: Some(7), at: None, event }).unwrap();
        assert_eq!(lagged, r#"{"v":1,"seq":7,"event":"lagged","first":3,"last":7}"#);
        let old: EventFrame = serde_json::from_str(r#"{"v":1,"event":"lagged"}"#).unwrap();
        assert_eq!(old.event, Event::Lagged { first: 0, last: 0 });
    }
}
