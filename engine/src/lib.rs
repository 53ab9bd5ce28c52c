//! The messaging client as a pure state machine: contacts, sessions, outbox, inbox, receipts.
//!
//! [`Engine::handle`] takes an input and returns a [`Step`]; nothing in it has happened until [`Step::commit`] has
//! written it, and only a commit hands out the [`Effect`]s. Sending, acknowledging, answering and notifying therefore
//! follow the disk by construction.
//!
//! Deliberately absent: I/O, async, clocks, random sources, and any state that is not in the store. The engine holds
//! the account's secrets and a handful of counters; all else is read through a [`View`] and written through a
//! [`ChangeSet`].

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod account;
pub mod backup;
mod block;
mod changes;
mod chat;
mod claim;
mod consumer;
mod contact;
mod content;
mod effect;
mod ephemeral;
mod event_log;
mod expiry;
mod gap;
mod group;
mod guest;
mod id;
mod identity_change;
mod input;
pub mod limits;
mod mark;
mod once;
mod outbox;
mod pairing;
mod prekeys;
mod presence;
mod profile;
pub mod query;
mod read;
mod receive;
mod reference;
mod removal;
mod renewal;
mod request;
mod resend;
mod retention;
mod row;
mod rows;
mod send;
mod session;
mod settings;
mod step;
mod store;
mod succession;
mod trust;
mod turn;
mod verify;

pub use account::NewAccount;
/// What commands and views name, so that a shell needs no other crate for it; and how it seals what it keeps.
pub use hermes_protocol::{
    aead,
    content::{GuestRefusal, MessageId},
    identity::Fingerprint,
    invite::{Invite, InviteError},
    safety_number::{Compared, SafetyCode, SafetyNumber, SafetyNumberError},
};

pub use changes::ChangeSet;
pub use effect::{
    ChangeOutcome, CommandError, Effect, Event, GroupEvent, MarkKind, PairingError, Reply, SendError,
    SendResult, SentMessage,
};
pub use group::{GroupStanding, LostReason, Post};
pub use id::{ChatId, GuestId};
pub use input::{
    ChatChange, Command, CommandId, ConsumerChange, ContactChange, GroupChange, GuestEvent, History,
    Idempotency, Input, LinkEvent, MessageChange, OutboxKey, PresenceDue, RequestDecision, Send,
};
pub use presence::{Audience, Ephemeral, Privacy, ReadReceipts};
pub use reference::{Reference, ReferenceError};
pub use row::{
    Action, Author, FailureReason, Finding, FindingKind, GroupNote, MessageState, RenewalReason, Sighting,
    Text, UnreadableCause,
};
pub use rows::{ReadError, StoreResult};
pub use step::{Engine, Step};
pub use store::{Order, Range, Sifted, Store, Table, Value, View};
pub use trust::{ChangePolicy, Trust, VerifiedBy};
pub use verify::NumberOf;
