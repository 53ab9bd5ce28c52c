//! X25519 (RFC 7748) through aws-lc. Every shared secret is checked for contribution: a peer's small-order key would fix
//! it to zero.
//!
//! aws-lc-rs and not a library in Rust alone, because a turn of the ratchet is little else than two agreements and a key:
//! aws-lc takes half the time, its field arithmetic is s2n-bignum's (proven correct in HOL Light, written to be constant
//! time), and whoever links a relay's connection has it in the program already.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The peer's public key has small order, so the shared secret would be all zero (RFC 7748, section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotContributory;

/// A secret scalar. `Clone` because a session's key is carried into the next session value.
#[derive(Clone)]
pub(crate) struct CurveSecret {
    bytes: Zeroizing<[u8; 32]>,
    /// The library's form of it, which has the public key with it. Made when it is first needed, because most messages
    /// of a session need none; aws-lc wipes what it frees.
    expanded: OnceLock<Arc<PrivateKey>>,
}

/// A public u-coordinate as received; any 32 bytes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CurvePublic(pub [u8; 32]);

impl CurveSecret {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self { bytes, expanded: OnceLock::new() }
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self { bytes: Zeroizing::new(*bytes), expanded: OnceLock::new() }
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub fn public(&self) -> CurvePublic {
        let public = self.expanded().compute_public_key();
        #[expect(clippy::expect_used, reason = "fails only where allocation does, which aborts")]
        CurvePublic(public.ok().and_then(|key| key.as_ref().try_into().ok()).expect("32 bytes"))
    }

    pub fn agree(&self, public: &CurvePublic) -> Result<Zeroizing<[u8; 32]>, NotContributory> {
        // It takes X.509 too, for which 32 bytes are too few.
        let public = UnparsedPublicKey::new(&X25519, &public.0);
        agreement::agree(self.expanded(), public, NotContributory, |shared| {
            Ok(Zeroizing::new(shared.try_into().map_err(|_| NotContributory)?))
        })
    }

    fn expanded(&self) -> &PrivateKey {
        self.expanded.get_or_init(|| {
            #[expect(clippy::expect_used, reason = "any 32 bytes are a key")]
            Arc::new(PrivateKey::from_private_key(&X25519, self.as_bytes()).expect("32 bytes"))
        })
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
