//! Frames of a mailbox connection (ALPN [`ALPN`]): the owner of a mailbox, proven by its TLS client certificate.
//!
//! One bidirectional control stream, opened by the client, and one unidirectional stream of [`Deliver`] frames,
//! opened by the relay after it has answered [`Register`] with [`Registered`].

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    blob::{BlobId, PutBlob},
    claim::{Claim, MoveClaim, RunId, SignedClaim},
    id::{ContactId, DropKey, EnvelopeId, InstanceId, Sequence},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
    refusal::Refusal,
    time::Timestamp,
};

/// The connection's application protocol.
pub const ALPN: &[u8] = b"hermes-mailbox/1";

/// What the client says on the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRelay {
    /// The first frame, and only the first.
    Register(Register),
    /// Adds prekeys. Answered with [`ToClient::PrekeysStored`].
    PutPrekeys(Vec<PrekeyEntry>),
    /// Prekeys with an id below this are not to be given out any more: their secrets are lost. Not answered.
    DropPrekeys(PrekeyId),
    /// Refuses a contact's tokens until the given time (their expiry). Answered with [`ToClient::Revoked`].
    Revoke(ContactId, Timestamp),
    /// Everything up to this sequence is safe with the client and may be deleted.
    Ack(Sequence),
    /// Allows this many more envelopes and bytes of body on the deliver stream.
    Credit(Credit),
    /// Moves the mailbox's store claim on. Answered with [`ToClient::Claimed`] or [`ToClient::ClaimRefused`].
    Claim(MoveClaim),
    /// Answered with [`ToClient::Pong`].
    Ping,
    /// Adds to a blob. Answered with [`ToClient::BlobStored`] or [`ToClient::BlobRefused`].
    PutBlob(PutBlob),
}

/// What the relay says on the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToClient {
    /// Answer to [`ToRelay::Register`].
    Registered(Registered),
    /// The prekeys up to this id are durable.
    PrekeysStored(PrekeyId),
    /// The contact is refused, durably.
    Revoked(ContactId),
    /// The relay holds this claim, durably.
    Claimed(Claim),
    /// The relay holds another claim than was expected; this one.
    ClaimRefused(Option<SignedClaim>),
    /// Answer to [`ToRelay::Ping`].
    Pong,
    /// What the relay holds after a fetch used up a one-time key: the client may want to refill.
    PrekeyStock(Vec<PrekeyStock>),
    /// The relay ends the connection; come back after this many milliseconds.
    GoAway(u32),
    /// The last request was refused. After [`Refusal::BadFrame`], [`Refusal::Superseded`] and a refused registration
    /// the connection is closed.
    Refused(Refusal),
    /// So many bytes of the blob are durable, from its beginning. When that is all, it can be fetched.
    BlobStored(BlobId, u32),
    /// Nothing more of the blob is taken.
    BlobRefused(BlobId, Refusal),
}

/// Opens a mailbox connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Register {
    /// [`crate::VERSION`].
    pub version: u16,
    /// Which installation this is.
    pub instance: InstanceId,
    /// Which run of its daemon.
    pub run: RunId,
    /// Needed once, for a mailbox the relay does not know, unless its registration is open.
    pub registration_token: Option<String>,
    /// The key that signs the mailbox's drop tokens.
    pub drop_key: DropKey,
}

/// The relay knows the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Registered {
    /// The relay's clock.
    pub relay_time: Timestamp,
    /// The lowest prekey id the relay takes.
    pub next_prekey_id: PrekeyId,
    /// Prekeys on hand.
    pub stock: Vec<PrekeyStock>,
    /// Largest envelope body in bytes.
    pub max_envelope: u32,
    /// Highest sequence assigned so far.
    pub head: Sequence,
    /// The store claim that the relay holds.
    pub claim: Option<SignedClaim>,
    /// Whether this registration took the place of a connection that was alive and belonged to another run: a second
    /// copy of the store may be at work.
    pub replaced: bool,
}

/// How many prekeys of a kind the relay holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct PrekeyStock {
    /// The kind.
    pub kind: PrekeyKind,
    /// How many.
    pub count: u32,
}

/// Flow control of the deliver stream, in addition to QUIC's: it bounds what a client must hold before its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Credit {
    /// Envelopes.
    pub envelopes: u32,
    /// Bytes of body.
    pub bytes: u32,
}

/// One frame of the deliver stream. Sequences rise; a redelivery after a reconnect starts after the last ack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deliver {
    /// A stored envelope.
    Envelope(Delivered),
    /// These sequences expired or were deleted (first and last, inclusive).
    Gone(Sequence, Sequence),
    /// An envelope that the relay does not keep. It uses up credit like any other.
    Ephemeral(Passing),
}

/// An envelope that is handed on and kept nowhere: it has no place in the mailbox, and is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Passing {
    /// Whose token it came under.
    pub contact: ContactId,
    /// The end-to-end envelope.
    pub body: ByteBuf,
}

/// A stored envelope on its way to its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Delivered {
    /// Position in the mailbox.
    pub sequence: Sequence,
    /// The depositor's choice.
    pub envelope: EnvelopeId,
    /// Whose token it was deposited under.
    pub contact: ContactId,
    /// When the relay stored it.
    pub stored: Timestamp,
    /// The end-to-end envelope.
    pub body: ByteBuf,
}
