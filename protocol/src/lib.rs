//! End-to-end cryptography of two parties: who they are, how a session starts, how each message gets its own key.
//!
//! The way of a first message: [`identity`] and [`prekey`] give the recipient's bundle, [`handshake`] turns it into a
//! [`ratchet`] session, the session seals [`content`] into an [`envelope`]. [`ticket`] and [`invite`] are how two
//! people find each other's mailbox at all.
//!
//! A step is a value: sealing and opening return the next session and leave the old one untouched, so that an error
//! changes nothing and the caller decides what becomes durable. Deliberately absent: I/O, clocks, random sources of
//! its own (every function that needs randomness is given it), and any idea of contacts or storage.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod aead;
pub mod blob;
mod body_keys;
pub mod content;
mod curve;
pub mod envelope;
pub mod ffdh;
pub mod group;
pub mod handshake;
pub mod identity;
pub mod invite;
mod kdf;
mod kem;
pub mod limits;
mod padding;
pub mod prekey;
pub mod ratchet;
pub mod record;
pub mod safety_number;
mod secret;
mod signing;
#[cfg(test)]
mod testing;
pub mod ticket;

pub use content::{
    AskId, Body, ChatPlace, Content, ContentError, CounterRange, GuestAnswer, GuestRefusal, MessageId, Newer,
    Presence, ReceiptKind, UnknownBody, WithdrawnPlace,
};
pub use envelope::{Envelope, EnvelopeError};
pub use handshake::{
    HandshakeError, HandshakeMessage, Initiated, Initiator, InitiatorParams, PendingHandshake, PrekeyIds,
    ReplayId, Responded, ResponderKeys, ResponderParams, TranscriptHash, initiate,
};
pub use identity::{Fingerprint, Identity, IdentityError, IdentityKeyPair};
pub use invite::{Invite, InviteError, InviteSecret};
pub use prekey::{Bundle, BundleError, BundleKey, PrekeySecret};
pub use ratchet::{
    EphemeralMessage, OpenEphemeralError, OpenError, Opened, RatchetMessage, RetiredSession,
    SealEphemeralError, SealError, Session, SessionId, SkippedChain, SkippedChanges, SkippedKey, SkippedKeys,
};
pub use record::RecordError;
pub use safety_number::{Compared, SafetyCode, SafetyNumber, SafetyNumberError};
pub use ticket::Ticket;
