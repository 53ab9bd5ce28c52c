//! ML-KEM-1024 (FIPS 203) through libcrux. Secret keys rest as their 64-byte seed (d || z, FIPS 203 section 7.1).

use libcrux_ml_kem::mlkem1024::{self, MlKem1024Ciphertext, MlKem1024PublicKey};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of an encapsulation key.
pub(crate) const PUBLIC_BYTES: usize = 1_568;
/// Bytes of a ciphertext.
pub(crate) const CIPHERTEXT_BYTES: usize = 1_568;
/// Bytes of a seed.
pub(crate) const SEED_BYTES: usize = 64;

/// The encapsulation key fails the modulus check of FIPS 203, section 7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEncapsulationKey;

/// A decapsulation key as its seed.
pub(crate) struct KemSecret(Zeroizing<[u8; SEED_BYTES]>);

/// A checked encapsulation key.
pub(crate) struct KemPublic(Box<MlKem1024PublicKey>);

impl KemSecret {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        rng.fill_bytes(seed.as_mut());
        Self(seed)
    }

    pub fn from_bytes(seed: &[u8; SEED_BYTES]) -> Self {
        Self(Zeroizing::new(*seed))
    }

    pub fn as_bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    pub fn public(&self) -> KemPublic {
        let (mut secret, public) = mlkem1024::generate_key_pair(*self.0).into_parts();
        secret[0..].zeroize();
        KemPublic(Box::new(public))
    }

    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_BYTES]) -> Zeroizing<[u8; 32]> {
        let (mut secret, _) = mlkem1024::generate_key_pair(*self.0).into_parts();
        let shared = mlkem1024::decapsulate(&secret, &MlKem1024Ciphertext::from(ciphertext));
        secret[0..].zeroize();
        Zeroizing::new(shared)
    }
}

impl KemPublic {
    pub fn parse(bytes: &[u8; PUBLIC_BYTES]) -> Result<Self, BadEncapsulationKey> {
        let key = MlKem1024PublicKey::from(bytes);
        if mlkem1024::validate_public_key(&key) { Ok(Self(Box::new(key))) } else { Err(BadEncapsulationKey) }
    }

    pub fn as_bytes(&self) -> &[u8; PUBLIC_BYTES] {
        self.0.as_slice()
    }

    /// A fresh ciphertext and the secret in it.
    pub fn encapsulate(
        &self,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> ([u8; CIPHERTEXT_BYTES], Zeroizing<[u8; 32]>) {
        let mut randomness = Zeroizing::new([0; 32]);
        rng.fill_bytes(randomness.as_mut());
        let (ciphertext, shared) = mlkem1024::encapsulate(&self.0, *randomness);
        (ciphertext.into(), Zeroizing::new(shared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decapsulates_what_was_encapsulated() {
        let mut rng = crate::testing::rng(1);
        let secret = KemSecret::generate(&mut rng);
        let public = KemPublic::parse(secret.public().as_bytes()).unwrap();
        let (ciphertext, shared) = public.encapsulate(&mut rng);
        assert_eq!(secret.decapsulate(&ciphertext), shared);
        assert_eq!(KemSecret::from_bytes(secret.as_bytes()).decapsulate(&ciphertext), shared);
    }

    #[test]
    fn refuses_coefficients_beyond_the_modulus() {
        assert_eq!(KemPublic::parse(&[0xff; PUBLIC_BYTES]).err(), Some(BadEncapsulationKey));
    }
}
