//! Frames of a drop connection (ALPN [`ALPN`]): anyone who holds a token, without a client certificate, so that
//! depositing does not identify the sender.
//!
//! One bidirectional stream per destination. To a mailbox: [`Open`] once, answered with [`FromDrop::Opened`], then any
//! number of deposits and fetches. To a channel: [`OpenChannel`] once, answered likewise, then any number of creates,
//! posts and commits. Requests are pipelined and answered in order; a refusal that may be retried closes the stream, and
//! so does one of a post or commit that came in another epoch, because what follows it was made in the same one. A blob
//! has a stream of its own, whose only request is [`FetchBlob`].

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    blob::{BlobId, BlobPart, FetchBlob},
    channel::{Commit, Create, OpenChannel, Post, PostId},
    id::{EnvelopeId, FetchId, MailboxId, Sequence},
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
    /// Hands an envelope of at most [`crate::limits::EPHEMERAL_BYTES`] to the mailbox's owner if it is connected; otherwise
    /// it is gone. Answered with [`FromDrop::Receipt`] in either case, so that nobody learns from it who is there.
    Ephemeral(Deposit),
    /// Asks for a prekey bundle.
    FetchPrekeys(FetchId),
    /// The first frame of a stream to a channel, and only the first.
    OpenChannel(OpenChannel),
    /// Makes the channel.
    Create(Create),
    /// Posts a message to the channel.
    Post(Post),
    /// Ends the channel's epoch.
    Commit(Commit),
    /// The only frame of a stream for a blob.
    FetchBlob(FetchBlob),
}

/// What the relay answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromDrop {
    /// The token is good; or this is a stream to a channel, of which nothing is said yet.
    Opened,
    /// The envelope is durable; or, if it was ephemeral, done with.
    Receipt(EnvelopeId),
    /// The bundle for this fetch.
    Bundle(FetchId, SealedBundle),
    /// The open was refused; the stream is closed.
    OpenRefused(Refusal),
    /// This deposit was refused.
    DepositRefused(EnvelopeId, Refusal),
    /// This fetch was refused.
    FetchRefused(FetchId, Refusal),
    /// The channel is there, at epoch 0.
    Created(PostId),
    /// The post or commit has this place in the channel, and every member's copy is durable.
    Posted(PostId, Sequence),
    /// This create, post or commit was refused.
    PostRefused(PostId, Refusal),
    /// A piece of the blob.
    BlobPart(BlobPart),
    /// The blob was refused; the stream is closed.
    BlobRefused(BlobId, Refusal),
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
