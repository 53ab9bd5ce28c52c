//! One ratchet message.
//!
//! A fixed layout and not CBOR: padding must make the whole envelope meet its bucket to the byte, which the
//! variable length prefixes of CBOR do not always allow.
//!
//! ```text
//! header nonce   24 bytes
//! length          2 bytes, big-endian: of the header ciphertext
//! header ciphertext and Poly1305 tag
//! body ciphertext (padded text)
//! body tag       16 bytes: Poly1305
//! mac            32 bytes: HMAC-SHA256
//! ```

use hmac::Mac;
use zeroize::Zeroizing;

use crate::{
    aead::{self, TAG_BYTES, XNONCE_BYTES},
    envelope::{EnvelopeError, VERSION},
    kdf::{self, HmacSha256, Label},
    limits::HEADER_BYTES,
    padding,
    ratchet::{Binding, OpenError, SessionId, header::SealedHeader},
    secret::MessageKey,
};

/// Bytes of an HMAC-SHA256.
const MAC_BYTES: usize = 32;
/// Bytes of the header's length.
const LENGTH_BYTES: usize = 2;

/// A received message, taken apart. Nothing of it is authentic yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatchetMessage {
    pub(super) header: SealedHeader,
    body: Vec<u8>,
    tag: [u8; TAG_BYTES],
    mac: [u8; MAC_BYTES],
}

/// What a message is bound to besides its own bytes.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub session: &'a SessionId,
    pub binding: &'a Binding,
}

impl RatchetMessage {
    /// Bytes that a message adds to its padded body.
    pub(super) fn overhead(header: &SealedHeader) -> usize {
        XNONCE_BYTES + LENGTH_BYTES + header.ciphertext.len() + TAG_BYTES + MAC_BYTES
    }

    /// Seals a padded body.
    pub(super) fn seal(
        header: SealedHeader,
        key: &MessageKey,
        mut padded: Zeroizing<Vec<u8>>,
        context: Context<'_>,
    ) -> Self {
        let keys = BodyKeys::derive(key, &header);
        let tag = aead::seal(keys.cipher(), &keys.nonce(), &context.binding.0, &mut padded);
        let mut message = Self { header, body: std::mem::take(&mut *padded), tag, mac: [0; MAC_BYTES] };
        message.mac = message.authenticator(&keys, context).finalize().into_bytes().into();
        message
    }

    /// Checks the HMAC in constant time, and only then decrypts.
    pub(super) fn open(
        &self,
        key: &MessageKey,
        context: Context<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let keys = BodyKeys::derive(key, &self.header);
        self.authenticator(&keys, context).verify(&self.mac.into()).map_err(|_| OpenError::Forged)?;
        let mut padded = Zeroizing::new(self.body.clone());
        aead::open(keys.cipher(), &keys.nonce(), &context.binding.0, &mut padded, &self.tag)
            .map_err(|_| OpenError::Forged)?;
        padding::unpad(&padded).ok_or(OpenError::BadPadding)
    }

    /// Fixed-length fields as they are, the others with their length: no two messages give the same input.
    fn authenticator(&self, keys: &BodyKeys, context: Context<'_>) -> HmacSha256 {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut mac = kdf::mac(keys.mac(), Label::MESSAGE_MAC);
        mac.update(&[VERSION]);
        mac.update(context.session.as_bytes());
        mac.update(&context.binding.0);
        mac.update(&self.header.nonce);
        mac.update(&length(&self.header.ciphertext));
        mac.update(&self.header.ciphertext);
        mac.update(&length(&self.body));
        mac.update(&self.body);
        mac.update(&self.tag);
        mac
    }

    /// Appends the layout above.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let length = u16::try_from(self.header.ciphertext.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&self.header.nonce);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.header.ciphertext);
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(&self.tag);
        bytes.extend_from_slice(&self.mac);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::parse(bytes).ok_or(EnvelopeError::Malformed)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > HEADER_BYTES {
            return None;
        }
        let (ciphertext, rest) = rest.split_at_checked(length)?;
        let (rest, mac) = rest.split_last_chunk()?;
        let (body, tag) = rest.split_last_chunk()?;
        let header = SealedHeader { nonce: *nonce, ciphertext: ciphertext.to_vec() };
        Some(Self { header, body: body.to_vec(), tag: *tag, mac: *mac })
    }
}

/// `k_enc`, `k_mac`, and the nonce in the first 12 bytes of the third block.
struct BodyKeys(Zeroizing<[[u8; 32]; 3]>);

impl BodyKeys {
    /// Salted with the header's nonce: a restored old state seals its next message under the same message key, and the
    /// random nonce still gives it a keystream of its own.
    fn derive(key: &MessageKey, header: &SealedHeader) -> Self {
        Self(kdf::derive(&header.nonce, key.as_bytes(), Label::MESSAGE, &[]))
    }

    fn cipher(&self) -> &[u8; 32] {
        let [cipher, _, _] = &*self.0;
        cipher
    }

    fn mac(&self) -> &[u8; 32] {
        let [_, mac, _] = &*self.0;
        mac
    }

    fn nonce(&self) -> [u8; 12] {
        let [_, _, nonce] = &*self.0;
        kdf::nonce(nonce)
    }
}
