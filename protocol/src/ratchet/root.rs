//! The root chain: each Diffie-Hellman output starts a new chain (Double Ratchet, sections 2.3 and 4.2).

use crate::{
    kdf::{self, Label},
    secret::{ChainKey, HeaderKey, RootKey},
};

/// What one root step yields.
pub(super) struct RootStep {
    pub root: RootKey,
    pub chain: ChainKey,
    /// The header key of the chain after this one.
    pub next_header: HeaderKey,
}

impl RootKey {
    /// KDF_RK_HE: HKDF-SHA256 with the root key as salt and the shared secret as input.
    pub(super) fn step(&self, shared: &[u8; 32]) -> RootStep {
        let keys = kdf::derive::<3>(self.as_bytes(), shared, Label::ROOT, &[]);
        let [root, chain, next_header] = &*keys;
        RootStep {
            root: RootKey::new(root),
            chain: ChainKey::new(chain),
            next_header: HeaderKey::new(next_header),
        }
    }
}
