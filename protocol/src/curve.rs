//! X25519 (RFC 7748). Every shared secret is checked for contribution: a peer's small-order key would fix it to zero.

use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The peer's public key has small order, so the shared secret would be all zero (RFC 7748, section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotContributory;

/// A secret scalar. `Clone` because a session's key is carried into the next session value.
#[derive(Clone)]
pub(crate) struct CurveSecret(StaticSecret);

/// A public u-coordinate as received; any 32 bytes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CurvePublic(pub [u8; 32]);

impl CurveSecret {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(StaticSecret::random_from_rng(rng))
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub fn public(&self) -> CurvePublic {
        CurvePublic(PublicKey::from(&self.0).to_bytes())
    }

    pub fn agree(&self, public: &CurvePublic) -> Result<Zeroizing<[u8; 32]>, NotContributory> {
        let shared = self.0.diffie_hellman(&PublicKey::from(public.0));
        if shared.was_contributory() { Ok(Zeroizing::new(shared.to_bytes())) } else { Err(NotContributory) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn known_answer() {
        let alice =
            CurveSecret::from_bytes(&hex("77076d0a7318a57d3c16c17251b26645df4c2f92ebc099ac0f8d5a3b3d5a8b1c"));
        let bob =
            CurveSecret::from_bytes(&hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
        assert_ne!(alice.public(), bob.public());
        assert_eq!(alice.agree(&bob.public()).unwrap(), bob.agree(&alice.public()).unwrap());
    }

    #[test]
    fn refuses_points_of_small_order() {
        let secret = CurveSecret::from_bytes(&[7; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        // The two points of order 8 (RFC 7748, section 6.1, and Bernstein's list).
        let eight = hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
        let other = hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157");
        let p_minus_1 = hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
        for point in [[0; 32], one, eight, other, p_minus_1] {
            assert_eq!(secret.agree(&CurvePublic(point)).unwrap_err(), NotContributory);
        }
    }
}
