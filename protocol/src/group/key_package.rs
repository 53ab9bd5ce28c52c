//! Key packages: what somebody gives to a contact so that the contact can add them to a group while they are offline.

use openmls::prelude::{
    CredentialWithKey, KeyPackageIn, OpenMlsProvider, ProtocolVersion,
    tls_codec::{Deserialize as _, Serialize as _},
};
use rand_core::CryptoRng;

use crate::{
    group::{
        KeyPackageError, Leaf, Member, MemberCard, MlsRows,
        library::{LeafSigner, Library, SUITE, capabilities, leaf_extensions, lifetime},
        member::credential,
    },
    identity::{Fingerprint, Identity, IdentityKeyPair},
    limits::KEY_PACKAGE_BYTES,
    signing::SigningSecret,
};

/// A new key package, both halves.
pub struct DrawnKeyPackage {
    /// What the contact gets: about 3 kB.
    pub public: Vec<u8>,
    /// What [`crate::group::join`] needs. Used once: it goes in the transaction that joins.
    pub rows: MlsRows,
}

/// A contact's key package. A value of this type is signed, and its credential is that contact's.
#[derive(Clone)]
pub struct KeyPackage {
    pub(super) identity: Identity,
    pub(super) card: MemberCard,
    pub(super) package: openmls::prelude::KeyPackage,
}

impl KeyPackage {
    /// Draws one with a leaf signature key of its own. It never expires by itself: its owner replaces it.
    pub fn draw(
        identity: &IdentityKeyPair,
        card: &MemberCard,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<DrawnKeyPackage, KeyPackageError> {
        let failed = |error: &dyn std::fmt::Display| KeyPackageError::Library(error.to_string());
        let signing = SigningSecret::generate(rng);
        let library = Library::empty().map_err(|error| failed(&error))?;
        let extensions = card.encode().and_then(leaf_extensions).map_err(|_| KeyPackageError::Card)?;
        let with_key = CredentialWithKey {
            credential: credential(identity, &signing.public()),
            signature_key: signing.public().as_slice().into(),
        };
        let bundle = openmls::prelude::KeyPackage::builder()
            .key_package_lifetime(lifetime())
            .leaf_node_capabilities(capabilities())
            .leaf_node_extensions(extensions)
            .build(SUITE, &library, &LeafSigner(&signing), with_key)
            .map_err(|error| failed(&error))?;
        library.put_leaf_key(&signing);
        let public = bundle.key_package().tls_serialize_detached().map_err(|error| failed(&error))?;
        Ok(DrawnKeyPackage { public, rows: library.into_rows() })
    }

    /// The place that its owner would have in a group.
    pub fn card(&self) -> &MemberCard {
        &self.card
    }

    /// Checks what `contact` gave.
    pub fn check(bytes: &[u8], contact: &Fingerprint) -> Result<Self, KeyPackageError> {
        if bytes.len() > KEY_PACKAGE_BYTES {
            return Err(KeyPackageError::Malformed);
        }
        let package = KeyPackageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageError::Malformed)?;
        let library = Library::empty().map_err(|error| KeyPackageError::Library(error.to_string()))?;
        let package = package
            .validate(library.crypto(), ProtocolVersion::Mls10)
            .map_err(|_| KeyPackageError::Signature)?;
        if package.ciphersuite() != SUITE || *package.leaf_node().capabilities() != capabilities() {
            return Err(KeyPackageError::Malformed);
        }
        let Member { identity, card, .. } =
            Member::of(Leaf(0), package.leaf_node()).map_err(|rule| match rule {
                crate::group::Rule::Card => KeyPackageError::Card,
                _ => KeyPackageError::Signature,
            })?;
        if identity.fingerprint() != *contact {
            return Err(KeyPackageError::WrongIdentity);
        }
        Ok(Self { identity, card, package })
    }
}
