//! The root chain: each Diffie-Hellman output starts a new chain (Double Ratchet, sections 2.3 and 4.2), some together
//! with an ML-KEM secret.

use zeroize::Zeroizing;

use crate::{
    kdf::{self, Label},
    ratchet::sparse::KemSecretShare,
    secret::{ChainKey, EphemeralKey, HeaderKey, RootKey},
};

/// What one root step yields.
pub(super) struct RootStep {
    pub root: RootKey,
    pub chain: ChainKey,
    /// The header key of the chain after this one.
    pub next_header: HeaderKey,
    /// For ephemeral messages in the other direction.
    pub ephemeral: EphemeralKey,
}

impl RootKey {
    /// The step of a turn: over the Diffie-Hellman output alone, or over an ML-KEM secret too.
    pub(super) fn step(&self, agreed: &[u8; 32], kem: Option<&KemSecretShare>) -> RootStep {
        match kem {
            None => RootStep::from(&kdf::derive(self.as_bytes(), agreed, Label::ROOT, &[])),
            Some(kem) => self.step_with_kem(agreed, kem),
        }
    }

    /// Both secrets are of fixed length and go in one after the other (NIST SP 800-56C rev. 2, section 2), so the new
    /// keys are safe while either is. The exchange's hash binds them to one encapsulation key and one ciphertext, which
    /// ML-KEM's secret by itself does not (Cremers et al., "Keeping Up with the KEMs", CCS 2024).
    fn step_with_kem(&self, agreed: &[u8; 32], kem: &KemSecretShare) -> RootStep {
        let mut secrets = Zeroizing::new(Vec::with_capacity(64));
        secrets.extend_from_slice(agreed);
        secrets.extend_from_slice(kem.secret.as_slice());
        RootStep::from(&kdf::derive(self.as_bytes(), &secrets, Label::ROOT_WITH_KEM, &kem.exchange))
    }
}

impl From<&Zeroizing<[[u8; 32]; 4]>> for RootStep {
    /// KDF_RK_HE, HKDF-SHA256 with the root key as salt, and one block more: siblings say nothing of each other.
    fn from(keys: &Zeroizing<[[u8; 32]; 4]>) -> Self {
        let [root, chain, next_header, ephemeral] = &**keys;
        Self {
            root: RootKey::new(root),
            chain: ChainKey::new(chain),
            next_header: HeaderKey::new(next_header),
            ephemeral: EphemeralKey::new(ephemeral),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn root_agreement_secret_and_exchange_each_matter() {
        let share = |secret, exchange| KemSecretShare { secret: Zeroizing::new(secret), exchange };
        let steps = [
            ([1; 32], [2; 32], None),
            ([1; 32], [2; 32], Some(share([3; 32], [4; 32]))),
            ([9; 32], [2; 32], Some(share([3; 32], [4; 32]))),
            ([1; 32], [9; 32], Some(share([3; 32], [4; 32]))),
            ([1; 32], [2; 32], Some(share([9; 32], [4; 32]))),
            ([1; 32], [2; 32], Some(share([3; 32], [9; 32]))),
        ];
        let mut keys = BTreeSet::new();
        for (root, agreed, kem) in &steps {
            let RootStep { root, chain, next_header, ephemeral } =
                RootKey::new(root).step(agreed, kem.as_ref());
            keys.extend([*root.as_bytes(), *chain.as_bytes()]);
            keys.extend([*next_header.as_bytes(), *ephemeral.as_bytes()]);
        }
        assert_eq!(keys.len(), 4 * steps.len());
    }
}
