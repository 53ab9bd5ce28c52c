//! The initiator's identity on its way: sealed under DH3 and the ML-KEM secret, so that neither relay nor wire sees
//! who writes, and a recipient sees it before any dear computation.
//!
//! It authenticates nothing by itself: whoever can reach the recipient can seal any identity. That the sender holds
//! that identity's keys is proven by DH1, when the first message opens.

use hermes_wire::{MailboxId, codec};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use zeroize::Zeroizing;

use crate::{
    aead::{self, TAG_BYTES},
    handshake::{HandshakeError, HandshakeMessage, ReplayId, locks::Shared, message::Opening},
    identity::Identity,
    kdf::{self, Label},
    limits::{HANDSHAKE_BYTES, UNOPENED_INITIATIONS},
};

/// What is sealed.
#[derive(Serialize_tuple, Deserialize_tuple)]
pub(super) struct Introduction {
    pub identity: Identity,
    pub mailbox: MailboxId,
    pub counter: u64,
    pub unopened: Vec<ReplayId>,
}

impl Introduction {
    /// Ciphertext, then tag. The key is used once, because the opening is drawn anew for each initiation.
    pub fn seal(&self, dh3: &Shared, ss: &Shared, opening: &Opening) -> ByteBuf {
        let mut text = codec::encode(self);
        let associated = opening.hash();
        let keys = keys(dh3, ss, &associated);
        let [key, nonce] = &*keys;
        let tag = aead::seal(key, &kdf::nonce(nonce), &associated, &mut text);
        text.extend_from_slice(&tag);
        ByteBuf::from(text)
    }

    /// Opens and checks the introduction of a received message.
    pub fn open(message: &HandshakeMessage, dh3: &Shared, ss: &Shared) -> Result<Self, HandshakeError> {
        let (text, tag) =
            message.sealed_identity.split_last_chunk::<TAG_BYTES>().ok_or(HandshakeError::SealedIdentity)?;
        let mut text = text.to_vec();
        let associated = message.opening.hash();
        let keys = keys(dh3, ss, &associated);
        let [key, nonce] = &*keys;
        aead::open(key, &kdf::nonce(nonce), &associated, &mut text, tag)
            .map_err(|_| HandshakeError::SealedIdentity)?;
        let introduction: Self =
            codec::decode(&text, HANDSHAKE_BYTES).map_err(|_| HandshakeError::BadIdentity)?;
        if introduction.unopened.len() > UNOPENED_INITIATIONS {
            return Err(HandshakeError::TooManyUnopened);
        }
        Ok(introduction)
    }
}

fn keys(dh3: &Shared, ss: &Shared, opening: &[u8; 32]) -> Zeroizing<[[u8; 32]; 2]> {
    let secrets = kdf::framed(&[dh3.as_slice(), ss.as_slice()]);
    kdf::derive(&[], &secrets, Label::SEALED_IDENTITY, opening)
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteArray;

    use super::*;
    use crate::{handshake::PrekeyIds, identity::IdentityKeyPair, prekey::PrekeyId, testing::rng};

    fn sealed(unopened: usize) -> (HandshakeMessage, Shared) {
        let shared = Shared::new([1; 32]);
        let id = PrekeyId(1);
        let opening = Opening {
            prekeys: PrekeyIds { signed: id, one_time: None, kem: id, ff: id },
            ephemeral: ByteArray::new([2; 32]),
            finite_field: Box::new(ByteArray::new([3; 256])),
            ciphertext: Box::new(ByteArray::new([4; 1568])),
        };
        let introduction = Introduction {
            identity: IdentityKeyPair::generate(&mut rng(1)).identity().clone(),
            mailbox: MailboxId([5; 32]),
            counter: u64::MAX,
            unopened: vec![ReplayId([6; 32]); unopened],
        };
        let sealed_identity = introduction.seal(&shared, &shared, &opening);
        (HandshakeMessage { opening, sealed_identity }, shared)
    }

    #[test]
    fn the_largest_introduction_fits_its_limit() {
        let (message, shared) = sealed(UNOPENED_INITIATIONS);
        assert!(message.encode().len() <= HANDSHAKE_BYTES);
        assert_eq!(
            Introduction::open(&message, &shared, &shared).unwrap().unopened.len(),
            UNOPENED_INITIATIONS
        );
    }

    #[test]
    fn a_longer_list_is_refused() {
        let (message, shared) = sealed(UNOPENED_INITIATIONS + 1);
        let result = Introduction::open(&message, &shared, &shared);
        assert_eq!(result.err(), Some(HandshakeError::TooManyUnopened));
    }

    #[test]
    fn it_is_bound_to_both_secrets_and_to_the_rest_of_the_message() {
        let (message, shared) = sealed(0);
        let other = Shared::new([9; 32]);
        let mut moved = message.clone();
        moved.opening.prekeys.kem = PrekeyId(2);
        for (message, dh3, ss) in
            [(&message, &other, &shared), (&message, &shared, &other), (&moved, &shared, &shared)]
        {
            assert_eq!(Introduction::open(message, dh3, ss).err(), Some(HandshakeError::SealedIdentity));
        }
    }
}
