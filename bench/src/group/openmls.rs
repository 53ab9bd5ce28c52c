//! OpenMLS as it comes: a group that stays in memory, its own storage provider, application messages.

use std::{collections::HashMap, rc::Rc};

use ed25519_dalek::{Signer as _, SigningKey};
use openmls::{
    group::StagedWelcome,
    prelude::{
        BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, KeyPackage, KeyPackageBundle,
        LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
        MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
        ProcessedMessage, ProcessedMessageContent, SignatureScheme, tls_codec::Deserialize as _,
    },
};
use openmls_libcrux_crypto::Provider;
use openmls_traits::signatures::{Signer, SignerError};
use rand::{rand_core::UnwrapErr, rngs::SysRng};

use crate::group::member::{Commit, Member};

/// Hermes' suite.
const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;

/// A member with its provider, which has the storage.
pub struct OpenMlsMember {
    provider: Provider,
    group: MlsGroup,
    key: Rc<LeafKey>,
}

/// Somebody with a key package out.
pub struct Newcomer {
    values: HashMap<Vec<u8>, Vec<u8>>,
    package: KeyPackageBundle,
    key: Rc<LeafKey>,
}

struct LeafKey(SigningKey);

impl Signer for LeafKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl Member for OpenMlsMember {
    type Newcomer = Newcomer;

    const NAME: &'static str = "OpenMLS";

    fn found() -> Self {
        let provider = provider(HashMap::new());
        let (key, credential) = person(0);
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .capabilities(capabilities())
            .build();
        let group = MlsGroup::new(&provider, &*key, &config, credential).expect("a group");
        Self { provider, group, key }
    }

    fn newcomer(number: usize) -> Newcomer {
        let provider = provider(HashMap::new());
        let (key, credential) = person(number);
        let package = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .build(SUITE, &provider, &*key, credential)
            .expect("a key package");
        Newcomer { values: values(&provider), package, key }
    }

    fn copy(&self) -> Self {
        let provider = provider(values(&self.provider));
        let group = MlsGroup::load(provider.storage(), self.group.group_id()).expect("readable");
        Self { provider, group: group.expect("stored"), key: self.key.clone() }
    }

    fn add(&mut self, newcomers: &[Newcomer]) -> Commit {
        let packages: Vec<_> =
            newcomers.iter().map(|newcomer| newcomer.package.key_package().clone()).collect();
        self.commit(packages, Vec::new(), false)
    }

    fn remove(&mut self, leaf: u32) -> Commit {
        self.commit(Vec::new(), vec![LeafNodeIndex::new(leaf)], false)
    }

    fn update(&mut self) -> Commit {
        self.commit(Vec::new(), Vec::new(), true)
    }

    fn merge(&mut self) {
        self.group.merge_pending_commit(&self.provider).expect("a commit under way");
    }

    fn follow(&mut self, commit: &[u8]) {
        let processed = self.process(commit);
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("no commit");
        };
        self.group.merge_staged_commit(&self.provider, *staged).expect("merged");
    }

    fn join(newcomer: &Newcomer, welcome: &[u8]) -> Self {
        let provider = provider(newcomer.values.clone());
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .build();
        let message = MlsMessageIn::tls_deserialize_exact(welcome).expect("a message");
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { panic!("no welcome") };
        let staged = StagedWelcome::build_from_welcome(&provider, &config, welcome)
            .and_then(|builder| builder.build())
            .expect("a good welcome");
        let group = staged.into_group(&provider).expect("a group");
        Self { provider, group, key: newcomer.key.clone() }
    }

    fn encrypt(&mut self, text: &[u8]) -> Vec<u8> {
        let message = self.group.create_message(&self.provider, &*self.key, text).expect("encrypted");
        message.to_bytes().expect("bytes")
    }

    fn decrypt(&mut self, message: &[u8]) -> Vec<u8> {
        match self.process(message).into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => message.into_bytes(),
            _ => panic!("no application message"),
        }
    }

    /// It has.
    fn record(&mut self) {}

    /// Values that are new or differ.
    fn stored_by(&mut self, step: impl FnOnce(&mut Self)) -> usize {
        let before = values(&self.provider);
        step(self);
        let after = values(&self.provider);
        after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(_, value)| value.len())
            .sum()
    }
}

impl OpenMlsMember {
    fn commit(&mut self, adds: Vec<KeyPackage>, removals: Vec<LeafNodeIndex>, update: bool) -> Commit {
        let provider = &self.provider;
        let mut builder = self
            .group
            .commit_builder()
            .force_self_update(update)
            .propose_adds(adds)
            .propose_removals(removals);
        if update {
            builder = builder.leaf_node_parameters(LeafNodeParameters::default());
        }
        let bundle = builder
            .load_psks(provider.storage())
            .expect("no such keys")
            .build(provider.rand(), provider.crypto(), &*self.key, |_| true)
            .expect("a commit")
            .stage_commit(provider)
            .expect("stored");
        let (commit, welcome, _) = bundle.into_messages();
        Commit {
            body: commit.to_bytes().expect("bytes"),
            welcome: welcome.map(|welcome| welcome.to_bytes().expect("bytes")),
        }
    }

    fn process(&mut self, message: &[u8]) -> ProcessedMessage {
        let message = MlsMessageIn::tls_deserialize_exact(message).expect("a message");
        let message = message.try_into_protocol_message().expect("of a group");
        self.group.process_message(&self.provider, message).expect("a good one")
    }
}

fn provider(values: HashMap<Vec<u8>, Vec<u8>>) -> Provider {
    let provider = Provider::new().expect("a provider");
    *provider.storage().values.write().expect("nobody panicked") = values;
    provider
}

fn values(provider: &Provider) -> HashMap<Vec<u8>, Vec<u8>> {
    provider.storage().values.read().expect("nobody panicked").clone()
}

fn capabilities() -> Capabilities {
    Capabilities::new(None, Some(&[SUITE]), None, None, None)
}

fn person(number: usize) -> (Rc<LeafKey>, CredentialWithKey) {
    let key = SigningKey::generate(&mut UnwrapErr(SysRng));
    let credential = CredentialWithKey {
        credential: BasicCredential::new(format!("person {number}").into_bytes()).into(),
        signature_key: key.verifying_key().as_bytes().as_slice().into(),
    };
    (Rc::new(LeafKey(key)), credential)
}
