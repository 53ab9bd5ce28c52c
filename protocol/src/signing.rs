//! Ed25519 signatures (RFC 8032) through aws-lc, for the keys that sign a group's messages. Whoever verifies does it with
//! dalek's strict rules, and signatures are the same bytes whoever makes them.
//!
//! aws-lc-rs for the reason that [`crate::curve`] has: the signature is nearly all of what sealing a message costs, and takes
//! it a good half of the time that dalek needs.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The seed of a signing key.
#[derive(Clone)]
pub(crate) struct SigningSecret {
    seed: Zeroizing<[u8; 32]>,
    /// The library's form of it, which has the public key with it. Made when it is first needed: whoever reads a message
    /// has a key at hand and signs nothing. aws-lc wipes what it frees.
    expanded: OnceLock<Arc<Ed25519KeyPair>>,
}

impl SigningSecret {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self { seed, expanded: OnceLock::new() }
    }

    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self { seed: Zeroizing::new(*seed), expanded: OnceLock::new() }
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.seed
    }

    pub fn public(&self) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "it has this length")]
        self.expanded().public_key().as_ref().try_into().expect("32 bytes")
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.expanded().try_sign(message);
        #[expect(clippy::expect_used, reason = "fails only where allocation does, which aborts")]
        signature.ok().and_then(|signature| signature.as_ref().try_into().ok()).expect("64 bytes")
    }

    fn expanded(&self) -> &Ed25519KeyPair {
        self.expanded.get_or_init(|| {
            #[expect(clippy::expect_used, reason = "any 32 bytes are a seed")]
            Arc::new(Ed25519KeyPair::from_seed_unchecked(self.as_bytes()).expect("32 bytes"))
        })
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::testing::rng;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn known_answer() {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let key = SigningSecret::from_bytes(&seed.try_into().unwrap());
        let public = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        assert_eq!(key.public().as_slice(), public);
        let signature = hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
        assert_eq!(key.sign(&[0x72]).as_slice(), signature);
    }

    #[test]
    fn it_signs_as_whoever_verifies_would_sign() {
        let mut rng = rng(1);
        for length in [0, 1, 31, 64, 127, 128, 1_000] {
            let key = SigningSecret::generate(&mut rng);
            let dalek = SigningKey::from_bytes(key.as_bytes());
            let message = vec![0x5a; length];
            assert_eq!(key.public(), dalek.verifying_key().to_bytes());
            assert_eq!(key.sign(&message), dalek.sign(&message).to_bytes());
        }
    }
}
