//! Padding: an observer learns the bucket of an envelope's size and nothing finer.

use zeroize::Zeroizing;

/// Bytes of the text's length, in front of the text.
pub(crate) const LENGTH_BYTES: usize = 2;

/// The smallest envelope, in bytes.
pub(crate) const SMALLEST: usize = 256;
/// The fixed sizes of small envelopes, in bytes.
const BUCKETS: [usize; 4] = [SMALLEST, 1024, 4 * 1024, 16 * 1024];

/// The size in bytes that an envelope of at least `length` bytes takes.
pub(crate) fn bucket(length: usize) -> usize {
    BUCKETS.into_iter().find(|size| length <= *size).unwrap_or_else(|| padme(length))
}

/// Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PoPETs 2019,
/// algorithm 1): at most 12 % larger, and only O(log log n) bits of the size leak. Lengths from 2.
fn padme(length: usize) -> usize {
    let exponent = length.ilog2();
    let kept_bits = exponent.checked_ilog2().unwrap_or(0) + 1;
    let mask = (1usize << exponent.saturating_sub(kept_bits)) - 1;
    length.saturating_add(mask) & !mask
}

/// Length, text, zeros, `room` bytes in all; `None` if the text does not fit.
pub(crate) fn pad(text: &[u8], room: usize) -> Option<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(text.len()).ok()?;
    if LENGTH_BYTES + text.len() > room {
        return None;
    }
    let mut padded = Zeroizing::new(Vec::with_capacity(room));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(text);
    padded.resize(room, 0);
    Some(padded)
}

/// The text in what [`pad`] made. The sender is authenticated by then; zeros are checked so that a text has one form.
pub(crate) fn unpad(padded: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let (text, zeros) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let clean = zeros.iter().fold(0, |seen, byte| seen | byte) == 0;
    clean.then(|| Zeroizing::new(text.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        for (length, size) in [
            (1, 256),
            (256, 256),
            (257, 1024),
            (1024, 1024),
            (1025, 4096),
            (4097, 16 * 1024),
            (16 * 1024, 16 * 1024),
            // Padmé keeps 4 bits after the leading one from 2^14, and 5 from 2^16.
            (16 * 1024 + 1, 17 * 1024),
            (17 * 1024 + 1, 18 * 1024),
            (32 * 1024 + 1, 34 * 1024),
            (65 * 1024, 66 * 1024),
        ] {
            assert_eq!(bucket(length), size, "{length}");
        }
    }

    #[test]
    fn a_bucket_is_its_own_bucket_and_never_smaller() {
        let mut last = 0;
        for length in 1..=70_000 {
            let size = bucket(length);
            assert!(size >= length && size >= last && bucket(size) == size, "{length}");
            last = size;
        }
    }

    #[test]
    fn only_the_exact_padding_comes_off() {
        let padded = pad(b"text", 10).unwrap();
        assert_eq!(*padded, b"\0\x04text\0\0\0\0");
        assert_eq!(**unpad(&padded).unwrap(), *b"text");
        assert_eq!(*pad(b"text", 6).unwrap(), b"\0\x04text");
        assert!(pad(b"text", 5).is_none());
        assert!(unpad(b"\0\x04text\0\x01").is_none());
        assert!(unpad(b"\0\x04text\x01\x01").is_none());
        assert!(unpad(b"\0\x05text").is_none());
        assert!(unpad(b"\0").is_none());
    }
}
