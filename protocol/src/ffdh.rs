//! Diffie-Hellman over a 2048-bit prime: ffdhe2048 of RFC 7919, generator 2, in the subgroup of prime order
//! q = (p - 1) / 2.
//!
//! The prime is fixed and not handed out by a server: whoever picks p can pick one with a trapdoor. This one is built
//! from the digits of e. Two worlds that never meet: [`PublicElement`] is num-bigint, whose running time depends on
//! its operands, and holds public values only; [`SecretExponent`] is crypto-bigint, constant time. Neither converts
//! into the other; an exponent acts on an element, and that is all.

use std::sync::LazyLock;

use crypto_bigint::{CtAssign, CtEq, U256, U2048, const_monty_params, modular::ConstMontyForm};
use num_bigint::BigUint;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a group element, left-padded with zeros.
pub const ELEMENT_BYTES: usize = 256;
/// Bytes of a secret exponent: RFC 7919 section 5.2 asks for at least 225 bits in this group.
pub const EXPONENT_BYTES: usize = 32;

const_monty_params!(
    Prime,
    U2048,
    "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695A9E13641146433FBCC939DCE249B3EF97D2FE363630C75D8F681B202AEC4617AD3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797ABC0AB182B324FB61D108A94BB2C8E3FBB96ADAB760D7F4681D4F42A3DE394DF4AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F619172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005C58EF1837D1683B2C6F34A26C1B2EFFA886B423861285C97FFFFFFFFFFFFFFFF",
    "The prime of ffdhe2048 (RFC 7919, appendix A.1)."
);

type Residue = ConstMontyForm<Prime, { U2048::LIMBS }>;

/// The value is not an element of the group: out of range, or outside the subgroup of order q.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an element of the ffdhe2048 group")]
pub struct BadElement;

/// A public value y with 1 < y < p - 1 and y^q = 1 mod p.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicElement(BigUint);

/// A secret exponent of 256 bits.
pub struct SecretExponent(U256);

impl PublicElement {
    /// Parses a peer's value. For a safe prime, y^q = 1 exactly when y is a square, so the Jacobi symbol decides.
    pub fn parse(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, BadElement> {
        let Self(value) = Self::from_own(bytes)?;
        if is_square(value.clone(), prime()) { Ok(Self(value)) } else { Err(BadElement) }
    }

    /// Reads back what this side computed and has kept to itself since, so that only its range is looked at.
    pub(crate) fn from_own(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, BadElement> {
        let value = BigUint::from_bytes_be(bytes);
        let one = BigUint::from(1u8);
        if value <= one || value >= prime() - &one { Err(BadElement) } else { Ok(Self(value)) }
    }

    /// The value, big-endian, left-padded with zeros.
    pub fn to_bytes(&self) -> [u8; ELEMENT_BYTES] {
        let mut bytes = [0; ELEMENT_BYTES];
        for (to, from) in bytes.iter_mut().rev().zip(self.0.to_bytes_le()) {
            *to = from;
        }
        bytes
    }
}

impl SecretExponent {
    /// Draws an exponent.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; EXPONENT_BYTES]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(&bytes)
    }

    /// Reads a stored exponent, big-endian.
    pub fn from_bytes(bytes: &[u8; EXPONENT_BYTES]) -> Self {
        Self(U256::from_be_slice(bytes))
    }

    /// The exponent for the sealed store, big-endian.
    pub fn to_bytes(&self) -> Zeroizing<[u8; EXPONENT_BYTES]> {
        Zeroizing::new(self.0.to_be_bytes().into())
    }

    /// 2^x mod p: what the peer gets.
    pub fn public(&self) -> PublicElement {
        PublicElement(BigUint::from_bytes_be(value_of(self.raise_generator()).as_ref()))
    }

    /// y^x mod p, left-padded with zeros (RFC 7919, section 3): the shared value, to be stretched, never used as a key.
    pub fn agree(&self, peer: &PublicElement) -> Zeroizing<[u8; ELEMENT_BYTES]> {
        let base = Residue::new(&U2048::from_be_slice(&peer.to_bytes()));
        value_of(base.pow_bounded_exp(&self.0, U256::BITS))
    }

    /// 2^x by a fixed-base comb (Lim and Lee, "More flexible exponentiation with precomputation", CRYPTO '94), with 15
    /// squarings in place of 256: bits of the exponent that stand [`TOOTH_BITS`] apart choose one factor together.
    fn raise_generator(&self) -> Residue {
        let mut power = Residue::ONE;
        for row in (0..BLOCK_BITS).rev() {
            power = power.square();
            for (block, factors) in (0..).step_by(BLOCK_BITS as usize).zip(&*COMB) {
                let mut factor = self.choose(factors, block + row);
                power *= &factor;
                factor.zeroize();
            }
        }
        power
    }

    /// The factor for the bits at `at` of each tooth. Each is read, whichever it is.
    fn choose(&self, factors: &Factors, at: u32) -> Residue {
        let bits = (0..TEETH).map(|tooth| u32::from(self.0.bit_vartime(TOOTH_BITS * tooth + at)) << tooth);
        let wanted: u32 = bits.sum();
        let mut chosen = Residue::ONE;
        for (number, factor) in (0u32..).zip(factors) {
            chosen.ct_assign(factor, number.ct_eq(&wanted));
        }
        chosen
    }
}

/// The exponent as four teeth, and each of them as four blocks: a factor for each choice of teeth and each block, 16 KiB.
const TEETH: u32 = 4;
const TOOTH_BITS: u32 = U256::BITS / TEETH;
const BLOCKS: u32 = 4;
const BLOCK_BITS: u32 = TOOTH_BITS / BLOCKS;

/// For each choice of teeth, the generator raised to their place values.
type Factors = [Residue; 1 << TEETH];

/// By block. Public, and made at the first use in half a millisecond.
static COMB: LazyLock<[Factors; BLOCKS as usize]> = LazyLock::new(|| {
    let mut factors = [[Residue::ONE; 1 << TEETH]; BLOCKS as usize];
    let mut power = Residue::new(&U2048::from(2u8));
    for tooth in 0..TEETH {
        for block in &mut factors {
            // A choice without this tooth and those above it is done; with this tooth it is that times its power.
            let (done, with) = block.split_at_mut(1 << tooth);
            for (with, without) in with.iter_mut().zip(done) {
                *with = *without * power;
            }
            for _ in 0..BLOCK_BITS {
                power = power.square();
            }
        }
    }
    factors
});

/// The residue, big-endian, and the residue wiped.
fn value_of(mut power: Residue) -> Zeroizing<[u8; ELEMENT_BYTES]> {
    let mut value = power.retrieve();
    let bytes = Zeroizing::new(value.to_be_bytes().into());
    power.zeroize();
    value.zeroize();
    bytes
}

impl Drop for SecretExponent {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn prime() -> BigUint {
    let bytes: [u8; ELEMENT_BYTES] = Residue::MODULUS.as_ref().to_be_bytes().into();
    BigUint::from_bytes_be(&bytes)
}

/// Whether the Jacobi symbol (value / modulus) is 1, by halving and subtracting (Shallit and Sorenson, "A binary algorithm
/// for the Jacobi symbol", 1993), which takes a third of the time that dividing does. The modulus is odd. Public
/// numbers: the running time depends on them.
fn is_square(mut value: BigUint, mut modulus: BigUint) -> bool {
    let low = |number: &BigUint, mask: u64| number.iter_u64_digits().next().unwrap_or(0) & mask;
    let mut symbol_is_one = true;
    while let Some(twos) = value.trailing_zeros() {
        value >>= twos;
        // (2/n) = -1 for n = 3, 5 mod 8.
        if twos % 2 == 1 && matches!(low(&modulus, 7), 3 | 5) {
            symbol_is_one = !symbol_is_one;
        }
        if value < modulus {
            // (a/n)(n/a) = -1 if both are 3 mod 4.
            if low(&value, 3) == 3 && low(&modulus, 3) == 3 {
                symbol_is_one = !symbol_is_one;
            }
            std::mem::swap(&mut value, &mut modulus);
        }
        value -= &modulus;
    }
    symbol_is_one && modulus == BigUint::from(1u8)
}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    use super::*;

    fn bytes(value: &BigUint) -> [u8; ELEMENT_BYTES] {
        PublicElement(value.clone()).to_bytes()
    }

    /// Miller-Rabin (FIPS 186-5, B.3.1) with 64 random bases: a composite number passes with a chance of 2^-128 at most
    /// (Rabin, "Probabilistic algorithm for testing primality", 1980, theorem 1). `n - 1 = 2^s d`.
    fn is_prime(n: &BigUint) -> bool {
        let one = BigUint::from(1u8);
        let last = n - &one;
        let s = last.trailing_zeros().unwrap();
        let d = &last >> s;
        let mut rng = crate::testing::rng(1);
        (0..64).all(|_| {
            let mut bytes = [0; ELEMENT_BYTES];
            rng.fill_bytes(&mut bytes);
            let base = BigUint::from_bytes_be(&bytes) % (n - 3u8) + 2u8;
            let mut x = base.modpow(&d, n);
            if x == one || x == last {
                return true;
            }
            (1..s).any(|_| {
                x = x.modpow(&BigUint::from(2u8), n);
                x == last
            })
        })
    }

    /// q by Miller-Rabin; p then without any chance, by Pocklington's theorem: the prime q divides p - 1 and exceeds the
    /// root of p, 2^(p - 1) = 1, and 2^((p - 1) / q) - 1 = 3 has no factor in common with p.
    #[test]
    fn the_prime_is_safe() {
        let (p, one) = (prime(), BigUint::from(1u8));
        let q = &p >> 1;
        assert_eq!((p.bits(), &q * 2u8 + &one), (2048, p.clone()));
        assert!(is_prime(&q));
        assert!(&q * &q > p);
        assert_eq!(BigUint::from(2u8).modpow(&(&p - &one), &p), one);
        assert_ne!(&p % 3u8, BigUint::default());
        assert!(is_prime(&p), "Miller-Rabin agrees");
    }

    /// 2 is not 1 and 2^q is: its order divides the prime q, so it is q, and 2 reaches every element of the subgroup.
    #[test]
    fn two_generates_the_subgroup_of_order_q() {
        let (p, one) = (prime(), BigUint::from(1u8));
        assert_eq!(BigUint::from(2u8).modpow(&(&p >> 1), &p), one);
        let mut exponent = [0; EXPONENT_BYTES];
        exponent[EXPONENT_BYTES - 1] = 1;
        assert_eq!(SecretExponent::from_bytes(&exponent).public().0, BigUint::from(2u8));
    }

    #[test]
    fn the_test_of_primes_finds_what_is_none() {
        for composite in [561u32, 1_105, 341, 25, 27] {
            assert!(!is_prime(&BigUint::from(composite)), "{composite}");
        }
        let p = prime();
        for prime in [65_537u32, 7_919] {
            assert!(is_prime(&BigUint::from(prime)), "{prime}");
            assert!(!is_prime(&(&p * prime)));
        }
        assert!(!is_prime(&(&p + 2u8)));
    }

    /// p = 2^2048 - 2^1984 + (floor(2^1918 e) + 560316) 2^64 - 1 (RFC 7919, appendix A.1), with e summed up as
    /// 1/0! + 1/1! + ... in units of 2^-2100. Fewer than 300 terms are rounded down, each by less than a unit, and the
    /// rest is below one, so the sum misses e by less than 2^-2091; the digits between show that no carry is lost.
    #[test]
    fn the_prime_is_built_from_e() {
        let mut term = BigUint::from(1u8) << 2_100;
        let mut e = BigUint::default();
        for k in 1u32.. {
            e += &term;
            term /= k;
            if term == BigUint::default() {
                break;
            }
        }
        let one = BigUint::from(1u8);
        let unit: BigUint = BigUint::from(1u8) << (2_100 - 1_918);
        let guard: BigUint = &e % &unit;
        assert!(guard.bits() > 172 && (unit - guard).bits() > 172);
        let e = e >> (2_100 - 1_918);
        let expected = (&one << 2048) - (&one << 1984) + ((e + 560_316u32) << 64) - one;
        assert_eq!(prime(), expected);
    }

    #[test]
    fn both_sides_agree_and_match_num_bigint() {
        let mut rng = crate::testing::rng(2);
        let edges =
            [[0; EXPONENT_BYTES], [0xff; EXPONENT_BYTES]].map(|edge| SecretExponent::from_bytes(&edge));
        let drawn: [_; 8] = std::array::from_fn(|_| SecretExponent::generate(&mut rng));
        let b = SecretExponent::generate(&mut rng);
        for a in edges.into_iter().chain(drawn) {
            let shared = a.agree(&b.public());
            let exponent = BigUint::from_bytes_be(a.to_bytes().as_ref());
            assert_eq!(*shared, bytes(&b.public().0.modpow(&exponent, &prime())));
            assert_eq!(a.public().0, BigUint::from(2u8).modpow(&exponent, &prime()));
            assert_eq!(shared, b.agree(&a.public()));
        }
    }

    #[test]
    fn refuses_values_outside_the_group() {
        let p = prime();
        for bad in [0u8, 1].map(BigUint::from).into_iter().chain([&p - 1u8, p.clone(), &p + 2u8]) {
            assert_eq!(PublicElement::parse(&bytes(&bad)), Err(BadElement), "{bad}");
        }
        assert_eq!(PublicElement::parse(&[0xff; ELEMENT_BYTES]), Err(BadElement));
        // p = 7 mod 8, so 2 is a square and -1 is not; then neither is p - 2.
        assert!(PublicElement::parse(&bytes(&BigUint::from(2u8))).is_ok());
        assert_eq!(PublicElement::parse(&bytes(&(&p - 2u8))), Err(BadElement));
    }

    /// Of what this side has kept, the range alone is looked at: p - 2 is no square.
    #[test]
    fn what_was_kept_is_still_looked_at() {
        let p = prime();
        for bad in [0u8, 1].map(BigUint::from).into_iter().chain([&p - 1u8, p.clone()]) {
            assert_eq!(PublicElement::from_own(&bytes(&bad)), Err(BadElement), "{bad}");
        }
        for good in [BigUint::from(2u8), &p - 2u8] {
            assert!(PublicElement::from_own(&bytes(&good)).is_ok());
        }
    }

    #[test]
    fn the_symbol_is_eulers_criterion() {
        let mut rng = crate::testing::rng(3);
        let p = prime();
        let q = &p >> 1;
        let mut seen = [false; 2];
        for _ in 0..16 {
            let value = SecretExponent::generate(&mut rng).public().0 + 1u8;
            let square = value.modpow(&q, &p) == BigUint::from(1u8);
            assert_eq!(is_square(value, p.clone()), square);
            seen[usize::from(square)] = true;
        }
        assert_eq!(seen, [true, true]);
    }
}
