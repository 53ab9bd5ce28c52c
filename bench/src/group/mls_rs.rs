//! mls-rs as it comes: a group that stays in memory and is written as a whole, application messages.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use mls_rs::{
    CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group, GroupStateStorage, MlsMessage,
    client_builder::PaddingMode,
    client_builder::{
        BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithMlsRules,
    },
    group::ReceivedMessage,
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
    mls_rules::{DefaultMlsRules, EncryptionOptions},
};
use mls_rs_core::group::{EpochRecord, GroupState};

use crate::group::{
    member::{Commit, Member},
    xwing::{SUITE, XWingProvider},
};

/// As much as there is in a leaf of Hermes: credential and card.
const LEAF_BYTES: usize = 440;

type Config = WithMlsRules<
    DefaultMlsRules,
    WithGroupStateStorage<
        Stored,
        WithCryptoProvider<XWingProvider, WithIdentityProvider<BasicIdentityProvider, BaseConfig>>,
    >,
>;

/// A member, and where it writes.
pub struct MlsRsMember {
    group: Group<Config>,
    stored: Stored,
}

/// Somebody with a key package out.
pub struct Newcomer {
    client: Client<Config>,
    stored: Stored,
    package: MlsMessage,
}

/// The last state that was written, and how many bytes ever were.
#[derive(Clone, Default)]
pub struct Stored(Arc<Mutex<(Vec<u8>, usize)>>);

impl GroupStateStorage for Stored {
    type Error = Infallible;

    fn state(&self, _: &[u8]) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Infallible> {
        let state = self.0.lock().expect("nobody panicked").0.clone();
        Ok((!state.is_empty()).then(|| state.into()))
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(
        &mut self,
        mut state: GroupState,
        inserts: Vec<EpochRecord>,
        updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        let epochs: usize = inserts.iter().chain(&updates).map(|record| record.data.len()).sum();
        let mut stored = self.0.lock().expect("nobody panicked");
        stored.1 += state.data.len() + epochs;
        stored.0 = std::mem::take(&mut *state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

impl Member for MlsRsMember {
    type Newcomer = Newcomer;

    const NAME: &'static str = "mls-rs";

    fn found() -> Self {
        let (client, stored) = client(0);
        let group = client.create_group(ExtensionList::new(), ExtensionList::new(), None).expect("a group");
        Self { group, stored }
    }

    fn newcomer(number: usize) -> Newcomer {
        let (client, stored) = client(number);
        let package = client
            .generate_key_package_message(ExtensionList::new(), ExtensionList::new(), None)
            .expect("a key package");
        Newcomer { client, stored, package }
    }

    fn copy(&self) -> Self {
        Self { group: self.group.clone(), stored: self.stored.clone() }
    }

    fn add(&mut self, newcomers: &[Newcomer]) -> Commit {
        let packages: Vec<_> = newcomers.iter().map(|newcomer| newcomer.package.clone()).collect();
        let mut builder = self.group.commit_builder();
        for package in packages {
            builder = builder.add_member(package).expect("a good key package");
        }
        let made = builder.build().expect("a commit");
        self.committed(&made)
    }

    fn remove(&mut self, leaf: u32) -> Commit {
        let builder = self.group.commit_builder().remove_member(leaf).expect("a member");
        let made = builder.build().expect("a commit");
        self.committed(&made)
    }

    fn update(&mut self) -> Commit {
        let made = self.group.commit_builder().build().expect("a commit");
        self.committed(&made)
    }

    fn merge(&mut self) {
        self.group.apply_pending_commit().expect("a commit under way");
        self.record();
    }

    fn follow(&mut self, commit: &[u8]) {
        let message = MlsMessage::from_bytes(commit).expect("a message");
        let received = self.group.process_incoming_message(message).expect("a good one");
        assert!(matches!(received, ReceivedMessage::Commit(_)), "no commit");
        self.record();
    }

    fn join(newcomer: &Newcomer, welcome: &[u8]) -> Self {
        let welcome = MlsMessage::from_bytes(welcome).expect("a message");
        let (group, _) = newcomer.client.join_group(None, &welcome, None).expect("a good welcome");
        let mut member = Self { group, stored: newcomer.stored.clone() };
        member.record();
        member
    }

    fn encrypt(&mut self, text: &[u8]) -> Vec<u8> {
        let message = self.group.encrypt_application_message(text, Vec::new()).expect("encrypted");
        message.to_bytes().expect("bytes")
    }

    fn decrypt(&mut self, message: &[u8]) -> Vec<u8> {
        let message = MlsMessage::from_bytes(message).expect("a message");
        match self.group.process_incoming_message(message).expect("a good one") {
            ReceivedMessage::ApplicationMessage(message) => message.data().to_vec(),
            _ => panic!("no application message"),
        }
    }

    fn record(&mut self) {
        self.group.write_to_storage().expect("written");
    }

    fn stored_by(&mut self, step: impl FnOnce(&mut Self)) -> usize {
        let written = |stored: &Stored| stored.0.lock().expect("nobody panicked").1;
        let before = written(&self.stored);
        step(self);
        written(&self.stored) - before
    }
}

impl MlsRsMember {
    fn committed(&mut self, made: &mls_rs::group::CommitOutput) -> Commit {
        self.record();
        Commit {
            body: made.commit_message().to_bytes().expect("bytes"),
            welcome: made.welcome_messages().first().map(|welcome| welcome.to_bytes().expect("bytes")),
        }
    }
}

fn client(number: usize) -> (Client<Config>, Stored) {
    let suite = XWingProvider.cipher_suite_provider(SUITE).expect("the suite");
    let (secret, public) = suite.signature_key_generate().expect("a key");
    let mut leaf = format!("person {number}").into_bytes();
    leaf.resize(LEAF_BYTES, 0);
    let credential = BasicCredential::new(leaf).into_credential();
    let stored = Stored::default();
    let rules =
        DefaultMlsRules::new().with_encryption_options(EncryptionOptions::new(true, PaddingMode::None));
    let client = Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(XWingProvider)
        .group_state_storage(stored.clone())
        .mls_rules(rules)
        .signing_identity(SigningIdentity::new(credential, public), secret, SUITE)
        .build();
    (client, stored)
}
