//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random nonce in front: one key seals many things, and random
//! nonces of 24 bytes do not meet.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;
/// Bytes of a Poly1305 tag (RFC 8439, section 2.5).
const TAG_BYTES: usize = 16;

/// A nonce drawn at random for one sealing. It is passed in because nothing here has a random source.
pub type SealNonce = [u8; NONCE_BYTES];

/// Nonce, ciphertext, tag.
pub(super) fn seal(key: &[u8; 32], nonce: &SealNonce, associated: &[u8], text: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(NONCE_BYTES + text.len() + TAG_BYTES);
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(text);
    let cipher = XChaCha20Poly1305::new(key.into());
    let Some(body) = sealed.get_mut(NONCE_BYTES..) else { return Vec::new() };
    #[expect(clippy::expect_used, reason = "fails only beyond the 256 GiB that RFC 8439 allows")]
    let tag =
        cipher.encrypt_inout_detached(nonce.into(), associated, body.into()).expect("the text is short");
    sealed.extend_from_slice(&tag);
    sealed
}

/// The text of what [`seal`] made, if it is authentic.
pub(super) fn open(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut text = body.to_vec();
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, text.as_mut_slice().into(), tag.into())
        .ok()?;
    Some(text)
}
