//! Events of an account, as they happen ([`crate::routes::EVENTS`]): server-sent events whose data is one
//! [`EventFrame`] each. Not durable: who missed some reads the inbox, and [`Event::Lagged`] says that it happened.

use serde::{Deserialize, Serialize};

use crate::{Connection, Contact, Group, GroupChange, Message, MessageState, Problem, StoreStatus, V1};

/// One event with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFrame {
    /// The document's version.
    pub v: V1,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen to an account: `"event":"received","message":{…}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The listener was too slow, and events were left out.
    Lagged,
    /// A kind that this program is too old to know.
    #[serde(other)]
    Other,
}

/// What can be said about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_newer_daemon_is_passed_over_not_an_error() {
        let frame: EventFrame = serde_json::from_str(r#"{"v":1,"event":"typing","who":"bob"}"#).unwrap();
        assert_eq!(frame.event, Event::Other);
        let lagged = serde_json::to_string(&EventFrame { v: V1, event: Event::Lagged }).unwrap();
        assert_eq!(lagged, r#"{"v":1,"event":"lagged"}"#);
    }
}
