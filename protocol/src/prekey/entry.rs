//! One prekey on its way through the relay: signed, then sealed.

use hermes_wire::{
    Timestamp, codec,
    limits::PREKEY_ENTRY_BYTES,
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
};
use rand_core::CryptoRng;
use serde_bytes::{ByteArray, ByteBuf};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    aead::{self, XNONCE_BYTES},
    identity::{Identity, IdentityKeyPair},
    kdf::Label,
    prekey::{BundleError, BundleKey},
};

/// What the relay sees of an entry; bound to what it does not see.
#[derive(Clone, Copy)]
pub(super) struct Outside {
    pub kind: PrekeyKind,
    pub id: PrekeyId,
    pub expiry: Timestamp,
}

/// What the relay does not see.
#[derive(Serialize_tuple, Deserialize_tuple)]
pub(super) struct Inside {
    pub public: ByteBuf,
    signature: ByteArray<64>,
    /// The owner, once per bundle: with the signed prekey.
    pub identity: Option<Identity>,
}

impl Outside {
    fn bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let fields = [kind_code(self.kind)]
            .into_iter()
            .chain(self.id.0.to_be_bytes())
            .chain(self.expiry.0.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    fn associated(self) -> Vec<u8> {
        [Label::PREKEY_ENTRY.bytes(), &self.bytes()].concat()
    }

    /// domain || type || key id || expiry || owner identity || public key: the type fixes the length of the last part.
    fn signed(self, owner: &Identity, public: &[u8]) -> Vec<u8> {
        [Label::PREKEY.bytes(), &self.bytes(), &owner.key_bytes(), public].concat()
    }
}

impl From<&PrekeyEntry> for Outside {
    fn from(entry: &PrekeyEntry) -> Self {
        Self { kind: entry.kind, id: entry.id, expiry: entry.expiry }
    }
}

impl Inside {
    /// Whether `owner` vouches for this key in this role.
    pub fn is_signed_by(&self, owner: &Identity, outside: Outside) -> bool {
        owner.has_signed(&outside.signed(owner, &self.public), &self.signature)
    }
}

/// Signs and seals: nonce, then XChaCha20-Poly1305 ciphertext.
pub(super) fn seal(
    outside: Outside,
    public: Vec<u8>,
    owner: &IdentityKeyPair,
    key: &BundleKey,
    rng: &mut (impl CryptoRng + ?Sized),
) -> PrekeyEntry {
    let signature = owner.sign(&outside.signed(owner.identity(), &public));
    let inside = Inside {
        public: ByteBuf::from(public),
        signature: ByteArray::new(signature),
        identity: (outside.kind == PrekeyKind::Signed).then(|| owner.identity().clone()),
    };
    let mut nonce = [0; XNONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let mut text = codec::encode(&inside);
    aead::seal_x(key.as_bytes(), &nonce, &outside.associated(), &mut text);
    PrekeyEntry {
        kind: outside.kind,
        id: outside.id,
        expiry: outside.expiry,
        sealed: ByteBuf::from([&nonce[..], &text].concat()),
    }
}

/// Opens what [`seal`] made. The signature is still to be checked.
pub(super) fn open(entry: &PrekeyEntry, key: &BundleKey) -> Result<Inside, BundleError> {
    if entry.sealed.len() > PREKEY_ENTRY_BYTES {
        return Err(BundleError::Unreadable);
    }
    let (nonce, text) = entry.sealed.split_first_chunk().ok_or(BundleError::Unreadable)?;
    let mut text = text.to_vec();
    aead::open_x(key.as_bytes(), nonce, &Outside::from(entry).associated(), &mut text)
        .map_err(|_| BundleError::Unreadable)?;
    codec::decode(&text, PREKEY_ENTRY_BYTES).map_err(|_| BundleError::Malformed)
}

/// The kind in one byte, as it is signed and hashed.
pub(crate) fn kind_code(kind: PrekeyKind) -> u8 {
    match kind {
        PrekeyKind::Signed => 1,
        PrekeyKind::OneTime => 2,
        PrekeyKind::OneTimeKem => 3,
        PrekeyKind::LastResortKem => 4,
        PrekeyKind::SignedFf => 5,
    }
}
