//! Every derivation and its label, in one table: two uses of one secret never share a label.
//!
//! HKDF-SHA256 (RFC 5869), HMAC-SHA256 (RFC 2104), SHA-256, SHA-512, PBKDF2-HMAC-SHA256 (RFC 8018).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::limits::FF_ITERATIONS;

/// The first bytes of a hash or signature input, or of an HKDF info. No label is a prefix of another.
#[derive(Clone, Copy)]
pub(crate) struct Label(&'static str);

impl Label {
    pub const IDENTITY_CROSS: Self = Self("Hermes/1 identity cross signature|");
    pub const FINGERPRINT: Self = Self("Hermes/1 identity fingerprint|");
    pub const PREKEY: Self = Self("Hermes/1 prekey|");
    pub const PREKEY_ENTRY: Self = Self("Hermes/1 prekey entry|");
    pub const REPLAY: Self = Self("Hermes/1 replay|");
    pub const HANDSHAKE_OPENING: Self = Self("Hermes/1 opening|");
    pub const SEALED_IDENTITY: Self = Self("Hermes/1 sealed identity|");
    pub const TRANSCRIPT: Self = Self("Hermes/1 transcript|");
    /// Followed by the transcript hash, as the handshake's HKDF info.
    pub const HANDSHAKE: Self = Self("Hermes/1 handshake");
    /// Followed by the transcript hash.
    pub const SESSION_ID: Self = Self("Hermes/1 session id");
    pub const SESSION_BINDING: Self = Self("Hermes/1 session binding|");
    pub const ROOT: Self = Self("Hermes/1 root|");
    /// Followed by the hash of encapsulation key and ciphertext.
    pub const ROOT_WITH_KEM: Self = Self("Hermes/1 root with kem|");
    pub const KEM_EXCHANGE: Self = Self("Hermes/1 kem exchange|");
    pub const MESSAGE: Self = Self("Hermes/1 message keys|");
    pub const MESSAGE_MAC: Self = Self("Hermes/1 message mac|");
    pub const EPHEMERAL: Self = Self("Hermes/1 ephemeral keys|");
    pub const EPHEMERAL_MAC: Self = Self("Hermes/1 ephemeral mac|");
    /// Followed by the leaf's signature key.
    pub const GROUP_CREDENTIAL: Self = Self("Hermes/1 group credential|");
    /// Followed by group, epoch and 0xffffffff, which is no leaf.
    pub const GROUP_EPOCH: Self = Self("Hermes/1 group epoch|");
    /// Followed by group, epoch and leaf.
    pub const GROUP_SENDER: Self = Self("Hermes/1 sender|");
    pub const GROUP_HEADER: Self = Self("Hermes/1 group header|");
    pub const GROUP_MESSAGE: Self = Self("Hermes/1 group message|");
    pub const GROUP_MAC: Self = Self("Hermes/1 group mac|");
    pub const GROUP_MAC_KEY: Self = Self("Hermes/1 group mac key|");
    pub const GROUP_CIPHERTEXT: Self = Self("Hermes/1 group ciphertext|");
    pub const GROUP_SIGNATURE: Self = Self("Hermes/1 group signature|");
    pub const GROUP_CHANGE: Self = Self("Hermes/1 group change|");
    /// Also the associated data.
    pub const BLOB: Self = Self("Hermes/1 blob|");
    pub const CONTENT: Self = Self("Hermes/1 content|");
    pub const INVITE_PROOF: Self = Self("Hermes/1 invite proof|");
    pub const INVITE_CHECK: Self = Self("Hermes/1 invite check|");
    pub const SAFETY_NUMBER: Self = Self("Hermes/1 safety number|");

    pub const fn bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

/// SHA-256 of the label and the parts. Unambiguous only if at most the last part varies in length.
pub(crate) fn hash(label: Label, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(label.bytes());
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// SHA-512 over and over, each time of the hash before and the public input again: hash 0 is the label and the input
/// (Signal's `NumericFingerprintGenerator`).
pub(crate) fn iterated(label: Label, input: &[u8; 32], iterations: u32) -> [u8; 64] {
    let mut hash = Sha512::new_with_prefix(label.bytes()).chain_update(input).chain_update(input).finalize();
    for _ in 1..iterations {
        hash = Sha512::new_with_prefix(hash).chain_update(input).finalize();
    }
    hash.into()
}

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// An HMAC-SHA256 in progress, begun with the label.
pub(crate) fn mac(key: &[u8; 32], label: Label) -> HmacSha256 {
    let mut mac = hmac(key);
    mac.update(label.bytes());
    mac
}

/// Symmetric ratchet steps from one key: HMAC-SHA256(key, input) for each one-byte input (Double Ratchet, section 5.2).
pub(crate) fn steps<const N: usize>(key: &[u8; 32], inputs: [u8; N]) -> [Zeroizing<[u8; 32]>; N] {
    let keyed = hmac(key);
    inputs.map(|input| {
        let mut mac = keyed.clone();
        mac.update(&[input]);
        Zeroizing::new(mac.finalize().into_bytes().into())
    })
}

/// HKDF-SHA256 to `N` blocks of 32 bytes, with info = label || context. An empty salt is 32 zero bytes (RFC 5869, 2.2).
pub(crate) fn derive<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    label: Label,
    context: &[u8],
) -> Zeroizing<[[u8; 32]; N]> {
    const { assert!(N <= 255, "HKDF-SHA256 yields at most 255 blocks") };
    let mut blocks = Zeroizing::new([[0; 32]; N]);
    #[expect(clippy::expect_used, reason = "fails only beyond 255 blocks, which does not compile")]
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand_multi_info(&[label.bytes(), context], blocks.as_flattened_mut())
        .expect("length is within bounds");
    blocks
}

/// The finite-field lock: PBKDF2-HMAC-SHA256 over the shared group element.
pub(crate) fn stretch(element: &[u8; 256], salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(element, salt, FF_ITERATIONS))
}

/// Parts with their lengths (32 bits, big-endian) in front, so that no two lists give the same bytes.
pub(crate) fn framed(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let total = parts.iter().map(|part| 4 + part.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(total));
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The first 12 bytes of a derived block, as a nonce.
pub(crate) fn nonce(block: &[u8; 32]) -> [u8; 12] {
    std::array::from_fn(|index| block.get(index).copied().unwrap_or_default())
}

/// A shorter HMAC key is padded with zeros to the hash's block (RFC 2104, section 2); done here it cannot fail.
fn hmac(key: &[u8; 32]) -> HmacSha256 {
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [Label; 33] = [
        Label::IDENTITY_CROSS,
        Label::FINGERPRINT,
        Label::PREKEY,
        Label::PREKEY_ENTRY,
        Label::REPLAY,
        Label::HANDSHAKE_OPENING,
        Label::SEALED_IDENTITY,
        Label::TRANSCRIPT,
        Label::HANDSHAKE,
        Label::SESSION_ID,
        Label::SESSION_BINDING,
        Label::ROOT,
        Label::ROOT_WITH_KEM,
        Label::KEM_EXCHANGE,
        Label::MESSAGE,
        Label::MESSAGE_MAC,
        Label::EPHEMERAL,
        Label::EPHEMERAL_MAC,
        Label::GROUP_CREDENTIAL,
        Label::GROUP_EPOCH,
        Label::GROUP_SENDER,
        Label::GROUP_HEADER,
        Label::GROUP_MESSAGE,
        Label::GROUP_MAC,
        Label::GROUP_MAC_KEY,
        Label::GROUP_CIPHERTEXT,
        Label::GROUP_SIGNATURE,
        Label::GROUP_CHANGE,
        Label::BLOB,
        Label::CONTENT,
        Label::INVITE_PROOF,
        Label::INVITE_CHECK,
        Label::SAFETY_NUMBER,
    ];

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn no_label_is_a_prefix_of_another() {
        for (position, left) in LABELS.iter().enumerate() {
            for right in LABELS.iter().skip(position + 1) {
                assert!(
                    !left.0.starts_with(right.0) && !right.0.starts_with(left.0),
                    "{} {}",
                    left.0,
                    right.0
                );
            }
        }
    }

    /// RFC 4231, test case 2, through a key padded to 32 bytes, which HMAC treats alike.
    #[test]
    fn hmac_known_answer() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mut mac = hmac(&key);
        mac.update(b"what do ya want for nothing?");
        let expected = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(mac.finalize().into_bytes().to_vec(), expected);
    }

    #[test]
    fn framing_tells_apart_what_concatenation_does_not() {
        assert_ne!(*framed(&[b"ab", b"c"]), *framed(&[b"a", b"bc"]));
        assert_ne!(*framed(&[b"", b"a"]), *framed(&[b"a", b""]));
        assert_ne!(*framed(&[b""]), *framed(&[]));
    }

    /// A buffer that grows leaves a copy of its secrets behind.
    #[test]
    fn framed_secrets_fill_their_buffer() {
        let framed = framed(&[&[1; 32], &[2; 7]]);
        assert_eq!(framed.capacity(), framed.len());
    }

    #[test]
    fn salt_label_and_context_each_matter() {
        let base = derive::<1>(&[1], b"secret", Label::ROOT, b"x");
        assert_ne!(base, derive::<1>(&[2], b"secret", Label::ROOT, b"x"));
        assert_ne!(base, derive::<1>(&[1], b"secret", Label::MESSAGE, b"x"));
        assert_ne!(base, derive::<1>(&[1], b"secret", Label::ROOT, b"y"));
    }
}
