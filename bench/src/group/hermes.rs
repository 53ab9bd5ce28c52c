//! Hermes as the daemon runs it: rows in, changes out, a chain of one row for each member.

use std::{collections::BTreeMap, rc::Rc};

use ed25519_dalek::SigningKey;
use hermes_protocol::{
    IdentityKeyPair,
    group::{
        self, Change, EpochKeys, EpochSecrets, GroupContext, GroupId, GroupMessage, GroupSkippedKey,
        GroupSkippedKeys, KeyPackage, Leaf, MemberCard, MlsRows, Received, RowChanges, SenderChain,
    },
};
use hermes_wire::{
    ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
    channel::CopyKey,
    token::{DropToken, Permission, SignedDropToken},
};
use rand::{rand_core::UnwrapErr, rngs::SysRng};

use crate::group::member::{Commit, Member};

/// An account, and what it tells the others about itself.
#[derive(Clone)]
pub struct Person {
    identity: Rc<IdentityKeyPair>,
    card: MemberCard,
}

/// A member with its rows, and the secrets of its epoch.
pub struct HermesMember {
    person: Person,
    rows: MlsRows,
    keys: EpochKeys,
    chains: BTreeMap<Leaf, SenderChain>,
    /// Of the epoch that an own commit begins.
    next: Option<EpochSecrets>,
    /// Whose chain the last message has moved.
    moved: Leaf,
    stored: usize,
}

/// Somebody with a key package out.
pub struct Newcomer {
    pub(super) person: Person,
    pub(super) rows: MlsRows,
    /// What a contact gets.
    pub(super) public: Vec<u8>,
    package: KeyPackage,
}

/// In order, nothing is ever skipped.
struct NothingSkipped;

impl GroupSkippedKeys for NothingSkipped {
    fn message_key(&self, _: Leaf, _: u32) -> Option<GroupSkippedKey> {
        None
    }
    fn stored(&self) -> Vec<(Leaf, u32)> {
        Vec::new()
    }
}

impl Member for HermesMember {
    type Newcomer = Newcomer;

    const NAME: &'static str = "Hermes";

    fn found() -> Self {
        let person = person(0);
        let Person { identity, card } = &person;
        let context = GroupContext {
            name: "ops".to_owned(),
            channel: ChannelId([7; 32]),
            relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).expect("an address"),
            admins: [identity.identity().fingerprint()].into(),
        };
        let created = group::create(identity, GroupId([5; 32]), &context, card, &mut rng()).expect("a group");
        Self::new(person, created.rows, created.secrets)
    }

    fn newcomer(number: usize) -> Newcomer {
        let person = person(number);
        let Person { identity, card } = &person;
        let drawn = KeyPackage::draw(identity, card, &mut rng()).expect("a key package");
        let package =
            KeyPackage::check(&drawn.public, &identity.identity().fingerprint()).expect("a good one");
        Newcomer { person, rows: drawn.rows, public: drawn.public, package }
    }

    fn copy(&self) -> Self {
        Self {
            person: self.person.clone(),
            rows: self.rows.clone(),
            keys: self.keys.clone(),
            chains: self.chains.clone(),
            next: None,
            moved: self.moved,
            stored: 0,
        }
    }

    fn add(&mut self, newcomers: &[Newcomer]) -> Commit {
        let changes: Vec<_> =
            newcomers.iter().map(|newcomer| Change::Add(newcomer.package.clone())).collect();
        self.commit(&changes)
    }

    fn remove(&mut self, leaf: u32) -> Commit {
        self.commit(&[Change::Remove(Leaf(leaf))])
    }

    fn update(&mut self) -> Commit {
        self.commit(&[Change::Update(self.person.card.clone())])
    }

    fn merge(&mut self) {
        let merged = group::merge_own(&self.rows).expect("a commit under way");
        self.apply(merged.changes);
        let secrets = self.next.take().expect("its secrets");
        self.enter(secrets);
    }

    fn follow(&mut self, commit: &[u8]) {
        match group::receive(&self.rows, &self.keys, commit).expect("a good commit") {
            Received::Commit(followed) => {
                self.apply(followed.changes);
                self.enter(followed.secrets);
            }
            Received::Removed(_) => {}
            Received::Leave(_) => panic!("nobody leaves"),
        }
    }

    fn join(newcomer: &Newcomer, welcome: &[u8]) -> Self {
        let joined = group::join(&newcomer.rows, welcome).expect("a good welcome");
        Self::new(newcomer.person.clone(), joined.rows, joined.secrets)
    }

    fn encrypt(&mut self, text: &[u8]) -> Vec<u8> {
        let me = self.keys.me();
        let chain = self.chains.get(&me).expect("the own chain");
        let (next, body) = group::seal(&self.keys, chain, text, &mut rng()).expect("sealed");
        self.chains.insert(me, next);
        self.moved = me;
        body
    }

    fn decrypt(&mut self, message: &[u8]) -> Vec<u8> {
        let message = GroupMessage::decode(message).expect("a message");
        let leaf = message.header(&self.keys).expect("of this epoch").leaf;
        let chain = self.chains.get(&leaf).expect("the author's chain");
        let (next, mut opened) = group::open(&self.keys, chain, &message, &NothingSkipped).expect("opened");
        self.chains.insert(leaf, next);
        self.moved = leaf;
        std::mem::take(&mut *opened.plaintext)
    }

    fn record(&mut self) {
        self.stored += self.chains.get(&self.moved).map_or(0, |chain| chain.to_bytes().len());
    }

    fn stored_by(&mut self, step: impl FnOnce(&mut Self)) -> usize {
        let before = self.stored;
        step(self);
        self.stored - before
    }
}

/// Where Hermes' rows have what the library's do not.
pub(super) const GROUP: &[u8] = b"hermes group";
pub(super) const LEAF_KEY: &[u8] = b"hermes leaf key";

impl Person {
    /// Rows of this person's group, the number of its epoch and the own leaf, as a member whose secrets are yet to come: the
    /// next commit brings them. Until then it has the keys of the group's first epoch, which are good for sealing that.
    pub(super) fn member_of(&self, first: &EpochKeys, rows: MlsRows, number: u64, leaf: u32) -> HermesMember {
        // Version, group, number, leaf, and at the end the leaf's signature key.
        let mut keys = first.to_bytes().to_vec();
        keys[33..41].copy_from_slice(&number.to_be_bytes());
        keys[41..45].copy_from_slice(&leaf.to_be_bytes());
        let signing = keys.len() - 32;
        keys[signing..].copy_from_slice(&rows.0[LEAF_KEY]);
        HermesMember {
            person: self.clone(),
            rows,
            keys: EpochKeys::from_bytes(&keys).expect("keys"),
            chains: BTreeMap::new(),
            next: None,
            moved: Leaf(leaf),
            stored: 0,
        }
    }
}

impl HermesMember {
    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    pub(super) fn keys(&self) -> &EpochKeys {
        &self.keys
    }

    pub(super) fn rows(&self) -> &MlsRows {
        &self.rows
    }

    fn new(person: Person, rows: MlsRows, EpochSecrets { keys, chains }: EpochSecrets) -> Self {
        let moved = keys.me();
        let mut member = Self { person, rows, keys, chains, next: None, moved, stored: 0 };
        member.record_epoch();
        member
    }

    fn commit(&mut self, changes: &[Change]) -> Commit {
        let prepared = group::commit(&self.rows, &self.keys, &self.person.identity, changes, &mut rng())
            .expect("a commit that may be made");
        self.apply(prepared.changes);
        self.stored += prepared.secrets.to_bytes().len();
        self.next = Some(prepared.secrets);
        Commit { body: prepared.commit, welcome: prepared.welcome }
    }

    fn apply(&mut self, changes: RowChanges) {
        self.stored += changes.put.values().map(|value| value.len()).sum::<usize>();
        self.rows.apply(changes);
    }

    fn enter(&mut self, EpochSecrets { keys, chains }: EpochSecrets) {
        (self.keys, self.chains) = (keys, chains);
        self.record_epoch();
    }

    /// A row for the epoch, and one for each chain.
    fn record_epoch(&mut self) {
        self.stored += self.keys.to_bytes().len();
        self.stored += self.chains.values().map(|chain| chain.to_bytes().len()).sum::<usize>();
    }
}

/// The random source of the daemon.
fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

fn person(number: usize) -> Person {
    let identity = IdentityKeyPair::generate(&mut rng());
    let mailbox = MailboxId(identity.identity().fingerprint().0);
    let token = DropToken {
        contact: ContactId([7; 16]),
        permission: Permission::Channel,
        expiry: Timestamp(1_900_000_000_000),
        uses: None,
    };
    let card = MemberCard {
        mailbox,
        token: SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[7; 32])),
        copy_key: CopyKey::new([7; 32]),
        name: format!("person {number}"),
    };
    Person { identity: Rc::new(identity), card }
}
