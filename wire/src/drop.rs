//! Frames of a drop connection (ALPN [`ALPN`]): anyone who holds a token, without a client certificate, so that
//! depositing does not identify the sender.
//!
//! One bidirectional stream per destination mailbox: [`Open`] once, answered with [`FromDrop::Opened`], then any number
//! of pipelined requests, answered in order. A refusal that may be retried closes the stream.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    id::{EnvelopeId, FetchId, MailboxId},
    prekey::SealedBundle,
    refusal::Refusal,
    token::SignedDropToken,
};

/// The connection's application protocol.
pub const ALPN: &[u8] = b"hermes-drop/1";

/// What the depositor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToDrop {
    /// The first frame of a stream, and only the first.
    Open(Open),
    /// Stores an envelope.
    Deposit(Deposit),
    /// Asks for a prekey bundle.
    FetchPrekeys(FetchId),
}

/// What the relay answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromDrop {
    /// The token is good.
    Opened,
    /// The envelope is durable.
    Receipt(EnvelopeId),
    /// The bundle for this fetch.
    Bundle(FetchId, SealedBundle),
    /// The open was refused; the stream is closed.
    OpenRefused(Refusal),
    /// This deposit was refused.
    DepositRefused(EnvelopeId, Refusal),
    /// This fetch was refused.
    FetchRefused(FetchId, Refusal),
}

/// Opens a stream to one mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Open {
    /// [`crate::VERSION`].
    pub version: u16,
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// The permission.
    pub token: SignedDropToken,
}

/// One envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Deposit {
    /// Chosen at random once, repeated with every retry.
    pub envelope: EnvelopeId,
    /// The end-to-end envelope.
    pub body: ByteBuf,
}
