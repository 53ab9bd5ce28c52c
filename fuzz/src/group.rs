//! A small group, and what its members post.
//!
//! The library of the key agreement draws its own randomness, so that no two runs have the same group. An input is
//! therefore not a body but what is done to a real one: it means nearly the same in every run.

use std::{collections::BTreeSet, sync::OnceLock};

use ed25519_dalek::SigningKey;
use hermes_protocol::{
    Fingerprint, IdentityKeyPair,
    group::{
        Change, Created, EpochKeys, GroupContext, GroupId, GroupMessage, GroupSkippedKey, GroupSkippedKeys,
        KeyPackage, Leaf, MemberCard, MlsRows, Received, SenderChain, body_kind, commit, create, join,
        merge_own, open, propose_leave, receive, seal,
    },
};
use hermes_wire::{
    ChannelId, ContactId, MailboxId, RelayAddress, RelayPin, Timestamp,
    channel::CopyKey,
    token::{DropToken, Permission, SignedDropToken},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Edits of one input, so that it has its end.
const EDITS: usize = 16;

/// What a member knows who reads, and what arrives there.
struct Group {
    rows: MlsRows,
    keys: EpochKeys,
    /// The author's.
    chain: SenderChain,
    /// The secret half of a key package that the welcome is for.
    package: MlsRows,
    owner: Fingerprint,
    bodies: [Vec<u8>; 5],
}

/// Kinds of bodies, as the first byte of an input names them.
pub const MESSAGE: u8 = 0;
/// A commit.
pub const COMMIT: u8 = 1;
/// A wish to leave.
pub const WISH: u8 = 2;
/// A welcome.
pub const WELCOME: u8 = 3;
/// A key package.
pub const PACKAGE: u8 = 4;
/// What follows is the body.
pub const RAW: u8 = 5;
/// Of each four bytes that follow, what the first says is done at the place that the next two name, with the last.
pub const FLIP: u8 = 0;
/// Ends there.
pub const CUT: u8 = 1;
/// Something in between.
pub const INSERT: u8 = 2;
/// A piece of another body.
pub const SPLICE: u8 = 3;

/// Whatever was done to it, a body is refused or is what it was, and a refusal changes nothing.
pub fn body(input: &[u8]) {
    let Some((kind, edits)) = input.split_first() else { return };
    let group = Group::get();
    let kind = kind % 6;
    if kind == RAW {
        group.take(edits);
        return;
    }
    let real = &group.bodies[usize::from(kind)];
    let mut body = real.clone();
    for edit in edits.as_chunks().0.iter().take(EDITS) {
        group.edit(&mut body, *edit);
    }
    let taken = group.take(&body);
    assert_eq!(taken[usize::from(kind)], body == *real, "kind {kind}, edits {edits:?}");
    let others = taken.iter().enumerate().filter(|(other, _)| *other != usize::from(kind));
    assert!(others.into_iter().all(|(_, taken)| !taken));
}

impl Group {
    fn get() -> &'static Self {
        static GROUP: OnceLock<Group> = OnceLock::new();
        GROUP.get_or_init(Self::meet)
    }

    /// Whether it is taken for each kind of body.
    fn take(&self, body: &[u8]) -> [bool; 5] {
        let before = (self.rows.clone(), self.keys.to_bytes(), self.chain.to_bytes(), self.package.clone());
        let _kind = body_kind(body);
        let message = GroupMessage::decode(body).and_then(|message| {
            message.header(&self.keys)?;
            open(&self.keys, &self.chain, &message, &Nothing)
        });
        let change = receive(&self.rows, &self.keys, body);
        let taken = [
            message.is_ok(),
            matches!(change, Ok(Received::Commit(_) | Received::Removed(_))),
            matches!(change, Ok(Received::Leave(_))),
            join(&self.package, body).is_ok(),
            KeyPackage::check(body, &self.owner).is_ok(),
        ];
        let after = (self.rows.clone(), self.keys.to_bytes(), self.chain.to_bytes(), self.package.clone());
        assert!(before == after);
        taken
    }

    fn edit(&self, body: &mut Vec<u8>, [what, high, low, value]: [u8; 4]) {
        let at = usize::from(u16::from_be_bytes([high, low])) % (body.len() + 1);
        match what % 4 {
            FLIP => {
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= value;
                }
            }
            CUT => body.truncate(at),
            INSERT => drop(body.splice(at..at, [value; 3])),
            _ => {
                let other = &self.bodies[usize::from(value) % self.bodies.len()];
                let piece: Vec<_> = other.iter().skip(at).take(32).copied().collect();
                let end = body.len().min(at + piece.len());
                drop(body.splice(at..end, piece));
            }
        }
    }

    /// Alice makes a group of Bob, who reads, and Carol, who leaves, and adds Dora.
    fn meet() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let [alice, bob, carol, dora] = [(); 4].map(|()| IdentityKeyPair::generate(&mut rng));
        let context = GroupContext {
            name: "ops".to_owned(),
            channel: ChannelId([7; 32]),
            relay: RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).expect("the address is one"),
            admins: BTreeSet::from([alice.identity().fingerprint()]),
        };
        let mut drawn = |byte, identity: &IdentityKeyPair| {
            let drawn = KeyPackage::draw(identity, &card(byte), &mut rng).expect("a key package");
            let checked = KeyPackage::check(&drawn.public, &identity.identity().fingerprint());
            (drawn, checked.expect("its own"))
        };
        let [(for_bob, bob), (for_carol, carol), (for_dora, with_dora)] =
            [drawn(2, &bob), drawn(3, &carol), drawn(4, &dora)];
        let Created { mut rows, secrets, .. } =
            create(&alice, GroupId([5; 32]), &context, &card(1), &mut rng).expect("a group");
        let both = [Change::Add(bob), Change::Add(carol)];
        let first = commit(&rows, &secrets.keys, &alice, &both, &mut rng).expect("a commit");
        rows.apply(first.changes);
        let merged = merge_own(&rows).expect("it was pending");
        rows.apply(merged.changes);
        let welcome = first.welcome.expect("somebody was added");
        let reader = join(&for_bob.rows, &welcome).expect("Bob can join");
        let leaver = join(&for_carol.rows, &welcome).expect("Carol can join");
        let keys = first.secrets.keys;
        let chain = reader.secrets.chains[&keys.me()].clone();
        let (_, message) =
            seal(&keys, &first.secrets.chains[&keys.me()], b"hello", &mut rng).expect("sealed");
        let (_, wish) = propose_leave(&leaver.rows, &leaver.secrets.keys, &mut rng).expect("a wish");
        let add = [Change::Add(with_dora)];
        let second = commit(&rows, &keys, &alice, &add, &mut rng).expect("a commit");
        let welcome = second.welcome.expect("somebody was added");
        Self {
            rows: reader.rows,
            keys: reader.secrets.keys,
            chain,
            package: for_dora.rows,
            owner: dora.identity().fingerprint(),
            bodies: [message, second.commit, wish, welcome, for_dora.public],
        }
    }
}

fn card(byte: u8) -> MemberCard {
    let mailbox = MailboxId([byte; 32]);
    let token = DropToken {
        contact: ContactId([byte; 16]),
        permission: Permission::Channel,
        expiry: Timestamp(1_900_000_000_000),
        uses: None,
    };
    let token = SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[byte; 32]));
    MemberCard { mailbox, token, copy_key: CopyKey::new([byte; 32]), name: "somebody".to_owned() }
}

/// A reader that has missed nothing.
struct Nothing;

impl GroupSkippedKeys for Nothing {
    fn message_key(&self, _leaf: Leaf, _iteration: u32) -> Option<GroupSkippedKey> {
        None
    }

    fn stored(&self) -> Vec<(Leaf, u32)> {
        Vec::new()
    }
}
