//! One message of a group.
//!
//! ```text
//! tag (2) || sealed header (92) || ciphertext || Poly1305 tag (16) || HMAC-SHA256 (32)
//! ```
//!
//! The header says who wrote it and as which of its messages, and has the signature: it is sealed under a key that all
//! members of the epoch have, with the HMAC as the sample that makes each one's key its own (RFC 9420, section 6.3.2, where
//! it is a piece of the ciphertext). So the relay sees neither who writes nor a signature that it could compare. The HMAC
//! commits to the message key and is checked before anything is decrypted under it; the signature says which member it was,
//! as every member could compute the rest.

use ed25519_dalek::Signature;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    aead::{self, TAG_BYTES},
    body_keys::BodyKeys,
    group::{EpochKeys, GroupMessageError, GroupSkippedChanges, GroupSkippedKeys, Leaf, SenderChain},
    kdf::{self, HmacSha256, Label},
    padding::{self, LENGTH_BYTES},
    secret::MessageKey,
};
use hermes_wire::limits::POST_BYTES;
use hmac::Mac;

/// The version of every body, its first byte.
const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
const GUARD_BYTES: usize = 4;
const SIGNATURE_BYTES: usize = 64;
/// Leaf, iteration, reuse guard, signature.
const HEADER_BYTES: usize = 4 + 4 + GUARD_BYTES + SIGNATURE_BYTES;
const SEALED_HEADER_BYTES: usize = HEADER_BYTES + TAG_BYTES;
/// Bytes of a body besides its padded plaintext.
const OVERHEAD: usize = TAG.len() + SEALED_HEADER_BYTES + TAG_BYTES + MAC_BYTES;
const TAG: [u8; 2] = [VERSION, 1];
pub(super) const COMMIT_TAG: [u8; 2] = [VERSION, 2];
pub(super) const LEAVE_TAG: [u8; 2] = [VERSION, 3];

/// What a body at the relay is, by its first two bytes: a message cannot be taken for a commit, nor the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// [`open`] it.
    Message,
    /// [`crate::group::receive`] it.
    Commit,
    /// [`crate::group::receive`] it.
    LeaveProposal,
}

/// What kind a body claims to be. Bodies of other tags (a commit that lies in a blob, say) are the caller's.
pub fn body_kind(body: &[u8]) -> Result<BodyKind, GroupMessageError> {
    match body.first_chunk() {
        Some(&TAG) => Ok(BodyKind::Message),
        Some(&COMMIT_TAG) => Ok(BodyKind::Commit),
        Some(&LEAVE_TAG) => Ok(BodyKind::LeaveProposal),
        Some([version, _]) if *version > VERSION => Err(GroupMessageError::Newer),
        _ => Err(GroupMessageError::Malformed),
    }
}

/// A received message, taken apart. Nothing of it is authentic yet.
pub struct GroupMessage {
    header: [u8; SEALED_HEADER_BYTES],
    ciphertext: Vec<u8>,
    tag: [u8; TAG_BYTES],
    mac: [u8; MAC_BYTES],
}

/// Who says to have written a message. It is encrypted under a key that all members have; only the signature proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    /// Whose chain.
    pub leaf: Leaf,
    /// Its number in the chain, from 0.
    pub iteration: u32,
}

/// A header with what only this module needs of it.
struct FullHeader {
    of: GroupHeader,
    guard: [u8; GUARD_BYTES],
    signature: [u8; SIGNATURE_BYTES],
}

/// An authentic message.
pub struct OpenedGroupMessage {
    /// What the author wrote.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// What happens to the rows of skipped keys.
    pub skipped: GroupSkippedChanges,
}

/// Seals under the own chain, and gives the chain's next value: both are stored before the body leaves.
pub fn seal(
    keys: &EpochKeys,
    chain: &SenderChain,
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(SenderChain, Vec<u8>), GroupMessageError> {
    let length = OVERHEAD.saturating_add(LENGTH_BYTES).saturating_add(plaintext.len());
    let size = padding::bucket(length);
    if size > POST_BYTES {
        return Err(GroupMessageError::TooLong);
    }
    let mut ciphertext =
        padding::pad(plaintext, size.saturating_sub(OVERHEAD)).ok_or(GroupMessageError::TooLong)?;
    if chain.leaf() != keys.me() {
        return Err(GroupMessageError::WrongLeaf);
    }
    let of = GroupHeader { leaf: chain.leaf(), iteration: chain.iteration() };
    let (key, next) = chain.advance().ok_or(GroupMessageError::Exhausted)?;
    let mut guard = [0; GUARD_BYTES];
    rng.fill_bytes(&mut guard);
    let associated = associated(keys, of);
    let body = body_keys(&associated, &key, &guard);
    let tag = aead::seal(body.cipher(), &body.nonce(), &associated, &mut ciphertext);
    let mac = authenticator(&body, &associated, &ciphertext, &tag).finalize().into_bytes().into();
    let signed = signed(&body, &associated, &ciphertext, &tag);
    let signature = keys.signing().sign(&signed);
    let header = seal_header(keys, &FullHeader { of, guard, signature }, &mac);
    Ok((next, [&TAG[..], &header, &ciphertext, &tag, &mac].concat()))
}

impl GroupMessage {
    /// Takes a body apart.
    pub fn decode(body: &[u8]) -> Result<Self, GroupMessageError> {
        if body_kind(body)? != BodyKind::Message || body.len() > POST_BYTES {
            return Err(GroupMessageError::Malformed);
        }
        Self::parse(body).ok_or(GroupMessageError::Malformed)
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (_, rest) = body.split_first_chunk::<2>()?;
        let (header, rest) = rest.split_first_chunk()?;
        let (rest, mac) = rest.split_last_chunk()?;
        let (ciphertext, tag) = rest.split_last_chunk()?;
        Some(Self { header: *header, ciphertext: ciphertext.to_vec(), tag: *tag, mac: *mac })
    }

    /// Whose chain it needs. [`GroupMessageError::Forged`] if it is not of this epoch.
    pub fn header(&self, keys: &EpochKeys) -> Result<GroupHeader, GroupMessageError> {
        self.full_header(keys).map(|header| header.of)
    }

    fn full_header(&self, keys: &EpochKeys) -> Result<FullHeader, GroupMessageError> {
        open_header(keys, &self.header, &self.mac).ok_or(GroupMessageError::Forged)
    }
}

/// Opens under the author's chain, and gives the chain's next value.
pub fn open(
    keys: &EpochKeys,
    chain: &SenderChain,
    message: &GroupMessage,
    rows: &impl GroupSkippedKeys,
) -> Result<(SenderChain, OpenedGroupMessage), GroupMessageError> {
    let header = message.full_header(keys)?;
    let of = header.of;
    if of.leaf != chain.leaf() {
        return Err(GroupMessageError::WrongLeaf);
    }
    if of.iteration >= chain.iteration() {
        let (key, next, passed) = chain.advance_to(of.iteration)?;
        let plaintext = open_body(keys, chain, message, &header, &key)?;
        let skipped = GroupSkippedChanges::of_jump(passed, rows);
        return Ok((next, OpenedGroupMessage { plaintext, skipped }));
    }
    // A key that is not there was used, or given up; those that were given up are far behind.
    let far = chain.iteration().saturating_sub(of.iteration)
        > u32::try_from(crate::limits::SKIPPED_KEYS_PER_CHAIN).unwrap_or(u32::MAX);
    let missing = if far { GroupMessageError::TooOld } else { GroupMessageError::Duplicate };
    let skipped = rows.message_key(of.leaf, of.iteration).ok_or(missing)?;
    let plaintext = open_body(keys, chain, message, &header, skipped.key())?;
    let skipped = GroupSkippedChanges { put: Vec::new(), delete: vec![(of.leaf, of.iteration)] };
    Ok((chain.clone(), OpenedGroupMessage { plaintext, skipped }))
}

/// HMAC in constant time, then the signature, and only then the body.
fn open_body(
    keys: &EpochKeys,
    chain: &SenderChain,
    message: &GroupMessage,
    header: &FullHeader,
    key: &MessageKey,
) -> Result<Zeroizing<Vec<u8>>, GroupMessageError> {
    let associated = associated(keys, header.of);
    let body = body_keys(&associated, key, &header.guard);
    authenticator(&body, &associated, &message.ciphertext, &message.tag)
        .verify(&message.mac.into())
        .map_err(|_| GroupMessageError::Forged)?;
    let signed = signed(&body, &associated, &message.ciphertext, &message.tag);
    chain
        .verifying()
        .ok_or(GroupMessageError::Forged)?
        .verify_strict(&signed, &Signature::from_bytes(&header.signature))
        .map_err(|_| GroupMessageError::Forged)?;
    let mut padded = Zeroizing::new(message.ciphertext.clone());
    aead::open(body.cipher(), &body.nonce(), &associated, &mut padded, &message.tag)
        .map_err(|_| GroupMessageError::Forged)?;
    padding::unpad(&padded).ok_or(GroupMessageError::BadPadding)
}

/// Version, group, epoch, leaf and iteration: of fixed length, so that no two messages have the same.
fn associated(keys: &EpochKeys, of: GroupHeader) -> [u8; 50] {
    let mut bytes = [0; 50];
    let parts = TAG
        .into_iter()
        .chain(keys.group().0)
        .chain(keys.number().to_be_bytes())
        .chain(of.leaf.0.to_be_bytes())
        .chain(of.iteration.to_be_bytes());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    bytes
}

fn authenticator(body: &BodyKeys, associated: &[u8], ciphertext: &[u8], tag: &[u8; TAG_BYTES]) -> HmacSha256 {
    let mut mac = kdf::mac(body.mac(), Label::GROUP_MAC);
    mac.update(associated);
    mac.update(&u32::try_from(ciphertext.len()).unwrap_or(u32::MAX).to_be_bytes());
    mac.update(ciphertext);
    mac.update(tag);
    mac
}

/// What the author signs. The hash of the MAC key is in it, so that the signature is for one key and one text.
fn signed(body: &BodyKeys, associated: &[u8], ciphertext: &[u8], tag: &[u8; TAG_BYTES]) -> Vec<u8> {
    let key = kdf::hash(Label::GROUP_MAC_KEY, &[body.mac()]);
    let text = kdf::hash(Label::GROUP_CIPHERTEXT, &[tag, ciphertext]);
    [Label::GROUP_SIGNATURE.bytes(), associated, &key, &text].concat()
}

fn seal_header(keys: &EpochKeys, header: &FullHeader, sample: &[u8; MAC_BYTES]) -> [u8; SEALED_HEADER_BYTES] {
    let mut sealed = [0; SEALED_HEADER_BYTES];
    let plain = header
        .of
        .leaf
        .0
        .to_be_bytes()
        .into_iter()
        .chain(header.of.iteration.to_be_bytes())
        .chain(header.guard)
        .chain(header.signature);
    sealed.iter_mut().zip(plain).for_each(|(to, from)| *to = from);
    let (key, nonce) = header_keys(keys, sample);
    if let Some((text, tag)) = sealed.split_at_mut_checked(HEADER_BYTES) {
        let made = aead::seal(&key, &nonce, &TAG, text);
        tag.copy_from_slice(&made);
    }
    sealed
}

fn open_header(
    keys: &EpochKeys,
    sealed: &[u8; SEALED_HEADER_BYTES],
    sample: &[u8; MAC_BYTES],
) -> Option<FullHeader> {
    let (key, nonce) = header_keys(keys, sample);
    let (text, tag) = sealed.split_last_chunk()?;
    let mut text: [u8; HEADER_BYTES] = text.try_into().ok()?;
    aead::open(&key, &nonce, &TAG, &mut text, tag).ok()?;
    let (leaf, rest) = text.split_first_chunk()?;
    let (iteration, rest) = rest.split_first_chunk()?;
    let (guard, rest) = rest.split_first_chunk()?;
    let (signature, _) = rest.split_first_chunk()?;
    let of = GroupHeader { leaf: Leaf(u32::from_be_bytes(*leaf)), iteration: u32::from_be_bytes(*iteration) };
    Some(FullHeader { of, guard: *guard, signature: *signature })
}

fn header_keys(keys: &EpochKeys, sample: &[u8; MAC_BYTES]) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
    let blocks = kdf::derive::<2>(sample, keys.sender_data().as_bytes(), Label::GROUP_HEADER, &[]);
    let [key, nonce] = &*blocks;
    (Zeroizing::new(*key), kdf::nonce(nonce))
}

/// The random guard is the salt: a restored old state that writes its next message under the same message key still has a
/// keystream of its own (RFC 9420, section 6.3.1, mixes it into the nonce only).
fn body_keys(associated: &[u8], key: &MessageKey, guard: &[u8; GUARD_BYTES]) -> BodyKeys {
    BodyKeys::derive(guard, key, Label::GROUP_MESSAGE, associated)
}
