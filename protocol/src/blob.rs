//! Blobs: what is too large for an envelope, sealed under a key of its own. Where it lies and its key travel in a message.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a key drawn for this blob alone, and SHA-256 of the ciphertext, so
//! that one reference names one blob: Poly1305 does not commit to its key.

use hermes_wire::{BlobId, limits};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    aead::{self, TAG_BYTES, XNONCE_BYTES},
    kdf::{self, Label},
};

/// Bytes of a sealed blob.
const BLOB_BYTES: usize = limits::BLOB_BYTES as usize;

/// Where a blob lies, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct BlobRef {
    /// The relay's name for it: 32 random bytes.
    pub id: BlobId,
    /// Bytes of the ciphertext.
    pub size: u32,
    /// SHA-256 of the ciphertext.
    #[serde(with = "serde_bytes")]
    hash: [u8; 32],
    key: BlobKey,
}

/// The key of one blob.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
struct BlobKey([u8; 32]);

impl std::fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobKey(..)")
    }
}

impl Serialize for BlobKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for BlobKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// Why bytes are not the blob of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// More than a blob has.
    #[error("a blob has at most {max} bytes", max = BLOB_BYTES)]
    TooLarge,
    /// Other bytes than those that were sealed.
    #[error("the blob is not the one that was announced")]
    Wrong,
}

/// Seals `text` as a blob: the bytes to store, and the reference to send.
pub fn seal(text: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Result<(Vec<u8>, BlobRef), BlobError> {
    if text.len() > BLOB_BYTES - XNONCE_BYTES - TAG_BYTES {
        return Err(BlobError::TooLarge);
    }
    let (mut key, mut nonce) = (BlobKey([0; 32]), [0; XNONCE_BYTES]);
    let id = BlobId::random(rng);
    rng.fill_bytes(&mut key.0);
    rng.fill_bytes(&mut nonce);
    let mut body = text.to_vec();
    aead::seal_x(&key.0, &nonce, Label::BLOB.bytes(), &mut body);
    let blob = [&nonce[..], &body].concat();
    let size = u32::try_from(blob.len()).map_err(|_| BlobError::TooLarge)?;
    let hash = kdf::hash(Label::BLOB, &[&blob]);
    Ok((blob, BlobRef { id, size, hash, key }))
}

impl BlobRef {
    /// Opens the blob that was fetched.
    pub fn open(&self, blob: &[u8]) -> Result<Vec<u8>, BlobError> {
        let (nonce, body) = blob.split_first_chunk::<XNONCE_BYTES>().ok_or(BlobError::Wrong)?;
        let hash = kdf::hash(Label::BLOB, &[blob]);
        if blob.len() > BLOB_BYTES || !bool::from(hash.ct_eq(&self.hash)) {
            return Err(BlobError::Wrong);
        }
        let mut body = body.to_vec();
        aead::open_x(&self.key.0, nonce, Label::BLOB.bytes(), &mut body).map_err(|_| BlobError::Wrong)?;
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use hermes_wire::codec;

    use super::*;
    use crate::testing::rng;

    #[test]
    fn a_reference_opens_its_own_blob_only() {
        let (blob, reference) = seal(b"a large thing", &mut rng(1)).unwrap();
        assert_eq!(reference.open(&blob).as_deref(), Ok(&b"a large thing"[..]));
        let (other, _) = seal(b"a large thing", &mut rng(2)).unwrap();
        assert_eq!(reference.open(&other), Err(BlobError::Wrong));
        for position in 0..blob.len() {
            let mut mangled = blob.clone();
            mangled[position] ^= 1;
            assert_eq!(reference.open(&mangled), Err(BlobError::Wrong));
        }
        assert_eq!(reference.open(&blob[..10]), Err(BlobError::Wrong));
    }

    /// What fits the key and not the hash: somebody who has the key can make such a blob, as Poly1305 does not commit to it.
    #[test]
    fn the_key_alone_opens_nothing() {
        let (blob, reference) = seal(b"a large thing", &mut rng(1)).unwrap();
        let other = BlobRef { hash: [0; 32], ..reference };
        assert_eq!(other.open(&blob), Err(BlobError::Wrong));
    }

    /// More than [`seal`] makes, under a reference that fits.
    #[test]
    fn a_blob_beyond_the_limit_is_not_opened() {
        let (_, reference) = seal(b"", &mut rng(1)).unwrap();
        let nonce = [0; XNONCE_BYTES];
        let mut body = vec![0; BLOB_BYTES - XNONCE_BYTES - TAG_BYTES + 1];
        aead::seal_x(&reference.key.0, &nonce, Label::BLOB.bytes(), &mut body);
        let blob = [&nonce[..], &body].concat();
        let reference = BlobRef { hash: kdf::hash(Label::BLOB, &[&blob]), ..reference };
        assert_eq!(reference.open(&blob), Err(BlobError::Wrong));
    }

    #[test]
    fn a_reference_travels_and_does_not_show_its_key() {
        let (_, reference) = seal(b"", &mut rng(1)).unwrap();
        let bytes = codec::encode(&reference);
        assert_eq!(codec::decode::<BlobRef>(&bytes, 256).unwrap(), reference);
        assert!(format!("{reference:?}").contains("BlobKey(..)"));
    }

    #[test]
    fn a_blob_has_a_limit() {
        let most = vec![0; BLOB_BYTES - XNONCE_BYTES - TAG_BYTES];
        let (blob, reference) = seal(&most, &mut rng(1)).unwrap();
        assert_eq!(blob.len(), BLOB_BYTES);
        assert_eq!(reference.open(&blob).as_ref(), Ok(&most));
        assert_eq!(seal(&[most, vec![0]].concat(), &mut rng(1)), Err(BlobError::TooLarge));
    }
}
