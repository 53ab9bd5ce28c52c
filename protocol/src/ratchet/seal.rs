//! Sealing: one message key used, one envelope made.

use hermes_wire::limits::ENVELOPE_BYTES;
use rand_core::CryptoRng;

use crate::{
    envelope,
    handshake::PendingHandshake,
    padding,
    ratchet::{
        RatchetMessage, Session,
        header::{Follows, Header},
        kem_part::KemPart,
    },
};

/// Why nothing was sealed. The session is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A responder cannot send before it has opened the initiator's first message.
    #[error("the session has not received its first message yet")]
    NothingOpened,
    /// Larger than an envelope.
    #[error("the message takes {length} bytes where at most {max} are allowed; send a shorter one", max = ENVELOPE_BYTES)]
    TooLong {
        /// Bytes of the padded envelope.
        length: usize,
    },
    /// More than four billion messages without a reply.
    #[error("the session has sent too many messages without a reply")]
    ChainExhausted,
}

impl Session {
    /// Seals `plaintext` into a whole envelope, padded to its bucket; `pending` goes in front of it until the first
    /// reply has been opened. Returns the next session, to be made durable before the envelope leaves.
    pub fn seal(
        &self,
        pending: Option<&PendingHandshake>,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Vec<u8>), SealError> {
        let sending = self.sending.as_ref().ok_or(SealError::NothingOpened)?;
        let (key, advanced) = sending.advance().ok_or(SealError::ChainExhausted)?;
        let kem_part = self.kem.part();
        let follows = kem_part.as_ref().map_or(Follows::Body, KemPart::follows);
        let header = Header {
            follows,
            ratchet_key: self.ratchet_key.public,
            previous: self.previous.as_ref().map_or(0, |chain| chain.messages),
            index: sending.index,
        };
        let header = header.seal(&sending.header, &self.id, rng);
        let kem_part = kem_part.map(|part| part.seal(&sending.header, &header, &self.id, rng));

        let mut bytes = envelope::prefix(pending.map(PendingHandshake::message));
        let overhead = bytes.len() + RatchetMessage::overhead(follows);
        let length = padding::bucket(overhead + padding::LENGTH_BYTES + plaintext.len());
        if length > ENVELOPE_BYTES {
            return Err(SealError::TooLong { length });
        }
        let padded = padding::pad(plaintext, length - overhead).ok_or(SealError::TooLong { length })?;
        bytes.reserve_exact(length - bytes.len());
        RatchetMessage::seal(header, kem_part.unwrap_or_default(), &key, padded, self.context())
            .write(&mut bytes);

        let mut next = self.copy();
        next.sending = Some(advanced);
        next.kem = self.kem.counted();
        Ok((next, bytes))
    }
}
