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
