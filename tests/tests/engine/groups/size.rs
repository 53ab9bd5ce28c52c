//! What a message costs in a group as large as they come, and in one of two.
//!
//! One member is an engine. The others are identities and key packages, and of these one does with the protocol alone what
//! an admin does, so that a thousand members take no longer than the changes of their group.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use hermes_engine::{Command, LinkEvent, Order, Range, Reply, Table, View, query};
use hermes_protocol::{
    Body, Content, Fingerprint, IdentityKeyPair, MessageId, Newer, blob,
    group::{
        Change, Created, Epoch, EpochSecrets, GroupContext, GroupId, KeyPackage, Leaf, MemberCard, MlsRows,
        commit, create, merge_own, read, seal,
    },
    limits::{GROUP_CHANGES, GROUP_MEMBERS},
};
use hermes_tests::{
    duo::{Peer, paired, settle},
    impostor::identity_of,
};
use hermes_wire::{
    ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Sequence, Timestamp,
    channel::{Copy, CopyKey, Head, NONCE_BYTES, PostId, Roster, RosterEntry, RosterHash},
    token::{DropToken, Permission, SignedDropToken},
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde_bytes::ByteBuf;

/// Where keys of a group are kept.
const KEYS: [Table; 4] = [Table::Group, Table::Mls, Table::SenderChain, Table::SenderSkipped];
/// Bytes of keys that a message may write.
const MOST: u64 = 128;
/// How a commit begins that lies in a blob.
const IN_BLOB: [u8; 2] = [1, 0xb0];

#[test]
fn a_message_writes_as_much_among_a_thousand_as_between_two() {
    let pair = member_of(2);
    let large = member_of(GROUP_MEMBERS);
    println!("bytes of keys that a message writes, at its author and at a reader: {pair:?} and {large:?}");
    assert_eq!(pair, large);
    assert!(pair.0 <= MOST && pair.1 <= MOST, "{pair:?}");
}

/// Joins a group that has so many members then, writes and reads in it, and follows a removal.
fn member_of(members: usize) -> (u64, u64) {
    let (mut alice, mut bob) = paired();
    assert!(matches!(bob.command(Command::GiveKeyPackages), Ok(Reply::Given)));
    settle(&mut alice, &mut bob);
    let mut admin = Admin::found(identity_of(&alice));
    let mut packages = (2..members).map(|number| admin.somebody(number)).collect::<Vec<_>>();
    // The engine comes last.
    let package = given_by(&bob, &alice);
    let card = package.card().clone();
    packages.push(package);
    let welcome = admin.add(packages).expect("a welcome");
    let (sealed, welcome) = blob::seal(&welcome, &mut admin.rng).unwrap();
    let invitation = Body::GroupInvite { welcome: welcome.clone(), head: admin.head, relay: None };
    let invitation = alice.forge(&bob, invitation);
    bob.take(invitation.contact, invitation.body);
    bob.link(LinkEvent::BlobFetched(welcome.id, sealed));
    assert_eq!(members_at(&bob), members);

    let before = bob.store.written(&KEYS);
    bob.send("ops", "from one").unwrap();
    let sent = bob.store.written(&KEYS) - before;
    let before = bob.store.written(&KEYS);
    admin.say("to all", &mut bob, &card);
    let received = bob.store.written(&KEYS) - before;
    assert_eq!(bob.texts("ops"), ["from one", "to all"]);

    if members > 2 {
        admin.remove(Leaf(1), &mut bob, &card);
        assert_eq!(members_at(&bob), members - 1);
        admin.say("without one", &mut bob, &card);
        assert_eq!(bob.texts("ops"), ["from one", "to all", "without one"]);
    }
    (sent, received)
}

fn members_at(peer: &Peer) -> usize {
    query::group_named(&peer.store, "ops").unwrap().expect("a group").members.len()
}

/// A key package that a contact has.
fn given_by(owner: &Peer, contact: &Peer) -> KeyPackage {
    let mut offer = None;
    let found = contact.store.scan(Table::Offer, &Range::all(), Order::Ascending, &mut |_, row| {
        offer = Some(row);
        std::ops::ControlFlow::Break(())
    });
    found.unwrap();
    let package: ByteBuf = ciborium::from_reader(offer.expect("an offer").as_slice()).unwrap();
    KeyPackage::check(&package, &fingerprint(owner)).unwrap()
}

fn fingerprint(peer: &Peer) -> Fingerprint {
    identity_of(peer).identity().fingerprint()
}

/// An admin without an engine.
struct Admin {
    identity: IdentityKeyPair,
    rows: MlsRows,
    epoch: Epoch,
    secrets: EpochSecrets,
    head: Head,
    sequence: u64,
    rng: ChaCha8Rng,
}

impl Admin {
    fn found(identity: IdentityKeyPair) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let context = GroupContext {
            name: "ops".to_owned(),
            channel: ChannelId([7; 32]),
            relay: RelayAddress::new("relay.test", 4433, RelayPin([0; 32])).unwrap(),
            admins: BTreeSet::from([identity.identity().fingerprint()]),
        };
        let Created { rows, epoch, secrets } =
            create(&identity, GroupId([5; 32]), &context, &card(0), &mut rng).unwrap();
        Self { identity, rows, epoch, secrets, head: Head::first(context.channel), sequence: 0, rng }
    }

    /// A member that never comes.
    fn somebody(&mut self, number: usize) -> KeyPackage {
        let identity = IdentityKeyPair::generate(&mut self.rng);
        let drawn = KeyPackage::draw(&identity, &card(number), &mut self.rng).unwrap();
        KeyPackage::check(&drawn.public, &identity.identity().fingerprint()).unwrap()
    }

    /// Adds these, in as many commits as it takes, of which nobody hears. The welcome of the last.
    fn add(&mut self, packages: Vec<KeyPackage>) -> Option<Vec<u8>> {
        let mut welcome = None;
        for packages in packages.chunks(GROUP_CHANGES) {
            let adds: Vec<_> = packages.iter().cloned().map(Change::Add).collect();
            welcome = self.change(&adds).1;
        }
        welcome
    }

    /// The commit, and the welcome of those whom it adds.
    fn change(&mut self, changes: &[Change]) -> (Vec<u8>, Option<Vec<u8>>) {
        let prepared =
            commit(&self.rows, &self.secrets.keys, &self.identity, changes, &mut self.rng).unwrap();
        self.rows.apply(prepared.changes);
        self.rows.apply(merge_own(&self.rows).unwrap().changes);
        self.secrets = prepared.secrets;
        self.epoch = prepared.epoch;
        assert!(read(&self.rows).unwrap() == self.epoch);
        (prepared.commit, prepared.welcome)
    }

    /// Removes a member, in a commit that lies in a blob.
    fn remove(&mut self, leaf: Leaf, reader: &mut Peer, card: &MemberCard) {
        let epoch = self.epoch.number;
        let (commit, _) = self.change(&[Change::Remove(leaf)]);
        let (bytes, reference) = blob::seal(&commit, &mut self.rng).unwrap();
        let body = ByteBuf::from([&IN_BLOB[..], &hermes_wire::encode(&reference)].concat());
        let (channel, sequence, post) = self.next_place();
        let roster = self.roster();
        self.copy(&Copy::Commit { channel, sequence, epoch, post, roster, body }, reader, card);
        reader.link(LinkEvent::BlobFetched(reference.id, bytes));
    }

    /// Writes to the group.
    fn say(&mut self, text: &str, reader: &mut Peer, card: &MemberCard) {
        let content = Content {
            id: MessageId::random(&mut self.rng),
            sent: reader.now,
            place: None,
            body: Body::Text { text: text.to_owned(), reply_to: None, ttl: None },
            newer: Newer::default(),
        };
        let chain = &self.secrets.chains[&self.epoch.me];
        let (next, body) = seal(&self.secrets.keys, chain, &content.encode(), &mut self.rng).unwrap();
        self.secrets.chains.insert(self.epoch.me, next);
        let (channel, sequence, post) = self.next_place();
        let (epoch, body) = (self.epoch.number, ByteBuf::from(body));
        self.copy(&Copy::Message { channel, sequence, epoch, post, body }, reader, card);
    }

    fn next_place(&mut self) -> (ChannelId, Sequence, PostId) {
        self.sequence += 1;
        let post = u128::from(self.sequence).to_be_bytes();
        (self.epoch.context.channel, Sequence(self.sequence), PostId(post))
    }

    /// What the relay would attest of the current epoch.
    fn roster(&self) -> RosterHash {
        let entry = |(leaf, member): (&Leaf, &hermes_protocol::group::Member)| {
            let MemberCard { mailbox, token, copy_key, .. } = member.card.clone();
            (leaf.0, RosterEntry { mailbox, token, key: copy_key })
        };
        let roster = Roster::new(self.epoch.members.iter().map(entry)).unwrap();
        roster.hash(self.epoch.context.channel)
    }

    /// As the relay copies a post to one member.
    fn copy(&self, copy: &Copy, reader: &mut Peer, card: &MemberCard) {
        let body = copy.text().seal(&card.copy_key, card.mailbox, &[7; NONCE_BYTES]);
        reader.take(card.token.unverified().unwrap().contact, body);
    }
}

fn card(number: usize) -> MemberCard {
    let mut mailbox = [0; 32];
    mailbox[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let mailbox = MailboxId(mailbox);
    let token = DropToken {
        contact: ContactId([1; 16]),
        permission: Permission::Channel,
        expiry: Timestamp(1_900_000_000_000),
        uses: None,
    };
    MemberCard {
        mailbox,
        token: SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[7; 32])),
        copy_key: CopyKey::new([1; 32]),
        name: format!("user{number}"),
    }
}
