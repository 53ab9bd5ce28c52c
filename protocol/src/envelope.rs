//! The end-to-end envelope: what a relay stores without being able to read it.
//!
//! ```text
//! version   1 byte
//! kind      1 byte: 1 first, 2 ordinary, 3 ephemeral
//! length    2 bytes, big-endian: of the handshake part  (first only)
//! handshake strict CBOR                                 (first only)
//! ratchet message, or ephemeral message
//! ```
//!
//! The kind is visible, as the size is: an observer of a mailbox sees that a session begins, not whose, and which
//! envelopes can be lost without harm.

use hermes_wire::limits::ENVELOPE_BYTES;

use crate::{
    handshake::HandshakeMessage,
    ratchet::{EphemeralMessage, RatchetMessage},
};

/// The protocol's version: one suite, no negotiation.
pub(crate) const VERSION: u8 = 1;

const FIRST: u8 = 1;
const ORDINARY: u8 = 2;
const EPHEMERAL: u8 = 3;

/// A received envelope, taken apart. Nothing of it is authentic yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Starts a session, or repeats its start.
    First {
        /// The handshake part.
        handshake: HandshakeMessage,
        /// The message behind it.
        message: RatchetMessage,
    },
    /// A message of a session that both sides have.
    Ordinary(RatchetMessage),
    /// A message of such a session that may be lost, and may come again.
    Ephemeral(EphemeralMessage),
}

/// Why bytes are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// More bytes than an envelope has.
    #[error("the envelope is larger than {max} bytes", max = ENVELOPE_BYTES)]
    TooLong,
    /// Of another version, or of a kind that a newer version made.
    #[error("the message needs a newer version")]
    Newer,
    /// Cut short, or its parts do not fit together.
    #[error("the envelope is malformed")]
    Malformed,
}

impl Envelope {
    /// Takes an envelope apart.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLong);
        }
        let ([version, kind], rest) = bytes.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
        match (*version, *kind) {
            (VERSION, ORDINARY) => RatchetMessage::decode(rest).map(Self::Ordinary),
            (VERSION, EPHEMERAL) => EphemeralMessage::decode(rest).map(Self::Ephemeral),
            (VERSION, FIRST) => {
                let (length, rest) = rest.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
                let (handshake, rest) = rest
                    .split_at_checked(usize::from(u16::from_be_bytes(*length)))
                    .ok_or(EnvelopeError::Malformed)?;
                let handshake = HandshakeMessage::decode(handshake)?;
                Ok(Self::First { handshake, message: RatchetMessage::decode(rest)? })
            }
            _ => Err(EnvelopeError::Newer),
        }
    }

    /// The ratchet message in it, if there is one.
    pub fn message(&self) -> Option<&RatchetMessage> {
        match self {
            Self::First { message, .. } | Self::Ordinary(message) => Some(message),
            Self::Ephemeral(_) => None,
        }
    }
}

/// The bytes in front of an ephemeral message.
pub(crate) const EPHEMERAL_PREFIX: [u8; 2] = [VERSION, EPHEMERAL];

/// The bytes in front of a ratchet message.
pub(crate) fn prefix(handshake: Option<&HandshakeMessage>) -> Vec<u8> {
    match handshake {
        None => vec![VERSION, ORDINARY],
        Some(handshake) => {
            let handshake = handshake.encode();
            let length = u16::try_from(handshake.len()).unwrap_or(u16::MAX).to_be_bytes();
            [&[VERSION, FIRST][..], &length, &handshake].concat()
        }
    }
}
