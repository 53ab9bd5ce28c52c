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
    let inside: Inside = codec::decode(&text, PREKEY_ENTRY_BYTES).map_err(|_| BundleError::Malformed)?;
    let names_owner = inside.identity.is_some();
    if names_owner == (entry.kind == PrekeyKind::Signed) { Ok(inside) } else { Err(BundleError::Malformed) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    const OUTSIDE: Outside = Outside { kind: PrekeyKind::OneTime, id: PrekeyId(5), expiry: Timestamp(9) };

    fn sealed() -> (IdentityKeyPair, BundleKey, PrekeyEntry) {
        let (owner, key) = (IdentityKeyPair::generate(&mut rng(1)), BundleKey::generate(&mut rng(2)));
        let entry = seal(OUTSIDE, vec![7; 32], &owner, &key, &mut rng(3));
        (owner, key, entry)
    }

    #[test]
    fn the_signature_covers_role_number_expiry_and_owner() {
        let (owner, key, entry) = sealed();
        let inside = open(&entry, &key).unwrap();
        assert!(inside.is_signed_by(owner.identity(), OUTSIDE));
        // What a holder of the bundle key in league with the relay could seal anew.
        for outside in [
            Outside { kind: PrekeyKind::Signed, ..OUTSIDE },
            Outside { id: PrekeyId(6), ..OUTSIDE },
            Outside { expiry: Timestamp(10), ..OUTSIDE },
        ] {
            assert!(!inside.is_signed_by(owner.identity(), outside));
        }
        let other = IdentityKeyPair::generate(&mut rng(4));
        assert!(!inside.is_signed_by(other.identity(), OUTSIDE));
    }

    #[test]
    fn an_owner_in_the_wrong_place_is_malformed() {
        let (owner, key, _) = sealed();
        let mut nonce_and_text = vec![0; XNONCE_BYTES];
        let mut text = codec::encode(&Inside {
            public: ByteBuf::from(vec![7; 32]),
            signature: ByteArray::new([0; 64]),
            identity: Some(owner.identity().clone()),
        });
        aead::seal_x(key.as_bytes(), &[0; XNONCE_BYTES], &OUTSIDE.associated(), &mut text);
        nonce_and_text.extend(text);
        let Outside { kind, id, expiry } = OUTSIDE;
        let entry = PrekeyEntry { kind, id, expiry, sealed: ByteBuf::from(nonce_and_text) };
        assert_eq!(open(&entry, &key).err(), Some(BundleError::Malformed));
    }

    #[test]
    fn an_entry_opens_up_to_its_limit_and_not_beyond() {
        let (owner, key, _) = sealed();
        let entry = |public: usize| seal(OUTSIDE, vec![7; public], &owner, &key, &mut rng(3));
        let around = entry(1_000).sealed.len() - 1_000;
        let largest = entry(PREKEY_ENTRY_BYTES - around);
        assert_eq!(largest.sealed.len(), PREKEY_ENTRY_BYTES);
        assert!(open(&largest, &key).is_ok());
        let larger = entry(PREKEY_ENTRY_BYTES - around + 1);
        assert_eq!(open(&larger, &key).err(), Some(BundleError::Unreadable));
    }

    #[test]
    fn only_the_signed_prekey_names_the_owner() {
        let (owner, key, _) = sealed();
        for kind in PrekeyKind::ALL {
            let entry = seal(Outside { kind, ..OUTSIDE }, vec![7; 32], &owner, &key, &mut rng(3));
            let named = open(&entry, &key).unwrap().identity;
            assert_eq!(named.as_ref() == Some(owner.identity()), kind == PrekeyKind::Signed);
        }
    }
}
