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
    let (crypto, storage) = (library.provider().crypto(), library.provider().storage());
    let mut group = library.only_group().unwrap();
    let current = group.safe_export_secret(crypto, storage, COMPONENT).is_ok();
    let pending = group.safe_export_secret_from_pending(crypto, storage, COMPONENT).is_ok();
    let merges = group.pending_commit().is_some() && group.merge_pending_commit(library.provider()).is_ok();
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
