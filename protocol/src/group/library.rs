//! OpenMLS, and nothing else of it: the suite, the storage, the extensions, the signer.
//!
//! OpenMLS draws its randomness from libcrux, which seeds itself from the operating system, and reads the clock for the
//! lifetimes of key packages, which say nothing here. It is the one place in this crate that does either.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, Extension, ExtensionType, Extensions, LeafNode, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, OpenMlsProvider, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    RequiredCapabilitiesExtension, SignatureScheme, UnknownExtension,
};
use openmls_libcrux_crypto::Provider;
use openmls_traits::signatures::{Signer, SignerError};
use zeroize::{Zeroize, Zeroizing};

use crate::group::{GroupError, GroupId, MlsRows};

/// X25519 with ML-KEM-768, ChaCha20-Poly1305, SHA-256, Ed25519.
pub(super) const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;
/// What seeds an epoch's secrets (draft-ietf-mls-extensions, safe exporter); of the range for private use.
pub(super) const COMPONENT: u16 = 0xf4e1;
/// The card of a member, in its leaf; of the range for private use (RFC 9420, section 17.3).
pub(super) const CARD: u16 = 0xf4e1;
/// The context of a Hermes group; of the same range.
pub(super) const CONTEXT: u16 = 0xf4e2;
/// Where the seed of the leaf's signature key stands among the library's rows.
const LEAF_KEY: &[u8] = b"hermes leaf key";
/// Where the group's name stands there.
const GROUP: &[u8] = b"hermes group";

/// The library with one group's rows, or one key package's, for one call.
pub(super) struct Library(Provider);

impl Library {
    pub(super) fn empty() -> Result<Self, GroupError> {
        Provider::new().map(Self).map_err(failed)
    }

    pub(super) fn open(rows: &MlsRows) -> Result<Self, GroupError> {
        let library = Self::empty()?;
        let mut values = library.0.storage().values.write().map_err(failed)?;
        values.extend(rows.0.iter().map(|(key, value)| (key.clone(), value.to_vec())));
        drop(values);
        Ok(library)
    }

    /// The rows as they are.
    pub(super) fn rows(&self) -> Result<MlsRows, GroupError> {
        let values = self.0.storage().values.read().map_err(failed)?;
        let rows: BTreeMap<_, _> =
            values.iter().map(|(key, value)| (key.clone(), Zeroizing::new(value.clone()))).collect();
        Ok(MlsRows(rows))
    }

    pub(super) fn provider(&self) -> &Provider {
        &self.0
    }

    /// The group whose rows these are.
    pub(super) fn only_group(&self) -> Result<MlsGroup, GroupError> {
        let id: [u8; 32] = self.value(GROUP)?;
        let id = openmls::prelude::GroupId::from_slice(&id);
        MlsGroup::load(self.0.storage(), &id).map_err(|_| GroupError::Damaged)?.ok_or(GroupError::Damaged)
    }

    /// Names the group whose rows these are.
    pub(super) fn put_group(&self, id: GroupId) -> Result<(), GroupError> {
        self.put_value(GROUP, &id.0)
    }

    pub(super) fn put_leaf_key(&self, key: &SigningKey) -> Result<(), GroupError> {
        self.put_value(LEAF_KEY, key.as_bytes())
    }

    pub(super) fn leaf_key(&self) -> Result<SigningKey, GroupError> {
        Ok(SigningKey::from_bytes(&Zeroizing::new(self.value(LEAF_KEY)?)))
    }

    fn put_value(&self, name: &[u8], value: &[u8; 32]) -> Result<(), GroupError> {
        let mut values = self.0.storage().values.write().map_err(failed)?;
        values.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    fn value(&self, name: &[u8]) -> Result<[u8; 32], GroupError> {
        let values = self.0.storage().values.read().map_err(failed)?;
        let value = values.get(name).and_then(|value| value.as_slice().try_into().ok());
        value.ok_or(GroupError::Damaged)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Ok(mut values) = self.0.storage().values.write() {
            values.values_mut().for_each(Zeroize::zeroize);
        }
    }
}

/// Signs with the leaf's key.
pub(super) struct LeafSigner<'a>(pub(super) &'a SigningKey);

impl Signer for LeafSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A failure of the library that no caller can mend.
pub(super) fn failed(error: impl std::fmt::Display) -> GroupError {
    GroupError::Library(error.to_string())
}

/// What every leaf says it can do: exactly what a Hermes group needs.
pub(super) fn capabilities() -> Capabilities {
    Capabilities::new(
        None,
        Some(&[SUITE]),
        Some(&[ExtensionType::Unknown(CARD), ExtensionType::Unknown(CONTEXT)]),
        None,
        Some(&[CredentialType::Basic]),
    )
}

pub(super) fn required() -> Extension {
    let extensions = [ExtensionType::Unknown(CARD), ExtensionType::Unknown(CONTEXT)];
    Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(
        &extensions,
        &[],
        &[CredentialType::Basic],
    ))
}

/// The extensions of a leaf: its card, alone.
pub(super) fn leaf_extensions(card: Vec<u8>) -> Result<Extensions<LeafNode>, GroupError> {
    Extensions::single(Extension::Unknown(CARD, UnknownExtension(card))).map_err(failed)
}

pub(super) fn create_config(
    context: Extensions<openmls::prelude::GroupContext>,
    leaf: Extensions<LeafNode>,
) -> Result<MlsGroupCreateConfig, GroupError> {
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(true)
        .capabilities(capabilities())
        .lifetime(lifetime())
        .with_group_context_extensions(context)
        .with_leaf_node_extensions(leaf)
        .map_err(failed)?;
    Ok(config.build())
}

pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(true)
        .build()
}

/// Any time: a key package is good until its owner replaces it, and no clock is asked.
pub(super) fn lifetime() -> openmls::prelude::Lifetime {
    openmls::prelude::Lifetime::init(0, u64::MAX)
}
