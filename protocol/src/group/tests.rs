//! What a thief of the rows would try, to export an epoch's secret once more, and what an admin who has changed its
//! program would: to bring in somebody under another's identity. Only this module can ask the library.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use hermes_wire::{
    ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
    channel::CopyKey,
    token::{DropToken, Permission, SignedDropToken},
};
use openmls::prelude::{CredentialWithKey, OpenMlsProvider};
use rand_chacha::ChaCha20Rng;

use super::{
    library::{COMPONENT, LeafSigner, Library, SUITE, capabilities, leaf_extensions, lifetime},
    member::credential,
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

/// A group of an admin, who has changed its program, and a member; and a key package with the identity of a third, who
/// never signed its leaf key.
struct Impostor {
    admin: (IdentityKeyPair, Created),
    member: Joined,
    package: KeyPackage,
}

impl Impostor {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let [admin, member, victim] = std::array::from_fn(|_| IdentityKeyPair::generate(rng));
        let context = GroupContext {
            name: "ops".to_owned(),
            channel: ChannelId([7; 32]),
            relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap(),
            admins: BTreeSet::from([admin.identity().fingerprint()]),
        };
        let mut created = create(&admin, GroupId([5; 32]), &context, &card(1), rng).unwrap();
        let drawn = KeyPackage::draw(&member, &card(2), rng).unwrap();
        let package = KeyPackage::check(&drawn.public, &member.identity().fingerprint()).unwrap();
        let (_, welcome) = commit_and_merge(&admin, &mut created, Change::Add(package), rng);
        let member = join(&drawn.rows, &welcome.unwrap()).unwrap();
        let package = forged(&victim, rng);
        Self { admin: (admin, created), member, package }
    }
}

fn commit_and_merge(
    admin: &IdentityKeyPair,
    group: &mut Created,
    change: Change,
    rng: &mut ChaCha20Rng,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let prepared = commit(&group.rows, &group.secrets.keys, admin, &[change], rng).unwrap();
    group.rows.apply(prepared.changes);
    group.rows.apply(merge_own(&group.rows).unwrap().changes);
    group.secrets = prepared.secrets;
    (prepared.commit, prepared.welcome)
}

/// The credential is the victim's, for another leaf key than the one that is there.
fn forged(victim: &IdentityKeyPair, rng: &mut ChaCha20Rng) -> KeyPackage {
    let [signed, signing] = std::array::from_fn(|_| SigningKey::generate(rng));
    let package = openmls::prelude::KeyPackage::builder()
        .key_package_lifetime(lifetime())
        .leaf_node_capabilities(capabilities())
        .leaf_node_extensions(leaf_extensions(card(3).encode().unwrap()).unwrap())
        .build(
            SUITE,
            Library::empty().unwrap().provider(),
            &LeafSigner(&signing),
            CredentialWithKey {
                credential: credential(victim, &signed.verifying_key()),
                signature_key: signing.verifying_key().as_bytes().as_slice().into(),
            },
        )
        .unwrap();
    let package = package.key_package().clone();
    KeyPackage { identity: victim.identity().clone(), card: card(3), package }
}

#[test]
fn nobody_follows_a_commit_that_brings_in_a_borrowed_identity() {
    let mut rng = rng(3);
    let Impostor { admin: (admin, mut group), member, package } = Impostor::new(&mut rng);
    let (body, _) = commit_and_merge(&admin, &mut group, Change::Add(package), &mut rng);
    let received = receive(&member.rows, &member.secrets.keys, &body);
    assert!(matches!(received, Err(ReceiveError::Refused { rule: Rule::Credential, .. })));
}

#[test]
fn nobody_joins_a_group_with_a_borrowed_identity_in_it() {
    let mut rng = rng(4);
    let Impostor { admin: (admin, mut group), package, .. } = Impostor::new(&mut rng);
    commit_and_merge(&admin, &mut group, Change::Add(package), &mut rng);
    let newcomer = IdentityKeyPair::generate(&mut rng);
    let drawn = KeyPackage::draw(&newcomer, &card(4), &mut rng).unwrap();
    let package = KeyPackage::check(&drawn.public, &newcomer.identity().fingerprint()).unwrap();
    let (_, welcome) = commit_and_merge(&admin, &mut group, Change::Add(package), &mut rng);
    let joined = join(&drawn.rows, &welcome.unwrap());
    assert!(matches!(joined, Err(JoinError::Refused(Rule::Credential))));
}
