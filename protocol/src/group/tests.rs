//! What a thief of the rows would try: to export an epoch's secret once more. Only this module can ask the library.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use hermes_wire::{
    ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
    channel::CopyKey,
    token::{DropToken, Permission, SignedDropToken},
};
use openmls::prelude::OpenMlsProvider;

use super::{
    library::{COMPONENT, Library},
    *,
};
use crate::{identity::IdentityKeyPair, testing::rng};

fn card(byte: u8) -> MemberCard {
    let mailbox = MailboxId([byte; 32]);
    let token = DropToken {
        contact: ContactId([byte; 16]),
        permission: Permission::Channel,
        expiry: Timestamp(1_900_000_000_000),
        uses: None,
    };
    MemberCard {
        mailbox,
        token: SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[byte; 32])),
        copy_key: CopyKey::new([byte; 32]),
        name: "somebody".to_owned(),
    }
}

/// Whether the rows give the secret of the current epoch, and of the one that a pending commit begins.
fn exports(rows: &MlsRows) -> (bool, bool) {
    let library = Library::open(rows).unwrap();
    let (crypto, storage) = (library.crypto(), library.storage());
    let mut group = library.only_group().unwrap();
    let current = group.safe_export_secret(crypto, storage, COMPONENT).is_ok();
    let pending = group.safe_export_secret_from_pending(crypto, storage, COMPONENT).is_ok();
    let merges = group.pending_commit().is_some() && group.merge_pending_commit(&library).is_ok();
    let merged = merges && group.safe_export_secret(crypto, storage, COMPONENT).is_ok();
    (current, pending || merged)
}

#[test]
fn no_stored_rows_give_an_epochs_secret_again() {
    let mut rng = rng(1);
    let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
    let context = GroupContext {
        name: "ops".to_owned(),
        channel: ChannelId([7; 32]),
        relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap(),
        admins: BTreeSet::from([alice.identity().fingerprint()]),
    };
    let Created { mut rows, secrets, .. } =
        create(&alice, GroupId([5; 32]), &context, &card(1), &mut rng).unwrap();
    assert_eq!(exports(&rows), (false, false));

    let drawn = KeyPackage::draw(&bob, &card(2), &mut rng).unwrap();
    let package = KeyPackage::check(&drawn.public, &bob.identity().fingerprint()).unwrap();
    let prepared = commit(&rows, &secrets.keys, &alice, &[Change::Add(package)], &mut rng).unwrap();
    rows.apply(prepared.changes);
    assert_eq!(exports(&rows), (false, false), "with a commit under way");
    let merged = merge_own(&rows).unwrap();
    rows.apply(merged.changes);
    assert_eq!(exports(&rows), (false, false), "after it");

    let joined = join(&drawn.rows, &prepared.welcome.unwrap()).unwrap();
    assert_eq!(exports(&joined.rows), (false, false));
    let update = Change::Update(card(1));
    let next = commit(&rows, &prepared.secrets.keys, &alice, &[update], &mut rng).unwrap();
    let Ok(Received::Commit(followed)) = receive(&joined.rows, &joined.secrets.keys, &next.commit) else {
        panic!("bob follows");
    };
    let mut followed_rows = joined.rows;
    followed_rows.apply(followed.changes);
    assert_eq!(exports(&followed_rows), (false, false));
}

/// Three members: their identities, rows and keys.
fn three() -> Vec<(IdentityKeyPair, MlsRows, EpochKeys)> {
    let mut rng = rng(2);
    let [alice, bob, carol] = [(); 3].map(|()| IdentityKeyPair::generate(&mut rng));
    let context = GroupContext {
        name: "ops".to_owned(),
        channel: ChannelId([7; 32]),
        relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap(),
        admins: BTreeSet::from([alice.identity().fingerprint()]),
    };
    let Created { mut rows, secrets, .. } =
        create(&alice, GroupId([5; 32]), &context, &card(1), &mut rng).unwrap();
    let mut packages = Vec::new();
    let mut adds = Vec::new();
    for (byte, other) in [(2, &bob), (3, &carol)] {
        let drawn = KeyPackage::draw(other, &card(byte), &mut rng).unwrap();
        adds.push(Change::Add(KeyPackage::check(&drawn.public, &other.identity().fingerprint()).unwrap()));
        packages.push(drawn.rows);
    }
    let prepared = commit(&rows, &secrets.keys, &alice, &adds, &mut rng).unwrap();
    rows.apply(prepared.changes);
    rows.apply(merge_own(&rows).unwrap().changes);
    let welcome = prepared.welcome.unwrap();
    let mut members = vec![(alice, rows, prepared.secrets.keys)];
    for (identity, package) in [bob, carol].into_iter().zip(packages) {
        let joined = join(&package, &welcome).unwrap();
        members.push((identity, joined.rows, joined.secrets.keys));
    }
    members
}

/// A commit by reference, of what one member proposed to its author alone.
fn commit_of_a_whisper(members: &[(IdentityKeyPair, MlsRows, EpochKeys)]) -> Vec<u8> {
    let mut rng = rng(3);
    let [_, (_, bob, bob_keys), (_, carol, carol_keys)] = members else { panic!("three") };
    let (_, whisper) = propose_leave(carol, carol_keys, &mut rng).unwrap();
    let Ok(Received::Leave(proposal)) = receive(bob, bob_keys, &whisper) else { panic!("a wish") };
    let mut rows = bob.clone();
    rows.apply(proposal.changes);
    let library = Library::open(&rows).unwrap();
    let mut group = library.only_group().unwrap();
    let signing = library.leaf_key().unwrap();
    let (message, ..) = group.commit_to_pending_proposals(&library, &library::LeafSigner(&signing)).unwrap();
    envelope::seal(bob_keys, message::COMMIT_TAG, &message.to_bytes().unwrap(), &mut rng)
}

/// Whoever has not heard the proposal could not follow, and could not tell it from its own fault.
#[test]
fn a_commit_of_what_nobody_has_heard_names_its_author() {
    let members = three();
    let body = commit_of_a_whisper(&members);
    let author = members[1].2.me();
    let (_, alice, keys) = &members[0];
    let refused = |rows: &MlsRows| match receive(rows, keys, &body) {
        Err(ReceiveError::Refused { author: by, rule: Rule::Proposal }) => by == author,
        _ => false,
    };
    assert!(refused(alice));
    // Nor does it matter who has heard it: all stop at the same place.
    let (_, whisper) = propose_leave(&members[2].1, &members[2].2, &mut rng(3)).unwrap();
    let Ok(Received::Leave(proposal)) = receive(alice, keys, &whisper) else { panic!("a wish") };
    let mut rows = alice.clone();
    rows.apply(proposal.changes);
    assert!(refused(&rows));
}

#[test]
fn a_wish_that_is_said_again_and_again_makes_no_rows() {
    let members = three();
    let (_, rows, keys) = &members[0];
    let mut rows = rows.clone();
    let mut size = None;
    for seed in 0..20 {
        let (_, body) = propose_leave(&members[2].1, &members[2].2, &mut rng(seed)).unwrap();
        let Ok(Received::Leave(proposal)) = receive(&rows, keys, &body) else { panic!("a wish") };
        rows.apply(proposal.changes);
        let bytes: usize = rows.0.values().map(|value| value.len()).sum();
        assert_eq!(*size.get_or_insert(bytes), bytes);
    }
}

/// A member that has missed the wish follows the commit all the same.
#[test]
fn a_removal_needs_nothing_but_the_commit() {
    let members = three();
    let (alice, rows, keys) = &members[0];
    let mut rows = rows.clone();
    let (_, wish) = propose_leave(&members[2].1, &members[2].2, &mut rng(3)).unwrap();
    let Ok(Received::Leave(proposal)) = receive(&rows, keys, &wish) else { panic!("a wish") };
    rows.apply(proposal.changes);
    let prepared = commit(&rows, keys, alice, &[], &mut rng(4)).unwrap();
    let (_, bob, bob_keys) = &members[1];
    let Ok(Received::Commit(followed)) = receive(bob, bob_keys, &prepared.commit) else { panic!("follows") };
    assert_eq!(followed.epoch.members.len(), 2);
}

/// The library sees what a member has signed, whatever it is.
#[test]
fn a_change_that_is_signed_and_mangled_names_its_author_and_changes_nothing() {
    let members = three();
    let (_, alice, keys) = &members[0];
    let (_, bob, bob_keys) = &members[1];
    let (bob_identity, ..) = &members[1];
    let change = [Change::Update(card(2))];
    let prepared = commit(bob, bob_keys, bob_identity, &change, &mut rng(5)).unwrap();
    let real = envelope::Envelope::open(keys, message::COMMIT_TAG, &prepared.commit).unwrap().message;
    let before = alice.clone();
    let wrong = (0..real.len()).step_by(3).map(|place| {
        let mut mangled = real.clone();
        mangled[place] ^= 1;
        mangled
    });
    let short = (0..real.len()).step_by(29).map(|length| real[..length].to_vec());
    for mangled in wrong.chain(short) {
        for tag in [message::COMMIT_TAG, message::LEAVE_TAG] {
            let body = envelope::seal(bob_keys, tag, &mangled, &mut rng(6));
            match receive(alice, keys, &body) {
                Err(ReceiveError::Refused { author, .. }) => assert_eq!(author, bob_keys.me()),
                other => panic!("{:?}", other.err()),
            }
        }
    }
    assert!(before == *alice);
    assert!(matches!(receive(alice, keys, &prepared.commit), Ok(Received::Commit(_))));
}

/// Of proposals nothing is left in the rows once an epoch has ended.
#[test]
fn proposals_go_with_their_epoch() {
    let members = three();
    let (alice, rows, keys) = &members[0];
    let mut rows = rows.clone();
    let kinds = |rows: &MlsRows| rows.0.keys().map(|key| key[0]).collect::<Vec<_>>();
    let before = kinds(&rows);
    let (_, wish) = propose_leave(&members[2].1, &members[2].2, &mut rng(3)).unwrap();
    let Ok(Received::Leave(proposal)) = receive(&rows, keys, &wish) else { panic!("a wish") };
    rows.apply(proposal.changes);
    assert_ne!(kinds(&rows), before);
    let prepared = commit(&rows, keys, alice, &[], &mut rng(4)).unwrap();
    rows.apply(prepared.changes);
    rows.apply(merge_own(&rows).unwrap().changes);
    assert_eq!(kinds(&rows), before);
}

/// A commit says of the epoch that it begins what merging it will say.
#[test]
fn the_epoch_that_is_announced_is_the_one_that_begins() {
    let members = three();
    let (alice, rows, keys) = &members[0];
    let mut rows = rows.clone();
    let prepared = commit(&rows, keys, alice, &[Change::Remove(Leaf(2))], &mut rng(4)).unwrap();
    rows.apply(prepared.changes);
    assert!(read(&rows).unwrap() != prepared.epoch, "it has not begun");
    let merged = merge_own(&rows).unwrap();
    assert!(merged.epoch == prepared.epoch);
    rows.apply(merged.changes);
    assert!(read(&rows).unwrap() == prepared.epoch);
}

#[test]
fn a_row_that_is_cut_short_or_too_long_or_missing_is_damage() {
    let members = three();
    let (_, rows, _) = &members[0];
    let epoch = read(rows).unwrap();
    for (key, value) in &rows.0 {
        let cut = [0, 1, value.len() / 2, value.len() - 1].map(|length| Some(value[..length].to_vec()));
        let long = [&value[..], &[0]].concat();
        for damaged in cut.into_iter().chain([Some(long), None]) {
            let mut rows = rows.clone();
            match damaged {
                Some(damaged) => drop(rows.0.insert(key.clone(), damaged.into())),
                None => drop(rows.0.remove(key)),
            }
            // Some are read by other steps than this one, and a list may be empty.
            match read(&rows) {
                Err(error) => assert_eq!(error, GroupError::Damaged),
                Ok(read) => assert!(read == epoch, "a row of kind {} says something else", key[0]),
            }
        }
    }
}
