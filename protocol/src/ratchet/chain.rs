//! Sending and receiving chains: different types, because a message key of one must never be used for the other.

use crate::{
    kdf,
    limits::{CHAIN_JUMP, SKIPPED_KEYS_PER_CHAIN},
    ratchet::OpenError,
    secret::{ChainKey, EphemeralKey, HeaderKey, MessageKey},
};

/// The inputs of Double Ratchet, section 5.2: a constant for the message key, another for the next chain key.
const MESSAGE_KEY_INPUT: u8 = 1;
const CHAIN_KEY_INPUT: u8 = 2;

impl ChainKey {
    /// The key of this message, and the chain after it.
    fn step(&self) -> (MessageKey, Self) {
        let [message, chain] = kdf::steps(self.as_bytes(), [MESSAGE_KEY_INPUT, CHAIN_KEY_INPUT]);
        (MessageKey::new(&message), Self::new(&chain))
    }

    fn next(&self) -> Self {
        let [chain] = kdf::steps(self.as_bytes(), [CHAIN_KEY_INPUT]);
        Self::new(&chain)
    }
}

/// A chain that gives out each message key once.
#[derive(Clone)]
pub(super) struct SendingChain {
    pub chain: ChainKey,
    pub header: HeaderKey,
    /// The next message's number.
    pub index: u32,
    /// Opens the ephemeral messages of a peer that has heard this chain.
    pub ephemeral: EphemeralKey,
}

/// What is still needed of a sending chain once the next one has begun.
#[derive(Clone)]
pub(super) struct PreviousChain {
    /// Messages in it.
    pub messages: u32,
    /// Opens the ephemeral messages of a peer that has not yet heard the chain after it.
    pub ephemeral: EphemeralKey,
}

impl SendingChain {
    /// The key for message `self.index`, and the chain after it; `None` when the numbers are used up.
    pub fn advance(&self) -> Option<(MessageKey, Self)> {
        let index = self.index.checked_add(1)?;
        let (message, chain) = self.chain.step();
        Some((message, Self { chain, index, ..self.clone() }))
    }

    /// What stays of it when the next one begins.
    pub fn passed(&self) -> PreviousChain {
        PreviousChain { messages: self.index, ephemeral: self.ephemeral.clone() }
    }
}

/// A chain that follows the peer's sending chain.
#[derive(Clone)]
pub(super) struct ReceivingChain {
    /// Counts the receiving chains of the session.
    pub number: u32,
    pub chain: ChainKey,
    pub header: HeaderKey,
    /// The lowest number that has not been reached.
    pub index: u32,
    /// Below this, a missing key may have been given up instead of used.
    pub evicted_below: u32,
}

/// A receiving chain, and what the root step that began it gave besides.
#[derive(Clone)]
pub(super) struct HeardChain {
    pub chain: ReceivingChain,
    /// Seals own ephemeral messages: whoever began the chain has it.
    pub ephemeral: EphemeralKey,
}

/// Keys of messages that have not arrived, with their numbers, ascending.
pub(super) type Skipped = Vec<(u32, MessageKey)>;

impl ReceivingChain {
    /// Moves behind message `index`: its key, the keys skipped on the way and the chain after it.
    pub fn advance_to(&self, index: u32) -> Result<(MessageKey, Skipped, Self), OpenError> {
        let (at, skipped) = self.skip_to(index)?;
        let next = index.checked_add(1).ok_or(OpenError::SessionExhausted)?;
        let (message, chain) = at.chain.step();
        Ok((message, skipped, Self { chain, index: next, ..at }))
    }

    /// Moves to message `index`, which stays unread. Keys beyond what a chain keeps are passed over underived.
    pub fn skip_to(&self, index: u32) -> Result<(Self, Skipped), OpenError> {
        let jump = index.saturating_sub(self.index);
        if jump > CHAIN_JUMP {
            return Err(OpenError::TooFarAhead { jump });
        }
        let mut at = self.clone();
        let mut skipped = Vec::new();
        let kept = u32::try_from(SKIPPED_KEYS_PER_CHAIN).unwrap_or(u32::MAX);
        while at.index < index {
            if index - at.index > kept {
                at.chain = at.chain.next();
                at.evicted_below = at.index + 1;
            } else {
                let (message, chain) = at.chain.step();
                skipped.push((at.index, message));
                at.chain = chain;
            }
            at.index += 1;
        }
        Ok((at, skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains() -> (SendingChain, ReceivingChain) {
        let (chain, header) = (ChainKey::new(&[1; 32]), HeaderKey::new(&[2; 32]));
        let sending = SendingChain {
            chain: chain.clone(),
            header: header.clone(),
            index: 0,
            ephemeral: EphemeralKey::new(&[3; 32]),
        };
        (sending, ReceivingChain { number: 0, chain, header, index: 0, evicted_below: 0 })
    }

    #[test]
    fn receiving_finds_the_keys_that_sending_used() {
        let (mut sending, receiving) = chains();
        let mut sent = Vec::new();
        for _ in 0..5 {
            let (key, next) = sending.advance().unwrap();
            sent.push(*key.as_bytes());
            sending = next;
        }
        let (key, skipped, after) = receiving.advance_to(3).unwrap();
        assert_eq!(*key.as_bytes(), sent[3]);
        assert_eq!(skipped.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(skipped.iter().zip(&sent).all(|((_, key), sent)| key.as_bytes() == sent));
        assert_eq!(*after.advance_to(4).unwrap().0.as_bytes(), sent[4]);
    }

    #[test]
    fn a_jump_is_bounded_and_keeps_the_newest() {
        let (_, receiving) = chains();
        assert_eq!(
            receiving.advance_to(CHAIN_JUMP + 1).err(),
            Some(OpenError::TooFarAhead { jump: CHAIN_JUMP + 1 })
        );
        let (_, skipped, after) = receiving.advance_to(CHAIN_JUMP).unwrap();
        assert_eq!(skipped.len(), SKIPPED_KEYS_PER_CHAIN);
        assert_eq!(after.evicted_below, CHAIN_JUMP - 1_000);
        assert_eq!(skipped[0].0, after.evicted_below);
    }

    #[test]
    fn numbers_do_not_wrap() {
        let (mut sending, mut receiving) = chains();
        (sending.index, receiving.index) = (u32::MAX, u32::MAX);
        assert!(sending.advance().is_none());
        assert_eq!(receiving.advance_to(u32::MAX).err(), Some(OpenError::SessionExhausted));
    }
}
