//! Strict CBOR (RFC 8949, core deterministic subset): one value has exactly one encoding.
//!
//! ciborium alone accepts indefinite lengths, over-long integers, duplicate map keys and trailing bytes. All of these
//! would give one message several encodings, which invites parser differentials and signature games. Decoding
//! therefore encodes again and compares.

use std::io::{self, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::limits::CBOR_DEPTH;

/// Why received bytes are not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the caller's limit; nothing was parsed.
    #[error("{len} bytes where at most {max} are allowed")]
    TooLong {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not CBOR, or CBOR of another shape.
    #[error("malformed value")]
    Malformed,
    /// A value of the right shape that is not in its one permitted encoding, or with bytes after it.
    #[error("value is not canonically encoded")]
    NotCanonical,
}

/// Encodes `value` in the one permitted way.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(value, &mut bytes);
    bytes
}

/// Encodes `value` behind what is in `bytes`.
pub(crate) fn append<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    let before = bytes.len();
    // Writing to a Vec cannot fail and our types serialize infallibly; an empty encoding is refused by every decoder.
    if ciborium::into_writer(value, &mut *bytes).is_err() {
        bytes.truncate(before);
    }
}

/// Decodes exactly one value that fills `bytes`, which must be at most `max` long.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    let value = decode_tolerant(bytes, max)?;
    let mut expected = Expected(bytes);
    let is_same = ciborium::into_writer(&value, &mut expected).is_ok() && expected.0.is_empty();
    if is_same { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// Takes what is written as long as it is this, and keeps nothing of it.
struct Expected<'a>(&'a [u8]);

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes without the canonical check, for end-to-end content only, which may carry what a newer version added.
pub fn decode_tolerant<T: DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { len: bytes.len(), max });
    }
    ciborium::de::from_reader_with_recursion_limit(bytes, CBOR_DEPTH).map_err(|_| DecodeError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_the_canonical_encoding() {
        assert_eq!(encode(&5u8), [0x05]);
        assert_eq!(decode::<u8>(&[0x05], 16), Ok(5));
        // The same integer in two bytes, with a trailing byte, and as an indefinite-length array.
        assert_eq!(decode::<u8>(&[0x18, 0x05], 16), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u8>(&[0x05, 0x00], 16), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<Vec<u8>>(&[0x9f, 0x01, 0xff], 16), Err(DecodeError::NotCanonical));
        // A text with another length in front, and one that its encoding would go on after.
        assert_eq!(decode::<String>(&[0x62, 0x61, 0x61], 16), Ok("aa".to_owned()));
        assert_eq!(decode::<String>(&[0x78, 0x02, 0x61, 0x61], 16), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn refuses_length_and_depth() {
        assert_eq!(decode::<u8>(&[0x05], 0), Err(DecodeError::TooLong { len: 1, max: 0 }));
        let deep = vec![0x81; 10_000];
        assert_eq!(decode::<ciborium::Value>(&deep, 20_000), Err(DecodeError::Malformed));
    }
}
