//! Ephemeral messages: what is worth nothing a minute later, outside of every chain, so that a lost one costs no
//! skipped key and sending one writes nothing.
//!
//! ```text
//! nonce       24 bytes
//! ciphertext 182 bytes: the padded text
//! tag         16 bytes: Poly1305
//! mac         32 bytes: HMAC-SHA256
//! ```
//!
//! Each root step yields an ephemeral key beside the chain's keys. It seals in the direction *against* the chain: a side
//! seals under the key of the chain that it hears, which its peer has for certain, while its own newest chain may not
//! have been heard yet. So a side opens under the keys of its own newest chain and of the one before, until the peer has
//! heard the newest. A key is as fresh as the message keys of its chain, and goes with it or, at the side that began the
//! chain, with the next one; messages that come later are lost, which is what they are for.
//!
//! Not header keys, from which one could derive without any state: they stay for 37 days after their chain, and are
//! known a turn earlier than the chain's secrets.
//!
//! Deliberately absent: protection from replays. A message opens as often as it is delivered while its key exists, so
//! its text carries the time, and whoever acts on it passes over old ones.

use hmac::Mac;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    aead::{self, TAG_BYTES, XNONCE_BYTES},
    envelope::{self, EnvelopeError, VERSION},
    kdf::{self, HmacSha256, Label},
    limits::EPHEMERAL_BYTES,
    padding,
    ratchet::{Session, message::Context},
    secret::EphemeralKey,
};

/// Bytes of an HMAC-SHA256.
const MAC_BYTES: usize = 32;
/// Bytes of a padded text.
const PADDED_BYTES: usize = padding::LENGTH_BYTES + EPHEMERAL_BYTES;
/// Bytes of ciphertext and tag.
const SEALED_BYTES: usize = PADDED_BYTES + TAG_BYTES;
const _: () = assert!(
    envelope::EPHEMERAL_PREFIX.len() + XNONCE_BYTES + SEALED_BYTES + MAC_BYTES == padding::SMALLEST,
    "an ephemeral envelope meets its bucket"
);

/// A received ephemeral message, taken apart. Nothing of it is authentic yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralMessage {
    nonce: [u8; XNONCE_BYTES],
    /// XChaCha20-Poly1305 ciphertext and tag, [`SEALED_BYTES`] of them.
    sealed: Vec<u8>,
    mac: [u8; MAC_BYTES],
}

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealEphemeralError {
    /// No chain of the peer has been heard, so there is no key that it has for certain.
    #[error("the session has not received a message yet")]
    NothingOpened,
    /// Larger than the one size that ephemeral messages have.
    #[error("the ephemeral message takes {length} bytes where at most {max} are allowed", max = EPHEMERAL_BYTES)]
    TooLong {
        /// Bytes of plaintext.
        length: usize,
    },
}

/// Why an ephemeral message was not opened. Nothing is lost by leaving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenEphemeralError {
    /// Another session's, late, or changed on its way: which of these cannot be told.
    #[error("the ephemeral message fits no key of this session")]
    NoKey,
    /// Authentic, and sealed or padded in a way that no version does.
    #[error("the sender sealed the ephemeral message wrongly")]
    Malformed,
}

impl Session {
    /// Seals at most 180 bytes into a whole envelope of the smallest size. The session stays as it is, and nothing has
    /// to be durable before the envelope leaves. The text should carry the time: a copy of it opens again.
    pub fn seal_ephemeral(
        &self,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, SealEphemeralError> {
        let receiving = self.receiving.as_ref().ok_or(SealEphemeralError::NothingOpened)?;
        let mut text = padding::pad(plaintext, PADDED_BYTES)
            .ok_or(SealEphemeralError::TooLong { length: plaintext.len() })?;
        let keys = Keys::derive(&receiving.ephemeral);
        let mut nonce = [0; XNONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        aead::seal_x(keys.cipher(), &nonce, &self.binding.0, &mut text);
        let mut message = EphemeralMessage { nonce, sealed: text.to_vec(), mac: [0; MAC_BYTES] };
        message.mac = message.authenticator(&keys, self.context()).finalize().into_bytes().into();
        Ok([&envelope::EPHEMERAL_PREFIX[..], &message.nonce, &message.sealed, &message.mac].concat())
    }

    /// Opens an ephemeral message; the same one as often as it comes. The session stays as it is.
    pub fn open_ephemeral(
        &self,
        message: &EphemeralMessage,
    ) -> Result<Zeroizing<Vec<u8>>, OpenEphemeralError> {
        let newest = self.sending.as_ref().map(|chain| &chain.ephemeral);
        let previous = self.previous.as_ref().map(|chain| &chain.ephemeral);
        for key in newest.into_iter().chain(previous) {
            let keys = Keys::derive(key);
            // In constant time, and before anything is decrypted: the MAC commits to the key, which Poly1305 does not.
            if message.authenticator(&keys, self.context()).verify(&message.mac.into()).is_ok() {
                return message.decrypt(&keys, self.context());
            }
        }
        Err(OpenEphemeralError::NoKey)
    }
}

impl EphemeralMessage {
    fn decrypt(&self, keys: &Keys, context: Context<'_>) -> Result<Zeroizing<Vec<u8>>, OpenEphemeralError> {
        let mut text = Zeroizing::new(self.sealed.clone());
        aead::open_x(keys.cipher(), &self.nonce, &context.binding.0, &mut text)
            .map_err(|_| OpenEphemeralError::Malformed)?;
        padding::unpad(&text).ok_or(OpenEphemeralError::Malformed)
    }

    /// Every field is of fixed length: no two messages give the same input.
    fn authenticator(&self, keys: &Keys, context: Context<'_>) -> HmacSha256 {
        let mut mac = kdf::mac(keys.mac(), Label::EPHEMERAL_MAC);
        mac.update(&[VERSION]);
        mac.update(context.session.as_bytes());
        mac.update(&context.binding.0);
        mac.update(&self.nonce);
        mac.update(&self.sealed);
        mac
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::parse(bytes).ok_or(EnvelopeError::Malformed)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (sealed, rest) = rest.split_first_chunk::<SEALED_BYTES>()?;
        Some(Self { nonce: *nonce, sealed: sealed.to_vec(), mac: rest.try_into().ok()? })
    }
}

/// `k_enc`, which random nonces let seal as often as one likes, and `k_mac`.
struct Keys(Zeroizing<[[u8; 32]; 2]>);

impl Keys {
    fn derive(key: &EphemeralKey) -> Self {
        Self(kdf::derive(&[], key.as_bytes(), Label::EPHEMERAL, &[]))
    }

    fn cipher(&self) -> &[u8; 32] {
        let [cipher, _] = &*self.0;
        cipher
    }

    fn mac(&self) -> &[u8; 32] {
        let [_, mac] = &*self.0;
        mac
    }
}
