//! X-Wing for mls-rs, of the same libcrux that Hermes and OpenMLS use.
//!
//! Its provider on aws-lc has X-Wing, but names one exact aws-lc-rs, older than Hermes'; the one on RustCrypto has X25519
//! only, but takes another key encapsulation. The suite is then Hermes' under the number of its classical relative.

use std::fmt;

use libcrux_kem::{Algorithm, Ct, PrivateKey, PublicKey, key_gen, key_gen_derand};
use mls_rs_core::{
    crypto::{CipherSuite, CryptoProvider, HpkePublicKey, HpkeSecretKey},
    error::IntoAnyError,
};
use mls_rs_crypto_rustcrypto::{RustCryptoCipherSuite, aead::Aead, kdf::Kdf};
use mls_rs_crypto_traits::{KemResult, KemType};
use rand::{rand_core::UnwrapErr, rngs::SysRng};

/// ChaCha20-Poly1305, SHA-256, Ed25519, and here X-Wing.
pub const SUITE: CipherSuite = CipherSuite::CURVE25519_CHACHA;

const ALGORITHM: Algorithm = Algorithm::XWingKemDraft06;

/// The provider.
#[derive(Clone)]
pub struct XWingProvider;

impl CryptoProvider for XWingProvider {
    type CipherSuiteProvider = RustCryptoCipherSuite<XWing, Kdf, Aead>;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![SUITE]
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<Self::CipherSuiteProvider> {
        if suite != SUITE {
            return None;
        }
        RustCryptoCipherSuite::new(suite, XWing, Kdf::new(suite)?, Aead::new(suite)?)
    }
}

/// The key encapsulation.
#[derive(Clone)]
pub struct XWing;

/// What libcrux says of a key or a ciphertext.
#[derive(Debug)]
pub struct XWingError(libcrux_kem::Error);

impl fmt::Display for XWingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl std::error::Error for XWingError {}

impl IntoAnyError for XWingError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

impl From<libcrux_kem::Error> for XWingError {
    fn from(error: libcrux_kem::Error) -> Self {
        Self(error)
    }
}

impl KemType for XWing {
    type Error = XWingError;

    /// XWingDraft06 of hpke-rs.
    fn kem_id(&self) -> u16 {
        0x647a
    }

    fn generate_deterministic(&self, seed: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), XWingError> {
        Ok(pair(key_gen_derand(ALGORITHM, seed)?))
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), XWingError> {
        Ok(pair(key_gen(ALGORITHM, &mut UnwrapErr(SysRng))?))
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), XWingError> {
        PublicKey::decode(ALGORITHM, key.as_ref())?;
        Ok(())
    }

    fn encap(&self, remote: &HpkePublicKey) -> Result<KemResult, XWingError> {
        let key = PublicKey::decode(ALGORITHM, remote.as_ref())?;
        let (secret, ciphertext) = key.encapsulate(&mut UnwrapErr(SysRng))?;
        Ok(KemResult::new(secret.encode(), ciphertext.encode()))
    }

    fn decap(&self, enc: &[u8], secret: &HpkeSecretKey, _: &HpkePublicKey) -> Result<Vec<u8>, XWingError> {
        let key = PrivateKey::decode(ALGORITHM, secret.as_ref())?;
        Ok(Ct::decode(ALGORITHM, enc)?.decapsulate(&key)?.encode())
    }

    fn seed_length_for_derive(&self) -> usize {
        32
    }
}

fn pair((secret, public): (PrivateKey, PublicKey)) -> (HpkeSecretKey, HpkePublicKey) {
    (secret.encode().into(), public.encode().into())
}
