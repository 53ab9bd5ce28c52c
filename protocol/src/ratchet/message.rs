//! One ratchet message.
//!
//! A fixed layout and not CBOR: padding must make the whole envelope meet its bucket to the byte, which the
//! variable length prefixes of CBOR do not always allow.
//!
//! ```text
//! header nonce   24 bytes
//! header         57 bytes: ciphertext and Poly1305 tag
//! KEM part       if the header says so
//! body ciphertext (padded text)
//! body tag       16 bytes: Poly1305
//! mac            32 bytes: HMAC-SHA256
//! ```
//!
//! No length stands in clear: one would tell which messages take an ML-KEM step. Only the header says where the KEM part
//! ends.

use hmac::Mac;
use zeroize::Zeroizing;

use crate::{
    aead::{self, TAG_BYTES, XNONCE_BYTES},
    body_keys::BodyKeys,
    envelope::{EnvelopeError, VERSION},
    kdf::{self, HmacSha256, Label},
    padding,
    ratchet::{
        Binding, OpenError, SessionId,
        header::{Follows, Header, SEALED_HEADER_BYTES, SealedHeader},
        kem_part::KemPart,
    },
    secret::{HeaderKey, MessageKey},
};

/// Bytes of an HMAC-SHA256.
const MAC_BYTES: usize = 32;

/// A received message, taken apart. Nothing of it is authentic yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatchetMessage {
    pub(super) header: SealedHeader,
    /// KEM part, if there is one, and body ciphertext.
    rest: Vec<u8>,
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
    pub(super) const fn overhead(follows: Follows) -> usize {
        XNONCE_BYTES + SEALED_HEADER_BYTES + follows.sealed_bytes() + TAG_BYTES + MAC_BYTES
    }

    /// Seals a padded body behind a sealed KEM part, which may be empty.
    pub(super) fn seal(
        header: SealedHeader,
        mut kem_part: Vec<u8>,
        key: &MessageKey,
        mut padded: Zeroizing<Vec<u8>>,
        context: Context<'_>,
    ) -> Self {
        let keys = BodyKeys::derive(&header.nonce, key, Label::MESSAGE, &[]);
        let tag = aead::seal(keys.cipher(), &keys.nonce(), &context.binding.0, &mut padded);
        kem_part.append(&mut padded);
        let mut message = Self { header, rest: kem_part, tag, mac: [0; MAC_BYTES] };
        message.mac = message.authenticator(&keys, context).finalize().into_bytes().into();
        message
    }

    /// What stands between the header, which opened under `key`, and the body.
    pub(super) fn kem_part(
        &self,
        header: &Header,
        key: &HeaderKey,
        session: &SessionId,
    ) -> Result<Option<KemPart>, OpenError> {
        let (sealed, _) = self.split(header.follows)?;
        KemPart::open(sealed, header.follows, key, &self.header, session).map_err(|_| OpenError::Forged)
    }

    /// KEM part and body.
    fn split(&self, follows: Follows) -> Result<(&[u8], &[u8]), OpenError> {
        self.rest.split_at_checked(follows.sealed_bytes()).ok_or(OpenError::Forged)
    }

    /// Checks the HMAC in constant time, and only then decrypts the body.
    pub(super) fn open(
        &self,
        follows: Follows,
        key: &MessageKey,
        context: Context<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let keys = BodyKeys::derive(&self.header.nonce, key, Label::MESSAGE, &[]);
        self.authenticator(&keys, context).verify(&self.mac.into()).map_err(|_| OpenError::Forged)?;
        let (_, body) = self.split(follows)?;
        let mut padded = Zeroizing::new(body.to_vec());
        aead::open(keys.cipher(), &keys.nonce(), &context.binding.0, &mut padded, &self.tag)
            .map_err(|_| OpenError::Forged)?;
        padding::unpad(&padded).ok_or(OpenError::BadPadding)
    }

    /// Fixed-length fields as they are, the rest with its length: no two messages give the same input.
    fn authenticator(&self, keys: &BodyKeys, context: Context<'_>) -> HmacSha256 {
        let mut mac = kdf::mac(keys.mac(), Label::MESSAGE_MAC);
        mac.update(&[VERSION]);
        mac.update(context.session.as_bytes());
        mac.update(&context.binding.0);
        mac.update(&self.header.nonce);
        mac.update(&self.header.ciphertext);
        mac.update(&u32::try_from(self.rest.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(&self.rest);
        mac.update(&self.tag);
        mac
    }

    /// Appends the layout above.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.header.nonce);
        bytes.extend_from_slice(&self.header.ciphertext);
        bytes.extend_from_slice(&self.rest);
        bytes.extend_from_slice(&self.tag);
        bytes.extend_from_slice(&self.mac);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        Self::parse(bytes).ok_or(EnvelopeError::Malformed)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_first_chunk()?;
        let (ciphertext, rest) = rest.split_first_chunk::<SEALED_HEADER_BYTES>()?;
        let (rest, mac) = rest.split_last_chunk()?;
        let (rest, tag) = rest.split_last_chunk()?;
        let header = SealedHeader { nonce: *nonce, ciphertext: ciphertext.to_vec() };
        Some(Self { header, rest: rest.to_vec(), tag: *tag, mac: *mac })
    }
}
