//! Invitations to groups by contacts whose programs are others than this one.

use std::{collections::BTreeSet, ops::ControlFlow};

use hermes_engine::{
    ChatId, Command, GroupStanding, LinkEvent, LostReason, Order, Range, Reply, Table, View,
    limits::{EARLY_COPIES, GROUPS_BY_CONTACT},
    query,
};
use hermes_protocol::{
    Body,
    blob::{self, BlobRef},
    group::{Change, GroupContext, GroupId, KeyPackage, MemberCard, commit, create},
    identity::IdentityKeyPair,
};
use hermes_tests::duo::{Peer, greet, paired, settle};
use hermes_wire::{
    ChannelId, ContactId, EnvelopeId, MailboxId, PostId, Sequence, Timestamp,
    channel::{Copy, CopyKey, Head},
    codec,
    mailbox::Delivered,
    token::{DropToken, Permission, SignedDropToken},
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde_bytes::ByteBuf;

/// Bob, and two contacts of his who have his key packages and do not know each other.
fn three() -> (Peer, Peer, Peer) {
    let (mut alice, mut bob) = paired();
    let give = |bob: &mut Peer, other: &mut Peer| {
        assert!(matches!(bob.command(Command::GiveKeyPackages), Ok(Reply::Given)));
        settle(other, bob);
    };
    give(&mut bob, &mut alice);
    let mut mallory = Peer::new("mallory", 3);
    greet(&mut mallory, &mut bob);
    settle(&mut mallory, &mut bob);
    give(&mut bob, &mut mallory);
    (alice, bob, mallory)
}

/// The rows of a table.
fn rows(peer: &Peer, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let found = peer.store.scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    found.expect("memory");
    rows
}

fn field(row: &[u8], name: &str) -> Option<ciborium::Value> {
    let row: ciborium::Value = ciborium::from_reader(row).expect("a record");
    row.into_map().ok()?.into_iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// A welcome at the relay: its reference, and its bytes.
struct Welcome(BlobRef, Vec<u8>);

/// A group of the peer's own making, and the welcome of Bob.
fn honest_group(peer: &mut Peer) -> (GroupId, ChannelId, Welcome) {
    let asked = peer.command(Command::CreateGroup("ops".to_owned(), vec!["bob".to_owned()]));
    let Ok(Reply::Group(chat)) = asked else { panic!("{asked:?}") };
    let (_, row) = rows(peer, Table::Group).into_iter().find(|(key, _)| *key == chat.0).expect("a group");
    let pending = codec::encode(&field(&row, "pending").expect("a commit"));
    let welcome = codec::encode(&field(&pending, "welcome").expect("a welcome"));
    let reference: BlobRef = field(&welcome, "blob").expect("a blob").deserialized().expect("a reference");
    let mut bytes = Vec::new();
    while bytes.len() < reference.size as usize {
        let offset = u32::try_from(bytes.len()).unwrap();
        bytes.extend(query::upload_part(&peer.store, reference.id, offset).unwrap().expect("a piece"));
    }
    let id = field(&row, "id").expect("an id").deserialized().expect("an id");
    (id, query::group_at(&peer.store, chat).unwrap().unwrap().channel, Welcome(reference, bytes))
}

/// A group under an id of the peer's choice, and the welcome of Bob.
fn forged_group(peer: &Peer, id: GroupId, channel: ChannelId) -> Welcome {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let account = rows(peer, Table::Account);
    let identity = account.iter().find_map(|(_, row)| field(row, "identity")).expect("an identity");
    let identity = IdentityKeyPair::from_bytes(&identity.into_bytes().unwrap().try_into().unwrap());
    let me = identity.identity().fingerprint();
    let settings = query::mailbox(&peer.store).unwrap();
    let context =
        GroupContext { name: "ops".to_owned(), channel, relay: settings.relay, admins: BTreeSet::from([me]) };
    let created = create(&identity, id, &context, &card(), &mut rng).unwrap();
    let (_, offer) = rows(peer, Table::Offer).remove(0);
    let offer: ByteBuf = ciborium::from_reader(offer.as_slice()).unwrap();
    let bob = query::contacts(&peer.store).unwrap().remove(0).fingerprint;
    let add = Change::Add(KeyPackage::check(&offer, &bob).unwrap());
    let prepared = commit(&created.rows, &created.secrets.keys, &identity, &[add], &mut rng).unwrap();
    let (bytes, reference) = blob::seal(&prepared.welcome.unwrap(), &mut rng).unwrap();
    Welcome(reference, bytes)
}

fn card() -> MemberCard {
    let mailbox = MailboxId([9; 32]);
    let token = DropToken {
        contact: ContactId([9; 16]),
        permission: Permission::Channel,
        expiry: Timestamp(1_900_000_000_000),
        uses: None,
    };
    let signing = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let token = SignedDropToken::issue(&token, mailbox, &signing);
    MemberCard { mailbox, token, copy_key: CopyKey::new([9; 32]), name: "alice".to_owned() }
}

fn invite(from: &mut Peer, to: &mut Peer, welcome: &BlobRef) {
    let body = Body::GroupInvite { welcome: welcome.clone(), head: Head([0; 32]), relay: None };
    let flying = from.forge(to, body);
    to.take(flying.contact, flying.body);
}

fn standing(peer: &Peer, name: &str) -> Option<GroupStanding> {
    query::group_named(&peer.store, name).unwrap().map(|details| details.group.standing)
}

/// Everybody who is added by one commit gets the same welcome, and can tell others that it is theirs.
#[test]
fn an_invitation_takes_nothing_from_anothers() {
    let (mut alice, mut bob, mut mallory) = three();
    let (.., Welcome(reference, bytes)) = honest_group(&mut alice);
    let (_, mut other) = blob::seal(b"something else", &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    other.id = reference.id;
    invite(&mut mallory, &mut bob, &other);
    invite(&mut alice, &mut bob, &reference);
    invite(&mut mallory, &mut bob, &other);
    assert_eq!(query::blob_fetches(&bob.store).unwrap().len(), 1);
    bob.link(LinkEvent::BlobFetched(reference.id, bytes));
    assert_eq!(standing(&bob, "ops"), Some(GroupStanding::Member));
    assert!(query::blob_fetches(&bob.store).unwrap().is_empty());
}

#[test]
fn a_contact_has_few_invitations_on_their_way() {
    let (mut alice, mut bob, mut mallory) = three();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..150 {
        let (_, never) = blob::seal(b"never uploaded", &mut rng).unwrap();
        invite(&mut mallory, &mut bob, &never);
    }
    assert_eq!(query::blob_fetches(&bob.store).unwrap().len(), 2, "as many as it has key packages");
    assert_eq!(bob.summary().unreadable, 148, "the others are on record");
    let (.., Welcome(reference, bytes)) = honest_group(&mut alice);
    invite(&mut alice, &mut bob, &reference);
    bob.link(LinkEvent::BlobFetched(reference.id, bytes));
    assert_eq!(standing(&bob, "ops"), Some(GroupStanding::Member));
}

#[test]
fn a_contact_fills_no_more_than_its_share_of_the_groups() {
    let (_, mut bob, mut mallory) = three();
    for number in 0..GROUPS_BY_CONTACT + 3 {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let Welcome(reference, bytes) = forged_group(&mallory, GroupId(id), ChannelId(id));
        invite(&mut mallory, &mut bob, &reference);
        bob.link(LinkEvent::BlobFetched(reference.id, bytes));
        // The used one is replaced by another, and the engine of this test keeps the old one.
        let used = rows(&mallory, Table::Offer).remove(0).0;
        settle(&mut mallory, &mut bob);
        let mut gone = hermes_engine::ChangeSet::default();
        if number < GROUPS_BY_CONTACT {
            gone.delete(Table::Offer, used);
        }
        hermes_engine::Store::commit(&mut mallory.store, &gone).unwrap();
    }
    assert_eq!(query::groups(&bob.store).unwrap().len(), GROUPS_BY_CONTACT);
    assert_eq!(bob.summary().unreadable, 3);
}

/// A group's id is known to whoever was in it.
#[test]
fn another_group_of_the_same_id_keeps_nobody_out() {
    let (mut alice, mut bob, mut mallory) = three();
    let (id, channel, Welcome(reference, bytes)) = honest_group(&mut alice);
    let Welcome(forged, forged_bytes) = forged_group(&mallory, id, channel);
    invite(&mut mallory, &mut bob, &forged);
    bob.link(LinkEvent::BlobFetched(forged.id, forged_bytes));
    let forged_chat = query::group_named(&bob.store, "ops").unwrap().unwrap().group.chat;
    invite(&mut alice, &mut bob, &reference);
    bob.link(LinkEvent::BlobFetched(reference.id, bytes));
    let genuine = query::group_named(&bob.store, "ops-2").unwrap().expect("the genuine one");
    assert_eq!((genuine.group.standing, genuine.members.len()), (GroupStanding::Member, 2));
    assert_ne!(genuine.group.chat, forged_chat);
}

/// Who has lost its place is waiting to be added again, by an admin.
#[test]
fn only_an_admin_leads_back_into_a_conversation() {
    let (mut alice, mut bob, mut mallory) = three();
    let (id, channel, Welcome(reference, bytes)) = honest_group(&mut alice);
    invite(&mut alice, &mut bob, &reference);
    bob.link(LinkEvent::BlobFetched(reference.id, bytes));
    let chat = query::group_named(&bob.store, "ops").unwrap().unwrap().group.chat;
    lose(&mut bob, chat, channel);
    let lost = Some(GroupStanding::Lost(LostReason::Missed));
    assert_eq!(standing(&bob, "ops"), lost);
    let Welcome(forged, forged_bytes) = forged_group(&mallory, id, channel);
    invite(&mut mallory, &mut bob, &forged);
    bob.link(LinkEvent::BlobFetched(forged.id, forged_bytes));
    assert_eq!(standing(&bob, "ops"), lost, "it goes on asking");
    assert_eq!(standing(&bob, "ops-2"), Some(GroupStanding::Member), "another group, and seen to be one");
}

/// The relay takes nothing in an epoch that is over, so that such a copy stands in the place of another.
#[test]
fn a_copy_of_an_earlier_epoch_is_on_record() {
    let (mut alice, mut bob, _) = three();
    let (_, channel, Welcome(reference, bytes)) = honest_group(&mut alice);
    invite(&mut alice, &mut bob, &reference);
    bob.link(LinkEvent::BlobFetched(reference.id, bytes));
    let details = query::group_named(&bob.store, "ops").unwrap().unwrap();
    assert_eq!((details.group.epoch, bob.summary().unreadable), (1, 0));
    copy_arrives(&mut bob, details.group.chat, channel, 0);
    assert_eq!(bob.summary().unreadable, 1);
    assert_eq!(standing(&bob, "ops"), Some(GroupStanding::Member));
}

/// A member can post to whoever was just added, before it has its welcome, until there is no room for more.
#[test]
fn copies_without_room_are_counted() {
    let (mut alice, mut bob, _) = three();
    let (.., Welcome(reference, bytes)) = honest_group(&mut alice);
    let cards = rows(&bob, Table::Route).into_iter().filter(|(key, _)| key.len() == 17);
    let of_alice: Vec<_> = cards.filter(|(_, row)| field(row, "given").is_some()).collect();
    let mailbox = query::mailbox(&bob.store).unwrap().mailbox;
    for (card, row) in &of_alice {
        let key: CopyKey = field(row, "key").unwrap().deserialized().unwrap();
        let body = message_to(ChannelId([9; 32]), 0).text().seal(&key, mailbox, &[0; 24]);
        for _ in 0..EARLY_COPIES + 7 {
            bob.take(ContactId(card[..16].try_into().unwrap()), body.clone());
        }
    }
    assert_eq!(rows(&bob, Table::Early).len(), of_alice.len() * EARLY_COPIES as usize);
    invite(&mut alice, &mut bob, &reference);
    bob.link(LinkEvent::BlobFetched(reference.id, bytes));
    let group = query::group_named(&bob.store, "ops").unwrap().unwrap().group;
    assert_eq!((group.standing, group.missed), (GroupStanding::Member, 7));
    assert_eq!(bob.summary().unreadable, u64::from(EARLY_COPIES));
}

/// Two in one mailbox make no roster: who names another's mailbox would end every change that adds it.
#[test]
fn a_key_package_with_a_place_in_anothers_mailbox_is_none() {
    let (mut alice, bob) = paired();
    let mut bob = bob;
    let account = rows(&bob, Table::Account);
    let identity = account.iter().find_map(|(_, row)| field(row, "identity")).expect("an identity");
    let identity = IdentityKeyPair::from_bytes(&identity.into_bytes().unwrap().try_into().unwrap());
    let drawn = KeyPackage::draw(&identity, &card(), &mut ChaCha8Rng::seed_from_u64(6)).unwrap();
    let body = Body::KeyPackages { packages: vec![ByteBuf::from(drawn.public)], only: true };
    let flying = bob.forge(&alice, body);
    alice.take(flying.contact, flying.body);
    assert!(rows(&alice, Table::Offer).is_empty());
    assert!(alice.command(Command::CreateGroup("ops".to_owned(), vec!["bob".to_owned()])).is_ok());
    assert_eq!(query::group_named(&alice.store, "ops").unwrap().unwrap().waiting, ["bob"]);
}

/// A copy of a later epoch arrives.
fn lose(peer: &mut Peer, chat: ChatId, channel: ChannelId) {
    copy_arrives(peer, chat, channel, 99);
}

fn message_to(channel: ChannelId, epoch: u64) -> Copy {
    let (post, body) = (PostId([1; 16]), ByteBuf::from(vec![1, 1, 0]));
    Copy::Message { channel, sequence: Sequence(9), epoch, post, body }
}

fn copy_arrives(peer: &mut Peer, chat: ChatId, channel: ChannelId, epoch: u64) {
    let in_group =
        |row: &[u8]| field(row, "group").and_then(|group| group.into_bytes().ok()) == Some(chat.0.to_vec());
    let cards = rows(peer, Table::Route).into_iter().filter(|(key, _)| key.len() == 17);
    let (card, row) = cards.into_iter().find(|(_, row)| in_group(row)).expect("a card");
    let key: CopyKey = field(&row, "key").unwrap().deserialized().unwrap();
    let copy = message_to(channel, epoch);
    let mailbox = query::mailbox(&peer.store).unwrap().mailbox;
    peer.head += 1;
    peer.link(LinkEvent::Delivered(Delivered {
        sequence: Sequence(peer.head),
        envelope: EnvelopeId([0; 16]),
        contact: ContactId(card[..16].try_into().unwrap()),
        stored: peer.now,
        body: ByteBuf::from(copy.text().seal(&key, mailbox, &[0; 24])),
    }));
}
