//! OpenMLS as it comes: a group that stays in memory, its own storage provider, application messages.
//!
//! Its groups are Hermes' in all that concerns the library: same suite, same leaves, same settings. So one of its groups
//! can become one of Hermes', which spares the latter to grow.

use std::{collections::HashMap, rc::Rc};

use ed25519_dalek::{Signer as _, SigningKey};
use hermes_protocol::group::{EpochKeys, MlsRows};
use openmls::{
    group::StagedWelcome,
    prelude::{
        GroupId, KeyPackage, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsGroupJoinConfig,
        MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
        ProcessedMessage, ProcessedMessageContent, ProtocolVersion, SignatureScheme,
        tls_codec::Deserialize as _,
    },
};
use openmls_libcrux_crypto::Provider;
use openmls_traits::signatures::{Signer, SignerError};

use crate::group::{
    grow::Group,
    hermes::{GROUP, HermesMember, LEAF_KEY, Newcomer, Person},
    member::{Commit, Member},
};

/// A member with its provider, which has the storage.
pub struct OpenMlsMember {
    person: Person,
    /// Hermes' keys of the group's first epoch; its creator has them.
    first: Option<EpochKeys>,
    provider: Provider,
    group: MlsGroup,
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
        let founder = HermesMember::found();
        let provider = provider(values_of(founder.rows()));
        let id = founder.keys().group().0;
        let group = MlsGroup::load(provider.storage(), &GroupId::from_slice(&id)).expect("readable");
        let key = leaf_key(&provider);
        Self {
            person: founder.person().clone(),
            first: Some(founder.keys().clone()),
            provider,
            group: group.expect("stored"),
            key,
        }
    }

    fn newcomer(number: usize) -> Newcomer {
        HermesMember::newcomer(number)
    }

    fn copy(&self) -> Self {
        let provider = provider(values(&self.provider));
        let group = MlsGroup::load(provider.storage(), self.group.group_id()).expect("readable");
        Self {
            person: self.person.clone(),
            first: self.first.clone(),
            provider,
            group: group.expect("stored"),
            key: self.key.clone(),
        }
    }

    fn add(&mut self, newcomers: &[Newcomer]) -> Commit {
        let packages = newcomers.iter().map(|newcomer| self.check(&newcomer.public)).collect();
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
        let provider = provider(values_of(&newcomer.rows));
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .build();
        let message = MlsMessageIn::tls_deserialize_exact(welcome).expect("a message");
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { panic!("no welcome") };
        let staged = StagedWelcome::build_from_welcome(&provider, &config, welcome)
            .and_then(|builder| builder.skip_lifetime_validation().build())
            .expect("a good welcome");
        let group = staged.into_group(&provider).expect("a group");
        let key = leaf_key(&provider);
        Self { person: newcomer.person.clone(), first: None, provider, group, key }
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

impl Group<OpenMlsMember> {
    /// The same group and the same two members, as Hermes has them. The creator commits an update, which gives both of them
    /// the secrets that Hermes takes from the tree.
    pub fn to_hermes(&self) -> Group<HermesMember> {
        let first = self.creator.first.as_ref().expect("the creator has them");
        let [mut creator, mut other] = [&self.creator, &self.other].map(|member| member.to_hermes(first));
        let update = creator.update();
        creator.merge();
        other.follow(&update.body);
        Group { size: self.size, creator, other }
    }
}

impl OpenMlsMember {
    fn to_hermes(&self, first: &EpochKeys) -> HermesMember {
        let mut rows =
            MlsRows(values(&self.provider).into_iter().map(|(key, value)| (key, value.into())).collect());
        rows.0.insert(GROUP.to_vec(), self.group.group_id().as_slice().to_vec().into());
        let (number, leaf) = (self.group.epoch().as_u64(), self.group.own_leaf_index().u32());
        self.person.member_of(first, rows, number, leaf)
    }

    fn check(&self, package: &[u8]) -> KeyPackage {
        let package = KeyPackageIn::tls_deserialize_exact(package).expect("a key package");
        package.validate(self.provider.crypto(), ProtocolVersion::Mls10).expect("a good one")
    }

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

fn values_of(rows: &MlsRows) -> HashMap<Vec<u8>, Vec<u8>> {
    rows.0.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect()
}

fn leaf_key(provider: &Provider) -> Rc<LeafKey> {
    let seed = values(provider)[LEAF_KEY].as_slice().try_into().expect("a seed");
    Rc::new(LeafKey(SigningKey::from_bytes(&seed)))
}
