//! Frames: a 4-byte big-endian length, then that many bytes of CBOR.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, DecodeError},
    limits::FRAME_BYTES,
};

/// Bytes of the length in front of a frame.
pub const PREFIX_BYTES: usize = 4;

/// Encodes `value` with its length in front.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(value, &mut bytes);
    bytes
}

/// Encodes `value` with its length in front, behind what is in `bytes`.
pub fn append<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    let prefix = bytes.len();
    bytes.extend([0; PREFIX_BYTES]);
    codec::append(value, bytes);
    let length = u32::try_from(bytes.len() - prefix - PREFIX_BYTES).unwrap_or(u32::MAX);
    if let Some(place) = bytes.get_mut(prefix..).and_then(|frame| frame.first_chunk_mut()) {
        *place = length.to_be_bytes();
    }
}

/// Reads a prefix: how many bytes of body follow.
pub fn body_length(prefix: [u8; PREFIX_BYTES]) -> Result<usize, DecodeError> {
    let len = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if len > FRAME_BYTES { Err(DecodeError::TooLong { len, max: FRAME_BYTES }) } else { Ok(len) }
}

/// Decodes a frame's body.
pub fn decode<T: Serialize + DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    codec::decode(body, FRAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        drop::{Deposit, ToDrop},
        id::EnvelopeId,
    };

    #[test]
    fn round_trips_and_bounds() {
        let frame = ToDrop::Deposit(Deposit {
            envelope: EnvelopeId([3; 16]),
            body: serde_bytes::ByteBuf::from(vec![7; crate::limits::ENVELOPE_BYTES]),
        });
        let bytes = encode(&frame);
        let (prefix, body) = bytes.split_first_chunk().unwrap();
        assert_eq!(body_length(*prefix), Ok(body.len()));
        assert_eq!(decode(body), Ok(frame));
        assert!(body_length([0, 1, 0x10, 1]).is_err());
        assert!(body_length([0xff; 4]).is_err());
    }
}
