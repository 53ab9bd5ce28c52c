//! Commits that break a group's rules, as a member makes them whose program is another one.

use std::ops::ControlFlow;

use hermes_engine::{Order, Range, Table, View, query::GroupDetails};
use hermes_protocol::{
    Content, blob,
    group::{
        Change, Epoch, EpochKeys, GroupContext, KeyPackage, Leaf, MemberCard, MlsRows, SenderChain, commit,
        propose_leave, read, seal,
    },
    identity::{Fingerprint, IdentityKeyPair},
};
use hermes_wire::{
    ChannelId, PostId, RelayAddress, RelayPin,
    channel::{Commit, Create, Epoch as NextEpoch, Head, Post, PostTokenHash, Roster, RosterEntry},
    drop::ToDrop,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde_bytes::ByteBuf;

use super::store::MemoryStore;

/// What is wrong with a commit.
pub enum Breach<'a> {
    /// It adds somebody, and its author is no admin, but believes to be the one whose store this is.
    NotAdmin(&'a MemoryStore),
    /// It is nothing at all, but in the epoch's name.
    Garbage,
    /// It is said to lie in a blob, and there is none.
    NoBlob,
    /// An admin removes a member, and lets the relay go on copying to it.
    KeptInRoster(Fingerprint),
    /// An admin says that the group is at another relay.
    OtherRelay,
    /// It is a wish to leave, with which nobody can begin another epoch.
    Wish,
}

/// A way on that is none: the first posts of another channel.
pub enum FalseWay<'a> {
    /// Made by this very member, who may be an admin, and puts somebody else out.
    Own(Fingerprint),
    /// Made by a member who is no admin, but believes to be the one whose store this is, and puts somebody out.
    NotAdmin(&'a MemoryStore, Fingerprint),
    /// It leads into another channel than the one in which it is posted.
    Elsewhere(Fingerprint),
}

impl FalseWay<'_> {
    /// The channel, and what is said to the relay.
    pub(super) fn posts(&self, store: &MemoryStore, group: &GroupDetails) -> (ChannelId, [ToDrop; 2]) {
        let record = row(store, Table::Group, &group.group.chat.0);
        let keys = EpochKeys::from_bytes(&bytes(&record, "keys")).expect("keys");
        let rows = mls_rows(store, &group.group.chat.0);
        let before = read(&rows).expect("a group");
        let (victim, identity) = match self {
            Self::Own(victim) | Self::Elsewhere(victim) => (victim, identity(store)),
            Self::NotAdmin(admin, victim) => (victim, identity(admin)),
        };
        let channel = ChannelId([9; 32]);
        let mut context = before.context.clone();
        context.channel = if let Self::Elsewhere(_) = self { ChannelId([8; 32]) } else { channel };
        context.admins.remove(victim);
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let changes = [Change::Remove(leaf_of(&before, victim)), Change::SetContext(context)];
        let prepared = commit(&rows, &keys, &identity, &changes, &mut rng).expect("a commit");
        let (next, roster) = (&prepared.secrets.keys, roster(&prepared.epoch));
        let epoch = |change| NextEpoch {
            token: PostTokenHash::of(&next.post_token()),
            change,
            roster: roster.hash(channel),
            key: next.roster_key(),
        };
        let change = Roster::default().change_to(&roster).expect("a change");
        let create = Create { post: PostId([7; 16]), number: keys.number(), epoch: epoch(change) };
        let commit = Commit {
            post: PostId([8; 16]),
            epoch: keys.number(),
            token: next.post_token(),
            roster: next.roster_key(),
            head: Head::first(channel),
            body: ByteBuf::from(prepared.commit),
            next: epoch(Default::default()),
        };
        (channel, [ToDrop::Create(create), ToDrop::Commit(commit)])
    }
}

impl Breach<'_> {
    /// The channel, and what is said to the relay.
    pub(super) fn commit(&self, store: &MemoryStore, group: &GroupDetails) -> (ChannelId, ToDrop) {
        let record = row(store, Table::Group, &group.group.chat.0);
        let keys = EpochKeys::from_bytes(&bytes(&record, "keys")).expect("keys");
        let head = Head(bytes(&record, "head").try_into().expect("a head"));
        let rows = mls_rows(store, &group.group.chat.0);
        let before = read(&rows).expect("a group");
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let (change, identity) = match self {
            Self::NotAdmin(admin) => (Change::Add(stranger(&before, &mut rng)), identity(admin)),
            Self::KeptInRoster(victim) => (Change::Remove(leaf_of(&before, victim)), identity(store)),
            // Of these, no more is used than the keys of an epoch that nobody enters.
            Self::Garbage | Self::NoBlob | Self::Wish => {
                (Change::Update(card_of(&before, before.me)), identity(store))
            }
            Self::OtherRelay => {
                let relay = RelayAddress::new("elsewhere.test", 4433, RelayPin([1; 32])).expect("an address");
                (Change::SetContext(GroupContext { relay, ..before.context.clone() }), identity(store))
            }
        };
        let prepared = commit(&rows, &keys, &identity, &[change], &mut rng).expect("a commit");
        let next = NextEpoch {
            token: PostTokenHash::of(&prepared.secrets.keys.post_token()),
            change: Default::default(),
            roster: roster(&before).hash(before.context.channel),
            key: prepared.secrets.keys.roster_key(),
        };
        let body = match self {
            Self::Wish => propose_leave(&rows, &keys, &mut rng).expect("a wish").1,
            Self::Garbage => [&prepared.commit[..2], &[7; 500]].concat(),
            Self::NoBlob => {
                let (_, reference) = blob::seal(b"?", &mut rng).expect("small enough");
                [&[1, 0xb0], &hermes_wire::encode(&reference)[..]].concat()
            }
            Self::NotAdmin(_) | Self::KeptInRoster(_) | Self::OtherRelay => prepared.commit,
        };
        let commit = Commit {
            post: PostId([9; 16]),
            epoch: keys.number(),
            token: keys.post_token(),
            roster: keys.roster_key(),
            head,
            body: ByteBuf::from(body),
            next,
        };
        (before.context.channel, ToDrop::Commit(commit))
    }
}

/// What a member posts whose program says what it likes.
pub(super) fn post(store: &MemoryStore, group: &GroupDetails, content: &Content) -> (ChannelId, ToDrop) {
    let record = row(store, Table::Group, &group.group.chat.0);
    let keys = EpochKeys::from_bytes(&bytes(&record, "keys")).expect("keys");
    let key = [&group.group.chat.0[..], &keys.me().0.to_be_bytes()].concat();
    let chain: ByteBuf = row(store, Table::SenderChain, &key).deserialized().expect("bytes");
    let chain = SenderChain::from_bytes(&chain).expect("a chain");
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (_, body) = seal(&keys, &chain, &content.encode(), &mut rng).expect("a message");
    let post = Post {
        post: PostId([6; 16]),
        epoch: keys.number(),
        token: keys.post_token(),
        roster: keys.roster_key(),
        body: ByteBuf::from(body),
    };
    (group.channel, ToDrop::Post(post))
}

/// Somebody whom nobody knows.
fn stranger(group: &Epoch, rng: &mut ChaCha8Rng) -> KeyPackage {
    let identity = IdentityKeyPair::generate(rng);
    let card = &group.members.values().next().expect("a member").card;
    let drawn = KeyPackage::draw(&identity, card, rng).expect("a key package");
    KeyPackage::check(&drawn.public, &identity.identity().fingerprint()).expect("its own")
}

fn card_of(epoch: &Epoch, leaf: Leaf) -> MemberCard {
    epoch.members.get(&leaf).expect("a member").card.clone()
}

fn leaf_of(epoch: &Epoch, fingerprint: &Fingerprint) -> Leaf {
    let mut members = epoch.members.values();
    members.find(|member| member.identity.fingerprint() == *fingerprint).expect("a member").leaf
}

fn roster(epoch: &Epoch) -> Roster {
    let entries = epoch.members.values().map(|member| {
        let card = &member.card;
        let (token, key) = (card.token.clone(), card.copy_key.clone());
        (member.leaf.0, RosterEntry { mailbox: card.mailbox, token, key })
    });
    Roster::new(entries).expect("a roster")
}

fn identity(store: &MemoryStore) -> IdentityKeyPair {
    let mut found = None;
    store
        .scan(Table::Account, &Range::all(), Order::Ascending, &mut |_, value| {
            let record: ciborium::Value = ciborium::from_reader(value.as_slice()).expect("a record");
            found = field(&record, "identity").and_then(|value| value.as_bytes().cloned()).or(found.take());
            ControlFlow::Continue(())
        })
        .expect("memory");
    IdentityKeyPair::from_bytes(&found.expect("an account").try_into().expect("64 bytes"))
}

/// The library's rows of a group.
pub fn mls_rows(store: &MemoryStore, chat: &[u8]) -> MlsRows {
    let mut rows = MlsRows::default();
    store
        .scan(Table::Mls, &Range::prefix(chat), Order::Ascending, &mut |key, value| {
            rows.0.insert(key[chat.len()..].to_vec(), value.into());
            ControlFlow::Continue(())
        })
        .expect("memory");
    rows
}

fn row(store: &MemoryStore, table: Table, key: &[u8]) -> ciborium::Value {
    let row = store.get(table, key).expect("memory").expect("a row");
    ciborium::from_reader(row.as_slice()).expect("a record")
}

fn field<'a>(record: &'a ciborium::Value, name: &str) -> Option<&'a ciborium::Value> {
    let fields = record.as_map()?;
    fields.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

fn bytes(record: &ciborium::Value, name: &str) -> Vec<u8> {
    field(record, name).and_then(|value| value.as_bytes()).expect("bytes").clone()
}
