//! What OpenMLS computes with: libcrux, but for SHA-256 and the verification of signatures.
//!
//! Every step hashes the whole tree, some megabytes in a group of a thousand. libcrux has SHA-256 in portable code alone;
//! `sha2`, which the rest of this crate uses, has the processor's instructions for it. And whoever joins verifies a
//! signature of every member, whoever follows two of each that is added: with dalek, which takes half of the time that
//! libcrux does, and by the strict rules that hold for all other signatures here.

use ed25519_dalek::{Signature, VerifyingKey};
use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::{
    crypto::OpenMlsCrypto,
    random::OpenMlsRand,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
        HpkeKeyPair, KemOutput, SignatureScheme,
    },
};
use sha2::{Digest, Sha256};

/// libcrux with another SHA-256.
pub(super) struct Crypto(CryptoProvider);

impl Crypto {
    pub(super) fn new() -> Result<Self, CryptoError> {
        CryptoProvider::new().map(Self)
    }
}

impl OpenMlsCrypto for Crypto {
    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match hash_type {
            HashType::Sha2_256 => Ok(Sha256::digest(data).to_vec()),
            other => self.0.hash(other, data),
        }
    }

    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.0.supports(ciphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.0.supported_ciphersuites()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.0.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.0.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.hkdf_expand(hash, prk, info, okm_len)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.aead_decrypt(alg, key, ct_tag, nonce, aad)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.0.signature_key_gen(alg)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if alg != SignatureScheme::ED25519 {
            return self.0.verify_signature(alg, data, pk, signature);
        }
        let key = pk.try_into().ok().and_then(|pk| VerifyingKey::from_bytes(pk).ok());
        let signature = signature.try_into().ok().map(Signature::from_bytes);
        let (Some(key), Some(signature)) = (key, signature) else {
            return Err(CryptoError::InvalidSignature);
        };
        key.verify_strict(data, &signature).map_err(|_| CryptoError::InvalidSignature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.0.hpke_seal(config, pk_r, info, aad, ptxt)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.hpke_open(config, input, sk_r, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        self.0.hpke_setup_sender_and_export(config, pk_r, info, exporter_context, exporter_length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.0.hpke_setup_receiver_and_export(config, enc, sk_r, info, exporter_context, exporter_length)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        self.0.derive_hpke_keypair(config, ikm)
    }
}

impl OpenMlsRand for Crypto {
    type Error = <CryptoProvider as OpenMlsRand>::Error;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Self::Error> {
        self.0.random_array()
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Self::Error> {
        self.0.random_vec(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hash_alike() {
        let crypto = Crypto::new().unwrap();
        for length in [0, 1, 55, 56, 64, 1_000] {
            let data = vec![0xa5; length];
            let hash = HashType::Sha2_256;
            assert_eq!(crypto.hash(hash, &data), crypto.0.hash(hash, &data));
        }
    }

    #[test]
    fn both_verify_alike() {
        let crypto = Crypto::new().unwrap();
        let scheme = SignatureScheme::ED25519;
        let (secret, public) = crypto.signature_key_gen(scheme).unwrap();
        let signature = crypto.sign(scheme, b"data", &secret).unwrap();
        let verify = |data: &[u8], public: &[u8], signature: &[u8]| {
            let verified = crypto.verify_signature(scheme, data, public, signature).is_ok();
            assert_eq!(verified, crypto.0.verify_signature(scheme, data, public, signature).is_ok());
            verified
        };
        assert!(verify(b"data", &public, &signature));
        assert!(!verify(b"date", &public, &signature));
        assert!(!verify(b"data", &public[1..], &signature));
        assert!(!verify(b"data", &public, &signature[1..]));
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!verify(b"data", &public, &other), "{at}");
        }
    }
}
