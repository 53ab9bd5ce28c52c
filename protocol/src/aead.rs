//! The two AEADs: ChaCha20-Poly1305 (RFC 8439) under keys used once, XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) with random nonces under keys used often.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};

/// Bytes of a Poly1305 tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of an XChaCha20 nonce: random ones do not collide.
pub const XNONCE_BYTES: usize = 24;

/// The tag does not fit; nothing was decrypted.
#[derive(Debug, PartialEq, Eq)]
pub struct Unauthentic;

/// Encrypts in place under a key that is used once; returns the tag.
pub fn seal(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
    let cipher = ChaCha20Poly1305::new(key.into());
    #[expect(clippy::expect_used, reason = "fails only beyond the 256 GiB that RFC 8439 allows")]
    let tag = cipher.encrypt_inout_detached(nonce.into(), associated, text.into()).expect("text is short");
    tag.into()
}

/// Decrypts in place what [`seal`] made.
pub fn open(
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

/// Encrypts in place; returns the tag.
// Ciphers are compiled where they are called first: here, for speed, and not in a program that is compiled for size.
#[inline(never)]
pub fn seal_x_detached(
    key: &[u8; 32],
    nonce: &[u8; XNONCE_BYTES],
    associated: &[u8],
    text: &mut [u8],
) -> [u8; TAG_BYTES] {
    let cipher = XChaCha20Poly1305::new(key.into());
    #[expect(clippy::expect_used, reason = "fails only beyond the 256 GiB that RFC 8439 allows")]
    let tag = cipher.encrypt_inout_detached(nonce.into(), associated, text.into()).expect("text is short");
    tag.into()
}

/// Decrypts in place what [`seal_x_detached`] made.
#[inline(never)]
pub fn open_x_detached(
    key: &[u8; 32],
    nonce: &[u8; XNONCE_BYTES],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Result<(), Unauthentic> {
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, text.into(), tag.into())
        .map_err(|_| Unauthentic)
}

/// Encrypts in place and appends the tag.
pub fn seal_x(key: &[u8; 32], nonce: &[u8; XNONCE_BYTES], associated: &[u8], text: &mut Vec<u8>) {
    let tag = seal_x_detached(key, nonce, associated, text);
    text.extend_from_slice(&tag);
}

/// Decrypts in place what [`seal_x`] made and removes the tag.
pub fn open_x(
    key: &[u8; 32],
    nonce: &[u8; XNONCE_BYTES],
    associated: &[u8],
    text: &mut Vec<u8>,
) -> Result<(), Unauthentic> {
    let length = text.len().checked_sub(TAG_BYTES).ok_or(Unauthentic)?;
    let (body, tag) = text.split_at_mut_checked(length).ok_or(Unauthentic)?;
    let tag: &[u8; TAG_BYTES] = (&*tag).try_into().map_err(|_| Unauthentic)?;
    open_x_detached(key, nonce, associated, body, tag)?;
    text.truncate(length);
    Ok(())
}
