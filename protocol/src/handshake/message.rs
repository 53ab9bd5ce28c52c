//! What travels in front of the first messages.

use hermes_wire::{byte_id, codec, prekey::PrekeyId};
use serde_bytes::{ByteArray, ByteBuf};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    curve::CurvePublic,
    envelope::EnvelopeError,
    ffdh::ELEMENT_BYTES,
    kdf::{self, Label},
    kem::mlkem1024::CIPHERTEXT_BYTES,
    limits::HANDSHAKE_BYTES,
    record::{Reader, RecordError, Writer},
};

byte_id!(
    /// Hash of (signed prekey id, KEM prekey id, initiator's ephemeral key): names one initiation for ever.
    ReplayId, 32
);

/// The public part of a handshake, as received: lengths are right, nothing else is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct HandshakeMessage {
    pub(super) opening: Opening,
    /// ChaCha20-Poly1305 ciphertext and tag.
    pub(super) sealed_identity: ByteBuf,
}

/// Everything but the sealed identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub(super) struct Opening {
    pub prekeys: PrekeyIds,
    /// EK: X25519.
    pub ephemeral: ByteArray<32>,
    /// EF: ffdhe2048. Checked as a group element late, because that is dear.
    pub finite_field: Box<ByteArray<ELEMENT_BYTES>>,
    /// ct: ML-KEM-1024.
    pub ciphertext: Box<ByteArray<CIPHERTEXT_BYTES>>,
}

/// Which prekeys of the recipient a handshake uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct PrekeyIds {
    /// X25519 signed prekey.
    pub signed: PrekeyId,
    /// X25519 one-time prekey; `None` is the flag that there was none.
    pub one_time: Option<PrekeyId>,
    /// ML-KEM-1024 key.
    pub kem: PrekeyId,
    /// ffdhe2048 signed prekey.
    pub ff: PrekeyId,
}

impl HandshakeMessage {
    /// The prekeys that the responder has to look up.
    pub fn prekeys(&self) -> PrekeyIds {
        self.opening.prekeys
    }

    /// The same for every repetition of one initiation, different for any other.
    pub fn replay_id(&self) -> ReplayId {
        let PrekeyIds { signed, kem, .. } = self.opening.prekeys;
        let ephemeral: &[u8; 32] = &self.opening.ephemeral;
        ReplayId(kdf::hash(Label::REPLAY, &[&signed.0.to_be_bytes(), &kem.0.to_be_bytes(), ephemeral]))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        codec::decode(bytes, HANDSHAKE_BYTES).map_err(|_| EnvelopeError::Malformed)
    }
}

impl Opening {
    pub fn ephemeral(&self) -> CurvePublic {
        CurvePublic(*self.ephemeral)
    }

    /// What the sealed identity is bound to: the rest of the message.
    pub fn hash(&self) -> [u8; 32] {
        kdf::hash(Label::HANDSHAKE_OPENING, &[&codec::encode(self)])
    }
}

/// The handshake part that an initiator repeats on every message until the first reply has been opened. Public: every
/// byte of it has been on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingHandshake(HandshakeMessage);

impl PendingHandshake {
    pub(super) fn new(message: HandshakeMessage) -> Self {
        Self(message)
    }

    pub(crate) fn message(&self) -> &HandshakeMessage {
        &self.0
    }

    /// What names this initiation.
    pub fn replay_id(&self) -> ReplayId {
        self.0.replay_id()
    }

    /// For the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let encoded = self.0.encode();
        Writer::new(encoded.len()).bytes(&encoded).finish().to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let encoded = Reader::new(bytes)?.rest();
        codec::decode(encoded, HANDSHAKE_BYTES).map(Self).map_err(|_| RecordError::Malformed)
    }
}
