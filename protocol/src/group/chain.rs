//! Sender chains: one per member and epoch, a new key for every message (Signal's sender keys, with the steps of Double
//! Ratchet, section 5.2).

use ed25519_dalek::VerifyingKey;
use zeroize::Zeroizing;

use crate::{
    group::{GroupMessageError, GroupSkippedKey, Leaf},
    kdf,
    limits::{CHAIN_JUMP, SKIPPED_KEYS_PER_CHAIN},
    record::{Reader, RecordError, Writer},
    secret::{ChainKey, MessageKey},
};

const MESSAGE_KEY_INPUT: u8 = 1;
const CHAIN_KEY_INPUT: u8 = 2;

/// A member's chain: where it stands, and the key under which that member signs.
#[derive(Clone)]
pub struct SenderChain {
    leaf: Leaf,
    /// Number of the next message.
    iteration: u32,
    chain: ChainKey,
    /// As bytes: of the chains of an epoch few are ever used, and to read a key costs as much as a message's sealing.
    verifying: [u8; 32],
}

impl SenderChain {
    pub(super) fn new(leaf: Leaf, chain: ChainKey, verifying: [u8; 32]) -> Self {
        Self { leaf, iteration: 0, chain, verifying }
    }

    /// Whose it is.
    pub fn leaf(&self) -> Leaf {
        self.leaf
    }

    /// Number of the next message.
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// The key of its member's signatures; `None` when it is none, under which nothing is signed.
    pub(super) fn verifying(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.verifying).ok()
    }

    /// The key of the next message and the chain after it; `None` when the numbers are used up.
    pub(super) fn advance(&self) -> Option<(MessageKey, Self)> {
        let iteration = self.iteration.checked_add(1)?;
        let [message, chain] = kdf::steps(self.chain.as_bytes(), [MESSAGE_KEY_INPUT, CHAIN_KEY_INPUT]);
        let next = Self { iteration, chain: ChainKey::new(&chain), ..self.clone() };
        Some((MessageKey::new(&message), next))
    }

    /// Moves behind message `iteration`: its key, the chain after it and the keys passed on the way, the newest of them.
    pub(super) fn advance_to(
        &self,
        iteration: u32,
    ) -> Result<(MessageKey, Self, Vec<GroupSkippedKey>), GroupMessageError> {
        let jump = iteration.checked_sub(self.iteration).ok_or(GroupMessageError::Duplicate)?;
        if jump > CHAIN_JUMP {
            return Err(GroupMessageError::TooFarAhead);
        }
        let kept = u32::try_from(SKIPPED_KEYS_PER_CHAIN).unwrap_or(u32::MAX);
        let mut skipped = Vec::new();
        let mut at = self.clone();
        loop {
            let (key, next) = at.advance().ok_or(GroupMessageError::Exhausted)?;
            if at.iteration == iteration {
                return Ok((key, next, skipped));
            }
            if iteration.saturating_sub(at.iteration) <= kept {
                skipped.push(GroupSkippedKey::new(self.leaf, at.iteration, key));
            }
            at = next;
        }
    }

    /// For the sealed store: 73 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(72)
            .u32(self.leaf.0)
            .u32(self.iteration)
            .bytes(self.chain.as_bytes())
            .bytes(&self.verifying)
            .finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let (leaf, iteration) = (Leaf(reader.u32()?), reader.u32()?);
        let chain = ChainKey::new(reader.array()?);
        let verifying = *reader.array()?;
        reader.finish()?;
        Ok(Self { leaf, iteration, chain, verifying })
    }
}

/// Bytes of [`SenderChain::to_bytes`].
pub(super) const CHAIN_BYTES: usize = 73;
