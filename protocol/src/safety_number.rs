//! What two people compare to know that nobody stands between them: sixty digits, or the text of a QR code.
//!
//! As Signal's `NumericFingerprintGenerator` (libsignal, `rust/protocol/src/fingerprint.rs`): thirty digits for each
//! side from 5,200 iterations of SHA-512, the smaller half first, so that both see the same. Ours iterates over the
//! fingerprint, which is a hash of both identity keys already, in place of the key and a stable identifier. Whoever
//! wants other keys under the same number has to meet about 100 bits at 5,200 hashes a try.
//!
//! All of it is public, so nothing here is compared in constant time. Deliberately absent: who is who. Neither form has
//! roles, so that either side can read its own aloud and listen to the other's.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use hermes_wire::codec;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    identity::Fingerprint,
    kdf::{self, Label},
    limits::{SAFETY_CODE_CHARS, SAFETY_NUMBER_ITERATIONS},
};

const SCHEME: &str = "hermes-safety:";
const VERSION: u16 = 1;

/// Digits of a group.
const GROUP_DIGITS: usize = 5;
/// Bytes of the hash that make a group: 40 bits modulo 100,000 are even to one part in ten million.
const GROUP_BYTES: usize = 5;
/// Groups of one side.
const HALF: usize = 6;
/// Groups of a number.
const GROUPS: usize = 2 * HALF;

/// Sixty digits that belong to two identities, the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyNumber([u32; GROUPS]);

/// Both fingerprints in full, for a camera: `hermes-safety:` and base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyCode {
    /// The smaller one, as bytes.
    lower: Fingerprint,
    /// The larger one.
    upper: Fingerprint,
}

/// What somebody read from the other side's screen: either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The digits.
    Number(SafetyNumber),
    /// The text of the QR code.
    Code(SafetyCode),
}

/// Why a text is neither a safety number nor the text of its QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SafetyNumberError {
    /// Something else than digits and spaces, or not sixty of them.
    #[error("a safety number has 60 digits")]
    Digits,
    /// A character is missing, changed or too many.
    #[error("the safety code is damaged; copy the whole line again")]
    Damaged,
    /// Made by a program of another protocol version.
    #[error(
        "the safety code is of version {0}, and this program reads version {VERSION}; update the older side"
    )]
    Version(u16),
}

impl SafetyNumber {
    /// The number of two identities, in either order.
    pub fn between(one: &Fingerprint, other: &Fingerprint) -> Self {
        let (one, other) = (half(one), half(other));
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let mut groups = [0; GROUPS];
        for (to, from) in groups.iter_mut().zip(first.into_iter().chain(second)) {
            *to = from;
        }
        Self(groups)
    }
}

/// One side's groups.
fn half(fingerprint: &Fingerprint) -> [u32; HALF] {
    let hash = kdf::iterated(Label::SAFETY_NUMBER, &fingerprint.0, SAFETY_NUMBER_ITERATIONS);
    let mut groups = [0; HALF];
    for (group, bytes) in groups.iter_mut().zip(hash.chunks_exact(GROUP_BYTES)) {
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // Below 100,000, so it fits.
        *group = u32::try_from(number % 100_000).unwrap_or_default();
    }
    groups
}

impl fmt::Display for SafetyNumber {
    /// Twelve groups of five digits with a space between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, group) in self.0.iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{group:0GROUP_DIGITS$}")?;
        }
        Ok(())
    }
}

impl FromStr for SafetyNumber {
    type Err = SafetyNumberError;

    /// Space may stand anywhere: people read numbers in groups of their own.
    fn from_str(text: &str) -> Result<Self, SafetyNumberError> {
        let mut groups = [0_u32; GROUPS];
        let mut digits = 0;
        for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
            let digit = c.to_digit(10).ok_or(SafetyNumberError::Digits)?;
            let group = groups.get_mut(digits / GROUP_DIGITS).ok_or(SafetyNumberError::Digits)?;
            *group = *group * 10 + digit;
            digits += 1;
        }
        if digits == GROUPS * GROUP_DIGITS { Ok(Self(groups)) } else { Err(SafetyNumberError::Digits) }
    }
}

#[derive(Serialize_tuple, Deserialize_tuple)]
struct WireCode {
    version: u16,
    lower: Fingerprint,
    upper: Fingerprint,
}

impl SafetyCode {
    /// The code of two identities, in either order.
    pub fn between(one: &Fingerprint, other: &Fingerprint) -> Self {
        Self { lower: *one.min(other), upper: *one.max(other) }
    }
}

impl fmt::Display for SafetyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = WireCode { version: VERSION, lower: self.lower, upper: self.upper };
        write!(f, "{SCHEME}{}", BASE64URL_NOPAD.encode(&codec::encode(&wire)))
    }
}

impl FromStr for SafetyCode {
    type Err = SafetyNumberError;

    fn from_str(text: &str) -> Result<Self, SafetyNumberError> {
        let encoded = text.trim().strip_prefix(SCHEME).ok_or(SafetyNumberError::Damaged)?;
        if encoded.len() > SAFETY_CODE_CHARS {
            return Err(SafetyNumberError::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| SafetyNumberError::Damaged)?;
        let wire: WireCode = codec::decode(&bytes, SAFETY_CODE_CHARS).map_err(|_| newer(&bytes))?;
        if wire.version != VERSION {
            return Err(SafetyNumberError::Version(wire.version));
        }
        // One pair has one code; nobody has a number with oneself.
        match wire.lower < wire.upper {
            true => Ok(Self { lower: wire.lower, upper: wire.upper }),
            false => Err(SafetyNumberError::Damaged),
        }
    }
}

/// A code of another version may have another shape; its first field is the version in all of them.
fn newer(bytes: &[u8]) -> SafetyNumberError {
    let version = codec::decode_tolerant::<ciborium::Value>(bytes, SAFETY_CODE_CHARS)
        .ok()
        .and_then(|value| u16::try_from(value.as_array()?.first()?.as_integer()?).ok());
    match version {
        Some(version) if version != VERSION => SafetyNumberError::Version(version),
        _ => SafetyNumberError::Damaged,
    }
}

impl Compared {
    /// Whether it belongs to these two identities.
    pub fn fits(&self, one: &Fingerprint, other: &Fingerprint) -> bool {
        match self {
            Self::Number(number) => *number == SafetyNumber::between(one, other),
            Self::Code(code) => *code == SafetyCode::between(one, other),
        }
    }
}

impl FromStr for Compared {
    type Err = SafetyNumberError;

    fn from_str(text: &str) -> Result<Self, SafetyNumberError> {
        match text.trim().starts_with(SCHEME) {
            true => text.parse().map(Self::Code),
            false => text.parse().map(Self::Number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(byte: u8) -> Fingerprint {
        Fingerprint([byte; 32])
    }

    #[test]
    fn both_sides_see_the_same() {
        let (alice, bob) = (fingerprint(1), fingerprint(2));
        let number = SafetyNumber::between(&alice, &bob);
        assert_eq!(number, SafetyNumber::between(&bob, &alice));
        assert_eq!(SafetyCode::between(&alice, &bob), SafetyCode::between(&bob, &alice));
        assert_eq!(number.to_string().len(), 12 * 5 + 11);
    }

    /// By Python's hashlib. The half of the first fingerprint is the larger one.
    #[test]
    fn a_number_is_what_another_program_computes() {
        let number = SafetyNumber::between(&fingerprint(1), &fingerprint(2));
        let expected = "16221 98155 07005 75238 62727 80508 80858 75135 78160 94354 24455 00299";
        assert_eq!(number.to_string(), expected);
    }

    #[test]
    fn a_code_is_read_up_to_its_limit_and_not_beyond() {
        // Array head, version, and the head of a text of 24 to 255 bytes, in front of the text.
        let later = |bytes: usize| {
            let encoded = codec::encode(&(9u16, "x".repeat(bytes - 4)));
            assert_eq!(encoded.len(), bytes);
            format!("{SCHEME}{}", BASE64URL_NOPAD.encode(&encoded))
        };
        let bytes = SAFETY_CODE_CHARS / 4 * 3;
        let largest = later(bytes);
        assert_eq!(largest.len(), SCHEME.len() + SAFETY_CODE_CHARS);
        assert_eq!(largest.parse::<SafetyCode>(), Err(SafetyNumberError::Version(9)));
        assert_eq!(later(bytes + 1).parse::<SafetyCode>(), Err(SafetyNumberError::Damaged));
    }

    #[test]
    fn another_key_on_either_side_is_another_number() {
        let (alice, bob, eve) = (fingerprint(1), fingerprint(2), fingerprint(3));
        let number = SafetyNumber::between(&alice, &bob);
        assert_ne!(number, SafetyNumber::between(&alice, &eve));
        assert_ne!(number, SafetyNumber::between(&eve, &bob));
        let code = SafetyCode::between(&alice, &bob);
        assert_ne!(code, SafetyCode::between(&alice, &eve));
        assert_ne!(code, SafetyCode::between(&eve, &bob));
        let mut close = bob;
        close.0[31] ^= 1;
        assert!(Compared::Number(number).fits(&bob, &alice) && Compared::Code(code).fits(&bob, &alice));
        assert!(!Compared::Number(number).fits(&close, &alice) && !Compared::Code(code).fits(&close, &alice));
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        let number = SafetyNumber::between(&fingerprint(1), &fingerprint(2));
        let text = number.to_string();
        let digits: String = text.split(' ').collect();
        for typed in [&text, &digits, &format!("  {}\n{}\t", &text[..35], &text[35..])] {
            assert_eq!(typed.parse(), Ok(number), "{typed}");
            assert_eq!(typed.parse(), Ok(Compared::Number(number)), "{typed}");
        }
        for wrong in ["", "12345", &digits[1..], &format!("{digits}0"), &text.replace(' ', "-"), "٣"] {
            assert_eq!(wrong.parse::<SafetyNumber>(), Err(SafetyNumberError::Digits), "{wrong}");
        }
    }

    #[test]
    fn a_code_has_one_form() {
        let (lower, upper) = (fingerprint(1), fingerprint(2));
        let code = SafetyCode::between(&upper, &lower);
        let text = code.to_string();
        assert_eq!(text.parse(), Ok(code));
        assert_eq!(format!(" {text}\n").parse(), Ok(Compared::Code(code)));
        let encoded = |wire: &WireCode| format!("{SCHEME}{}", BASE64URL_NOPAD.encode(&codec::encode(wire)));
        let swapped = encoded(&WireCode { version: VERSION, lower: upper, upper: lower });
        let oneself = encoded(&WireCode { version: VERSION, lower, upper: lower });
        let longer = format!("{text}{}", "A".repeat(SAFETY_CODE_CHARS));
        for wrong in [&swapped, &oneself, &text[..text.len() - 4], &format!("{text}AAAA"), &longer, SCHEME] {
            assert_eq!(wrong.parse::<SafetyCode>(), Err(SafetyNumberError::Damaged), "{wrong}");
        }
        let later = BASE64URL_NOPAD.encode(&codec::encode(&(9u16, "of another shape")));
        assert_eq!(format!("{SCHEME}{later}").parse::<Compared>(), Err(SafetyNumberError::Version(9)));
        let later = encoded(&WireCode { version: 2, lower, upper });
        assert_eq!(later.parse::<SafetyCode>(), Err(SafetyNumberError::Version(2)));
    }
}
