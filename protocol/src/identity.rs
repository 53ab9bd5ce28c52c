//! Identity keys: an Ed25519 key that signs, and an X25519 key for Diffie-Hellman that the first one signed.
//!
//! Two keys and not one converted to the other (as XEdDSA does), so that no proof has to span both schemes.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hermes_wire::byte_id;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use zeroize::Zeroizing;

use crate::{
    curve::{CurvePublic, CurveSecret},
    kdf::{self, Label},
};

byte_id!(
    /// SHA-256 over both public keys: what an invite carries and what people compare.
    Fingerprint, 32
);

/// The secret keys of an account.
pub struct IdentityKeyPair {
    signing: SigningKey,
    agreement: CurveSecret,
    identity: Identity,
}

/// The public keys of an account. A value of this type has a valid cross signature.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireIdentity", into = "WireIdentity")]
pub struct Identity {
    verifying: VerifyingKey,
    agreement: CurvePublic,
    cross: Signature,
}

/// Why received keys are no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The Ed25519 key is no curve point, or one of small order, under which a signature proves nothing.
    #[error("the identity's signing key is not a valid key")]
    Key,
    /// The signing key did not sign the agreement key.
    #[error("the identity's two keys do not belong together")]
    CrossSignature,
}

impl IdentityKeyPair {
    /// Draws both keys.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(SigningKey::generate(rng), CurveSecret::generate(rng))
    }

    /// The Ed25519 seed, then the X25519 secret.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 64]> {
        let mut bytes = Zeroizing::new([0; 64]);
        for (to, from) in
            bytes.iter_mut().zip(self.signing.as_bytes().iter().chain(self.agreement.as_bytes()))
        {
            *to = *from;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; any 64 bytes are a key pair.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut signing, mut agreement) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        for (to, from) in signing.iter_mut().chain(agreement.iter_mut()).zip(bytes) {
            *to = *from;
        }
        Self::new(SigningKey::from_bytes(&signing), CurveSecret::from_bytes(&agreement))
    }

    /// The public half.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn new(signing: SigningKey, agreement: CurveSecret) -> Self {
        let public = agreement.public();
        // Ed25519 is deterministic (RFC 8032), so the same keys have the same cross signature for ever.
        let cross = signing.sign(&cross_signed(&public));
        let identity = Identity { verifying: signing.verifying_key(), agreement: public, cross };
        Self { signing, agreement, identity }
    }

    pub(crate) fn agreement(&self) -> &CurveSecret {
        &self.agreement
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }
}

impl Identity {
    /// What people compare, and what an invite promises.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(kdf::hash(Label::FINGERPRINT, &[self.verifying.as_bytes(), &self.agreement.0]))
    }

    pub(crate) fn agreement(&self) -> &CurvePublic {
        &self.agreement
    }

    /// Both public keys, as they enter signatures and transcripts.
    pub(crate) fn key_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(self.verifying.as_bytes().iter().chain(&self.agreement.0)) {
            *to = *from;
        }
        bytes
    }

    /// Strict verification (RFC 8032 with small-order points refused): a signature means one key and one message.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.verifying.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

/// An identity before its signature has been checked.
#[derive(Serialize_tuple, Deserialize_tuple)]
struct WireIdentity {
    verifying: ByteArray<32>,
    agreement: ByteArray<32>,
    cross: ByteArray<64>,
}

impl TryFrom<WireIdentity> for Identity {
    type Error = IdentityError;

    fn try_from(wire: WireIdentity) -> Result<Self, IdentityError> {
        let verifying = VerifyingKey::from_bytes(&wire.verifying).map_err(|_| IdentityError::Key)?;
        if verifying.is_weak() {
            return Err(IdentityError::Key);
        }
        let agreement = CurvePublic(wire.agreement.into_array());
        let cross = Signature::from_bytes(&wire.cross);
        verifying
            .verify_strict(&cross_signed(&agreement), &cross)
            .map_err(|_| IdentityError::CrossSignature)?;
        Ok(Self { verifying, agreement, cross })
    }
}

impl From<Identity> for WireIdentity {
    fn from(identity: Identity) -> Self {
        Self {
            verifying: ByteArray::new(identity.verifying.to_bytes()),
            agreement: ByteArray::new(identity.agreement.0),
            cross: ByteArray::new(identity.cross.to_bytes()),
        }
    }
}

fn cross_signed(agreement: &CurvePublic) -> Vec<u8> {
    [Label::IDENTITY_CROSS.bytes(), &agreement.0].concat()
}

#[cfg(test)]
mod tests {
    use hermes_wire::codec;

    use super::*;
    use crate::testing::rng;

    #[test]
    fn round_trips() {
        let pair = IdentityKeyPair::generate(&mut rng(1));
        let again = IdentityKeyPair::from_bytes(&pair.to_bytes());
        assert_eq!(again.identity(), pair.identity());
        let bytes = codec::encode(pair.identity());
        assert_eq!(codec::decode::<Identity>(&bytes, 256).as_ref(), Ok(pair.identity()));
    }

    #[test]
    fn refuses_keys_that_do_not_belong_together() {
        let (a, b) = (IdentityKeyPair::generate(&mut rng(1)), IdentityKeyPair::generate(&mut rng(2)));
        let mut wire = WireIdentity::from(a.identity().clone());
        wire.agreement = ByteArray::new(b.identity().agreement.0);
        assert_eq!(Identity::try_from(wire), Err(IdentityError::CrossSignature));
        let mut wire = WireIdentity::from(a.identity().clone());
        // The neutral element: a point of order one.
        wire.verifying = ByteArray::new(std::array::from_fn(|index| u8::from(index == 0)));
        assert_eq!(Identity::try_from(wire), Err(IdentityError::Key));
    }

    #[test]
    fn the_fingerprint_names_both_keys() {
        let (a, b) = (IdentityKeyPair::generate(&mut rng(1)), IdentityKeyPair::generate(&mut rng(2)));
        let mixed = IdentityKeyPair::new(a.signing.clone(), b.agreement.clone());
        assert_ne!(mixed.identity().fingerprint(), a.identity().fingerprint());
        assert_ne!(mixed.identity().fingerprint(), b.identity().fingerprint());
    }
}
