//! The two AEADs: ChaCha20-Poly1305 (RFC 8439) under keys used once, XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) with random nonces under keys used often.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};

/// Bytes of a Poly1305 tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of an XChaCha20 nonce: random ones do not collide.
pub(crate) const XNONCE_BYTES: usize = 24;

/// The tag does not fit; nothing was decrypted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unauthentic;

pub(crate) fn seal(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
    let cipher = ChaCha20Poly1305::new(key.into());
    #[expect(clippy::expect_used, reason = "fails only beyond the 256 GiB that RFC 8439 allows")]
    let tag = cipher.encrypt_inout_detached(nonce.into(), associated, text.into()).expect("text is short");
    tag.into()
}

pub(crate) fn open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), Unauthentic> {
    ChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, text.into(), tag.into())
        .map_err(|_| Unauthentic)
}

/// Encrypts in place and appends the tag.
pub(crate) fn seal_x(key: &[u8; 32], nonce: &[u8; XNONCE_BYTES], associated: &[u8], text: &mut Vec<u8>) {
    let cipher = XChaCha20Poly1305::new(key.into());
    #[expect(clippy::expect_used, reason = "fails only beyond the 256 GiB that RFC 8439 allows")]
    let tag = cipher
        .encrypt_inout_detached(nonce.into(), associated, text.as_mut_slice().into())
        .expect("text is short");
    text.extend_from_slice(&tag);
}

/// Decrypts in place what [`seal_x`] made and removes the tag.
pub(crate) fn open_x(
    key: &[u8; 32],
    nonce: &[u8; XNONCE_BYTES],
    associated: &[u8],
    text: &mut Vec<u8>,
) -> Result<(), Unauthentic> {
    let length = text.len().checked_sub(TAG_BYTES).ok_or(Unauthentic)?;
    let (body, tag) = text.split_at_mut_checked(length).ok_or(Unauthentic)?;
    let tag: &[u8; TAG_BYTES] = (&*tag).try_into().map_err(|_| Unauthentic)?;
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, body.into(), tag.into())
        .map_err(|_| Unauthentic)?;
    text.truncate(length);
    Ok(())
}
