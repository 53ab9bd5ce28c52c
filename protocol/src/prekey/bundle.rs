//! A fetched bundle, opened and checked.

use std::fmt;

use hermes_wire::{
    Timestamp,
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteArray, Bytes};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    curve::CurvePublic,
    ffdh::PublicElement,
    identity::{Fingerprint, Identity},
    kem::mlkem1024::KemPublic,
    prekey::entry::{self, Inside, Outside},
};

/// The key under which a mailbox's prekeys are sealed. It travels in tickets, hence the codec; never to a relay.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct BundleKey([u8; 32]);

/// A bundle whose every key is signed by the identity that was expected.
pub struct Bundle {
    pub(crate) identity: Identity,
    pub(crate) signed: SignedKey<CurvePublic>,
    pub(crate) one_time: Option<SignedKey<CurvePublic>>,
    pub(crate) kem: SignedKey<KemPublic>,
    pub(crate) kem_kind: PrekeyKind,
    pub(crate) ff: SignedKey<PublicElement>,
}

/// A checked public prekey with its number.
pub(crate) struct SignedKey<K> {
    pub id: PrekeyId,
    pub key: K,
}

/// Why a bundle cannot be used. The relay or the mailbox's owner is to blame, except for an old ticket's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not sealed under this bundle key, or changed on the way.
    #[error("the recipient's keys do not open with the key from the invite or ticket")]
    Unreadable,
    /// Sealed correctly, but not a prekey.
    #[error("the recipient published malformed keys")]
    Malformed,
    /// An entry stands where another kind belongs.
    #[error("the relay returned a key of the wrong kind")]
    WrongKind,
    /// An entry is past its expiry: the recipient has not been online for months, or the local clock is ahead.
    #[error("the recipient's published keys have expired")]
    Expired,
    /// Not the identity that was promised.
    #[error("the recipient's keys belong to another identity")]
    WrongIdentity,
    /// A key is not signed by that identity.
    #[error("a key of the recipient has a wrong signature")]
    BadSignature,
    /// A signed key is not valid in its group.
    #[error("the recipient published an invalid public key")]
    BadPublicKey,
}

impl Bundle {
    /// Opens, and checks kind, expiry, identity, signatures and group membership of every key.
    pub fn open(
        sealed: &SealedBundle,
        key: &BundleKey,
        expected: &Fingerprint,
        now: Timestamp,
    ) -> Result<Self, BundleError> {
        let signed = open_entry(&sealed.signed, &[PrekeyKind::Signed], key, now)?;
        let identity = signed.identity.clone().ok_or(BundleError::Malformed)?;
        if identity.fingerprint() != *expected {
            return Err(BundleError::WrongIdentity);
        }
        let signed = verified(&sealed.signed, signed, &identity, curve)?;
        let one_time = match &sealed.one_time {
            Some(entry) => {
                let inside = open_entry(entry, &[PrekeyKind::OneTime], key, now)?;
                Some(verified(entry, inside, &identity, curve)?)
            }
            None => None,
        };
        let kinds = [PrekeyKind::OneTimeKem, PrekeyKind::LastResortKem];
        let kem = open_entry(&sealed.kem, &kinds, key, now)?;
        let kem =
            verified(&sealed.kem, kem, &identity, |bytes| KemPublic::parse(bytes.try_into().ok()?).ok())?;
        let ff = open_entry(&sealed.ff, &[PrekeyKind::SignedFf], key, now)?;
        let ff =
            verified(&sealed.ff, ff, &identity, |bytes| PublicElement::parse(bytes.try_into().ok()?).ok())?;
        Ok(Self { identity, signed, one_time, kem, kem_kind: sealed.kem.kind, ff })
    }

    /// Whose keys these are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether the X25519 one-time keys were used up: the first messages then lose forward secrecy when the signed
    /// prekey leaks within its lifetime (X3DH, section 4.4), which the user may want to know.
    pub fn without_one_time_key(&self) -> bool {
        self.one_time.is_none()
    }

    /// Whether the ML-KEM key is the one of last resort, shared by several sessions.
    pub fn with_last_resort_kem(&self) -> bool {
        self.kem_kind == PrekeyKind::LastResortKem
    }
}

fn open_entry(
    entry: &PrekeyEntry,
    kinds: &[PrekeyKind],
    key: &BundleKey,
    now: Timestamp,
) -> Result<Inside, BundleError> {
    if !kinds.contains(&entry.kind) {
        return Err(BundleError::WrongKind);
    }
    let inside = entry::open(entry, key)?;
    if now > entry.expiry { Err(BundleError::Expired) } else { Ok(inside) }
}

fn verified<K>(
    entry: &PrekeyEntry,
    inside: Inside,
    owner: &Identity,
    parse: impl FnOnce(&[u8]) -> Option<K>,
) -> Result<SignedKey<K>, BundleError> {
    if !inside.is_signed_by(owner, Outside::from(entry)) {
        return Err(BundleError::BadSignature);
    }
    let key = parse(&inside.public).ok_or(BundleError::BadPublicKey)?;
    Ok(SignedKey { id: entry.id, key })
}

fn curve(bytes: &[u8]) -> Option<CurvePublic> {
    Some(CurvePublic(bytes.try_into().ok()?))
}

impl BundleKey {
    /// Draws a key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key for the sealed store.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Reads what [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for BundleKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for BundleKey {}

impl fmt::Debug for BundleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BundleKey(..)")
    }
}

impl Serialize for BundleKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes::new(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BundleKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn a_bundle_key_is_its_bytes() {
        let (key, other) = (BundleKey::generate(&mut rng(1)), BundleKey::generate(&mut rng(2)));
        assert!(BundleKey::from_bytes(key.to_bytes()) == key);
        assert!(key != other);
    }
}
