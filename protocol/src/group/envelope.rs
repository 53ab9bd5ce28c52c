//! Commits and proposals once more sealed and signed, outside of what the library does.
//!
//! The library says nothing of who sent a commit that it cannot follow. Here the author signs the bytes, whatever is in
//! them, so that whoever ends an epoch with garbage is named by everybody. Both lie under a key of the epoch, so that the
//! relay learns neither the leaf nor a signature that it could compare.

use ed25519_dalek::{Signature, VerifyingKey};
use rand_core::CryptoRng;

use crate::{
    aead::{self, XNONCE_BYTES},
    group::{EpochKeys, Leaf},
    kdf::{self, Label},
};

/// A body taken apart. Who says to have made it is not proven before [`Self::is_signed_by`].
pub(super) struct Envelope {
    pub(super) leaf: Leaf,
    signature: [u8; 64],
    /// The library's message.
    pub(super) message: Vec<u8>,
}

/// Tag, nonce, and sealed: leaf, signature, the library's message.
pub(super) fn seal(
    keys: &EpochKeys,
    tag: [u8; 2],
    message: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Vec<u8> {
    let signature = keys.signing().sign(&signed(keys, tag, keys.me(), message));
    let mut body = [&keys.me().0.to_be_bytes()[..], &signature, message].concat();
    let mut nonce = [0; XNONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    aead::seal_x(keys.change().as_bytes(), &nonce, &associated(keys, tag), &mut body);
    [&tag[..], &nonce, &body].concat()
}

impl Envelope {
    /// `None` if it is not of this epoch, or mangled.
    pub(super) fn open(keys: &EpochKeys, tag: [u8; 2], body: &[u8]) -> Option<Self> {
        let rest = body.strip_prefix(&tag)?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        let mut text = sealed.to_vec();
        aead::open_x(keys.change().as_bytes(), nonce, &associated(keys, tag), &mut text).ok()?;
        let (leaf, rest) = text.split_first_chunk()?;
        let (signature, message) = rest.split_first_chunk()?;
        Some(Self { leaf: Leaf(u32::from_be_bytes(*leaf)), signature: *signature, message: message.to_vec() })
    }

    pub(super) fn is_signed_by(&self, keys: &EpochKeys, tag: [u8; 2], verifying: &VerifyingKey) -> bool {
        let signed = signed(keys, tag, self.leaf, &self.message);
        verifying.verify_strict(&signed, &Signature::from_bytes(&self.signature)).is_ok()
    }
}

fn associated(keys: &EpochKeys, tag: [u8; 2]) -> Vec<u8> {
    [&tag[..], &keys.group().0, &keys.number().to_be_bytes()].concat()
}

fn signed(keys: &EpochKeys, tag: [u8; 2], leaf: Leaf, message: &[u8]) -> Vec<u8> {
    let hash = kdf::hash(Label::GROUP_CHANGE, &[message]);
    [Label::GROUP_SIGNATURE.bytes(), &associated(keys, tag), &leaf.0.to_be_bytes(), &hash].concat()
}
