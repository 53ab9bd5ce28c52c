//! What a message key becomes: the keys of one body.

use zeroize::Zeroizing;

use crate::{
    kdf::{self, Label},
    secret::MessageKey,
};

/// `k_enc`, `k_mac`, and the nonce in the first 12 bytes of the third block.
pub(crate) struct BodyKeys(Zeroizing<[[u8; 32]; 3]>);

impl BodyKeys {
    /// `salt` is random: a restored old state seals its next message under the same message key, and still gives it a
    /// keystream of its own.
    pub fn derive(salt: &[u8], key: &MessageKey, label: Label, context: &[u8]) -> Self {
        Self(kdf::derive(salt, key.as_bytes(), label, context))
    }

    pub fn cipher(&self) -> &[u8; 32] {
        let [cipher, _, _] = &*self.0;
        cipher
    }

    pub fn mac(&self) -> &[u8; 32] {
        let [_, mac, _] = &*self.0;
        mac
    }

    pub fn nonce(&self) -> [u8; 12] {
        let [_, _, nonce] = &*self.0;
        kdf::nonce(nonce)
    }
}
