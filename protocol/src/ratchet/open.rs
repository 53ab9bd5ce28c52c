//! Opening: find the chain, find the key, check, and only then change anything.

use hermes_wire::Timestamp;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    curve::NotContributory,
    ratchet::{
        RatchetMessage, Session,
        chain::{HeardChain, ReceivingChain, SendingChain},
        header::Header,
        root::RootStep,
        session::RatchetKey,
        skipped::{SkippedChanges, SkippedKeys, after_turn},
    },
};

/// Why a message was not opened. The session is as it was, and the message can be tried again or set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No header key fits: another session's message, or one older than every chain that is remembered.
    #[error("the message does not belong to this session")]
    NotForThisSession,
    /// Opened before.
    #[error("the message was received before")]
    Duplicate,
    /// Its key was given up: skipped too long ago, or too many others were skipped since.
    #[error("the message is too old to be opened")]
    TooOld,
    /// So many messages are missing before it that the chain will not be followed.
    #[error("{jump} messages are missing before this one")]
    TooFarAhead {
        /// Missing messages.
        jump: u32,
    },
    /// Numbered beyond the end that its sender declared for the chain: the sender went back to an old state.
    #[error("the sender continued a chain that it had ended")]
    ChainEnded,
    /// The header is genuine and the rest is not.
    #[error("the message was changed on its way")]
    Forged,
    /// Genuine, and of a layout that a newer version made.
    #[error("the message needs a newer version")]
    UnknownHeader,
    /// Genuine, and padded in a way that no version does.
    #[error("the sender padded the message wrongly")]
    BadPadding,
    /// The sender's ratchet key has small order and would force a known secret.
    #[error("the sender used a forbidden key")]
    BadPublicKey,
    /// The sender broke the rules of the ML-KEM step: a malformed key, an answer to no offer, an offer unanswered.
    #[error("the sender broke the rules of the post-quantum key exchange")]
    BadKemStep,
    /// Four billion chains, or messages in one chain.
    #[error("the session is used up")]
    SessionExhausted,
}

impl From<NotContributory> for OpenError {
    fn from(_: NotContributory) -> Self {
        Self::BadPublicKey
    }
}

/// An opened message, and what became of the skipped keys: one commit takes both and the session.
pub struct Opened {
    /// The text, without padding.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Rows to put and to delete.
    pub skipped: SkippedChanges,
}

impl Session {
    /// Opens a message: tries the current chain's header key, the next one's, then those of passed chains.
    pub fn open(
        &self,
        message: &RatchetMessage,
        rows: &impl SkippedKeys,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Opened), OpenError> {
        let context = self.context();
        if let Some(HeardChain { chain, ephemeral }) = &self.receiving
            && let Some((chain, opened)) = context.open_current(message, chain, rows, now)?
        {
            let receiving = Some(HeardChain { chain, ephemeral: ephemeral.clone() });
            return Ok((Self { receiving, ..self.counted() }, opened));
        }
        if let Some(header) = context.header(message, &self.next_receiving_header)? {
            return self.open_turn(message, &header, rows, now, rng);
        }
        Ok((self.counted(), context.open_passed(message, rows, now)?))
    }

    /// The same state after one more message. Its KEM part, if it had one, did its work with the chain's first arrival.
    fn counted(&self) -> Self {
        Self { kem: self.kem.counted(), ..self.copy() }
    }

    /// The first message to arrive of a new chain: DHRatchetHE (Double Ratchet, section 4.6).
    fn open_turn(
        &self,
        message: &RatchetMessage,
        header: &Header,
        rows: &impl SkippedKeys,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Opened), OpenError> {
        let passed = self.receiving.as_ref().map(|heard| heard.chain.skip_to(header.previous)).transpose()?;
        let number = match &passed {
            None => 0,
            Some((chain, _)) => chain.number.checked_add(1).ok_or(OpenError::SessionExhausted)?,
        };
        let part = message.kem_part(header, &self.next_receiving_header, &self.id)?;
        let peer_turn = self.kem.peer_turn(part, now)?;
        let agreed = self.ratchet_key.secret.agree(&header.ratchet_key)?;
        let received = self.root.step(&agreed, peer_turn.share.as_ref());
        let receiving = ReceivingChain {
            number,
            chain: received.chain,
            header: self.next_receiving_header.clone(),
            index: 0,
            evicted_below: 0,
        };
        let (key, skipped, mut receiving) = receiving.advance_to(header.index)?;
        let plaintext = message.open(header.follows, &key, self.context())?;

        let changes = after_turn(passed, skipped, &mut receiving, rows, now);
        let ratchet_key = RatchetKey::generate(rng);
        let (kem, share) = peer_turn.own_turn(now, rng);
        let agreed = ratchet_key.secret.agree(&header.ratchet_key)?;
        let RootStep { root, chain, next_header, ephemeral } = received.root.step(&agreed, share.as_ref());
        let next = Self {
            id: self.id,
            binding: self.binding,
            root,
            ratchet_key,
            previous: self.sending.as_ref().map(SendingChain::passed),
            sending: Some(SendingChain {
                chain,
                header: self.next_sending_header.clone(),
                index: 0,
                ephemeral,
            }),
            receiving: Some(HeardChain { chain: receiving, ephemeral: received.ephemeral }),
            next_sending_header: next_header,
            next_receiving_header: received.next_header,
            kem,
        };
        Ok((next, Opened { plaintext, skipped: changes }))
    }
}
