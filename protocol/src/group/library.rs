//! OpenMLS, and nothing else of it: the suite, the provider, the extensions, the signer.
//!
//! OpenMLS draws its randomness from libcrux, which seeds itself from the operating system, and reads the clock for the
//! lifetimes of key packages, which say nothing here. It is the one place in this crate that does either.

use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, Extension, ExtensionType, Extensions, LeafNode, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, OpenMlsProvider, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    RequiredCapabilitiesExtension, SignatureScheme, UnknownExtension,
};
use openmls_traits::signatures::{Signer, SignerError};
use zeroize::Zeroizing;

use crate::{
    group::{
        GroupError, GroupId, MlsRows, RowChanges,
        crypto::Crypto,
        storage::{Kind, Storage},
    },
    signing::SigningSecret,
};

/// X25519 with ML-KEM-768, ChaCha20-Poly1305, SHA-256, Ed25519.
pub(super) const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;
/// What seeds an epoch's secrets (draft-ietf-mls-extensions, safe exporter); of the range for private use.
pub(super) const COMPONENT: u16 = 0xf4e1;
/// The card of a member, in its leaf; of the range for private use (RFC 9420, section 17.3).
pub(super) const CARD: u16 = 0xf4e1;
/// The context of a Hermes group; of the same range.
pub(super) const CONTEXT: u16 = 0xf4e2;

/// The library with one group's rows, or one key package's, for one call.
pub(super) struct Library<'a> {
    crypto: Crypto,
    storage: Storage<'a>,
}

impl<'a> Library<'a> {
    pub(super) fn empty() -> Result<Self, GroupError> {
        Self::over(Storage::default())
    }

    pub(super) fn open(rows: &'a MlsRows) -> Result<Self, GroupError> {
        Self::over(Storage::of(rows))
    }

    fn over(storage: Storage<'a>) -> Result<Self, GroupError> {
        Ok(Self { crypto: Crypto::new().map_err(failed)?, storage })
    }

    /// What has become of the rows.
    pub(super) fn changes(&self) -> RowChanges {
        self.storage.changes()
    }

    /// The same, at the end.
    pub(super) fn into_changes(self) -> RowChanges {
        self.storage.into_changes()
    }

    /// The rows as they are.
    pub(super) fn into_rows(self) -> MlsRows {
        self.storage.into_rows()
    }

    /// The group whose rows these are.
    pub(super) fn only_group(&self) -> Result<MlsGroup, GroupError> {
        let id = self.own(Kind::Group)?;
        let id = openmls::prelude::GroupId::from_slice(&*id);
        MlsGroup::load(&self.storage, &id).map_err(|_| GroupError::Damaged)?.ok_or(GroupError::Damaged)
    }

    /// Names the group whose rows these are.
    pub(super) fn put_group(&self, id: GroupId) {
        self.storage.put_own(Kind::Group, &id.0);
    }

    pub(super) fn put_leaf_key(&self, key: &SigningSecret) {
        self.storage.put_own(Kind::LeafKey, key.as_bytes());
    }

    pub(super) fn leaf_key(&self) -> Result<SigningSecret, GroupError> {
        Ok(SigningSecret::from_bytes(&*self.own(Kind::LeafKey)?))
    }

    fn own(&self, kind: Kind) -> Result<Zeroizing<[u8; 32]>, GroupError> {
        self.storage.own(kind).map_err(|_| GroupError::Damaged)
    }
}

impl<'a> OpenMlsProvider for Library<'a> {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = Storage<'a>;

    fn storage(&self) -> &Storage<'a> {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}

/// Signs with the leaf's key.
pub(super) struct LeafSigner<'a>(pub(super) &'a SigningSecret);

impl Signer for LeafSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
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
