//! ML-KEM (FIPS 203) through libcrux, in two sizes. Secret keys rest as their 64-byte seed (d || z, FIPS 203 section
//! 7.1), never in the library's own form.

use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a seed.
pub(crate) const SEED_BYTES: usize = 64;

/// The encapsulation key fails the modulus check of FIPS 203, section 7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEncapsulationKey;

/// Defines the keys of one parameter set, as types of their own: a key of one can not be handed in for another.
macro_rules! parameter_set {
    (
        $(#[$doc:meta])* $set:ident: $Public:ident, $Ciphertext:ident,
        encapsulation key $public_bytes:literal bytes, ciphertext $ciphertext_bytes:literal bytes
    ) => {
        $(#[$doc])*
        pub(crate) mod $set {
            use libcrux_ml_kem::$set::{self, $Ciphertext, $Public};

            use super::*;

            /// Bytes of an encapsulation key.
            pub(crate) const PUBLIC_BYTES: usize = $public_bytes;
            /// Bytes of a ciphertext.
            pub(crate) const CIPHERTEXT_BYTES: usize = $ciphertext_bytes;

            /// A decapsulation key as its seed. `Clone` because a session's key is carried into the next session value.
            #[derive(Clone)]
            pub(crate) struct KemSecret(Zeroizing<[u8; SEED_BYTES]>);

            /// A checked encapsulation key.
            pub(crate) struct KemPublic(Box<$Public>);

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
                    let (mut secret, public) = $set::generate_key_pair(*self.0).into_parts();
                    secret[0..].zeroize();
                    KemPublic(Box::new(public))
                }

                /// The secret in the ciphertext, and the encapsulation key: expanding the seed yields it, at the price of
                /// a decapsulation.
                pub fn decapsulate(
                    &self,
                    ciphertext: &[u8; CIPHERTEXT_BYTES],
                ) -> (Zeroizing<[u8; 32]>, KemPublic) {
                    let (mut secret, public) = $set::generate_key_pair(*self.0).into_parts();
                    let shared = $set::decapsulate(&secret, &$Ciphertext::from(ciphertext));
                    secret[0..].zeroize();
                    (Zeroizing::new(shared), KemPublic(Box::new(public)))
                }
            }

            impl KemPublic {
                pub fn parse(bytes: &[u8; PUBLIC_BYTES]) -> Result<Self, BadEncapsulationKey> {
                    let key = $Public::from(bytes);
                    if $set::validate_public_key(&key) {
                        Ok(Self(Box::new(key)))
                    } else {
                        Err(BadEncapsulationKey)
                    }
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
                    let (ciphertext, shared) = $set::encapsulate(&self.0, *randomness);
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
                    for secret in [KemSecret::from_bytes(secret.as_bytes()), secret] {
                        let (opened, again) = secret.decapsulate(&ciphertext);
                        assert_eq!((opened, again.as_bytes()), (shared.clone(), public.as_bytes()));
                    }
                }

                #[test]
                fn refuses_coefficients_beyond_the_modulus() {
                    assert_eq!(KemPublic::parse(&[0xff; PUBLIC_BYTES]).err(), Some(BadEncapsulationKey));
                }
            }
        }
    };
}

parameter_set!(
    /// The sparse step of the ratchet: small enough for a message.
    mlkem768: MlKem768PublicKey, MlKem768Ciphertext,
    encapsulation key 1_184 bytes, ciphertext 1_088 bytes
);
parameter_set!(
    /// The handshake's lock and prekeys.
    mlkem1024: MlKem1024PublicKey, MlKem1024Ciphertext,
    encapsulation key 1_568 bytes, ciphertext 1_568 bytes
);
