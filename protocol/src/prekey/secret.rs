//! The secret half of a prekey.

use hermes_wire::{
    Timestamp,
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    curve::CurveSecret,
    ffdh::{ELEMENT_BYTES, EXPONENT_BYTES, PublicElement, SecretExponent},
    identity::IdentityKeyPair,
    kem::mlkem1024::KemSecret,
    prekey::{
        BundleKey,
        entry::{self, kind_code},
    },
    record::{Reader, RecordError, Writer},
};

/// A prekey's secret, with its kind and number. Kept until its last message can have arrived, then deleted.
pub struct PrekeySecret {
    kind: PrekeyKind,
    id: PrekeyId,
    key: Key,
}

enum Key {
    Curve(CurveSecret),
    Kem(KemSecret),
    /// With its public half, which every response needs and which costs an exponentiation.
    FiniteField {
        secret: SecretExponent,
        public: PublicElement,
    },
}

impl PrekeySecret {
    /// Draws a key of this kind.
    pub fn generate(kind: PrekeyKind, id: PrekeyId, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let key = match kind {
            PrekeyKind::Signed | PrekeyKind::OneTime => Key::Curve(CurveSecret::generate(rng)),
            PrekeyKind::OneTimeKem | PrekeyKind::LastResortKem => Key::Kem(KemSecret::generate(rng)),
            PrekeyKind::SignedFf => {
                let secret = SecretExponent::generate(rng);
                let public = secret.public();
                Key::FiniteField { secret, public }
            }
        };
        Self { kind, id, key }
    }

    /// What it is for.
    pub fn kind(&self) -> PrekeyKind {
        self.kind
    }

    /// Its number.
    pub fn id(&self) -> PrekeyId {
        self.id
    }

    /// Signs the public key and seals it for the relay.
    pub fn publish(
        &self,
        owner: &IdentityKeyPair,
        expiry: Timestamp,
        key: &BundleKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> PrekeyEntry {
        let public = match &self.key {
            Key::Curve(secret) => secret.public().0.to_vec(),
            Key::Kem(secret) => secret.public().as_bytes().to_vec(),
            Key::FiniteField { public, .. } => public.to_bytes().to_vec(),
        };
        entry::seal(entry::Outside { kind: self.kind, id: self.id, expiry }, public, owner, key, rng)
    }

    /// For the sealed store: kind, number, secret (an ML-KEM key as its seed, an exponent with its public half).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let writer =
            Writer::new(1 + 8 + EXPONENT_BYTES + ELEMENT_BYTES).u8(kind_code(self.kind)).u64(self.id.0);
        match &self.key {
            Key::Curve(secret) => writer.bytes(secret.as_bytes()),
            Key::Kem(secret) => writer.bytes(secret.as_bytes()),
            Key::FiniteField { secret, public } => {
                writer.bytes(secret.to_bytes().as_slice()).bytes(&public.to_bytes())
            }
        }
        .finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let code = reader.u8()?;
        let kind = PrekeyKind::ALL
            .into_iter()
            .find(|kind| kind_code(*kind) == code)
            .ok_or(RecordError::Malformed)?;
        let id = PrekeyId(reader.u64()?);
        let key = match kind {
            PrekeyKind::Signed | PrekeyKind::OneTime => Key::Curve(CurveSecret::from_bytes(reader.array()?)),
            PrekeyKind::OneTimeKem | PrekeyKind::LastResortKem => {
                Key::Kem(KemSecret::from_bytes(reader.array()?))
            }
            PrekeyKind::SignedFf => Key::FiniteField {
                secret: SecretExponent::from_bytes(reader.array()?),
                public: PublicElement::from_own(reader.array()?).map_err(|_| RecordError::Malformed)?,
            },
        };
        reader.finish()?;
        Ok(Self { kind, id, key })
    }

    pub(crate) fn curve(&self) -> Option<&CurveSecret> {
        if let Key::Curve(secret) = &self.key { Some(secret) } else { None }
    }

    pub(crate) fn kem(&self) -> Option<&KemSecret> {
        if let Key::Kem(secret) = &self.key { Some(secret) } else { None }
    }

    pub(crate) fn finite_field(&self) -> Option<(&SecretExponent, &PublicElement)> {
        if let Key::FiniteField { secret, public } = &self.key { Some((secret, public)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn round_trips_every_kind() {
        for kind in PrekeyKind::ALL {
            let secret = PrekeySecret::generate(kind, PrekeyId(7), &mut rng(1));
            let bytes = secret.to_bytes();
            let again = PrekeySecret::from_bytes(&bytes).unwrap();
            assert_eq!((again.kind(), again.id()), (kind, PrekeyId(7)));
            assert_eq!(again.to_bytes(), bytes);
            assert_eq!(
                PrekeySecret::from_bytes(&bytes[..bytes.len() - 1]).err(),
                Some(RecordError::Malformed)
            );
            assert_eq!(
                PrekeySecret::from_bytes(&[&bytes[..], &[0]].concat()).err(),
                Some(RecordError::Malformed)
            );
        }
    }

    /// A buffer that grows leaves a copy of its keys behind.
    #[test]
    fn the_largest_record_fills_its_buffer() {
        let secret = PrekeySecret::generate(PrekeyKind::SignedFf, PrekeyId(7), &mut rng(1));
        let record = secret.to_bytes();
        assert_eq!(record.capacity(), record.len());
    }
}
