//! What is in a member's store after a message: nothing that opens it again.

use std::{collections::BTreeSet, ops::ControlFlow};

use hermes_engine::{GroupChange, Order, Range, Table, View, query};
use hermes_protocol::group::{
    EpochKeys, GroupMessage, GroupSkippedKey, GroupSkippedKeys, Leaf, SenderChain, drop_own, merge_own, open,
};
use hermes_tests::sim::{Crowd, MemoryStore, mls_rows};
use hermes_wire::drop::ToDrop;
use serde_bytes::ByteBuf;

const TABLES: [Table; 5] =
    [Table::Mls, Table::Group, Table::SenderChain, Table::SenderSkipped, Table::KeyPackage];

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(store: &MemoryStore, table: Table) -> Rows {
    let mut rows = Vec::new();
    let found = store.scan(table, &Range::all(), Order::Ascending, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    found.expect("memory");
    rows
}

fn everything(store: &MemoryStore) -> Rows {
    Table::ALL.into_iter().flat_map(|table| rows(store, table)).collect()
}

fn holds(store: &MemoryStore, secret: &[u8]) -> bool {
    let inside = |bytes: &[u8]| memchr::memmem::find(bytes, secret).is_some();
    everything(store).iter().any(|(key, value)| inside(key) || inside(value))
}

fn chains(store: &MemoryStore) -> Vec<SenderChain> {
    let chain = |(_, row): (Vec<u8>, Vec<u8>)| {
        let bytes: ByteBuf = ciborium::from_reader(row.as_slice()).expect("bytes");
        SenderChain::from_bytes(&bytes).expect("a chain")
    };
    rows(store, Table::SenderChain).into_iter().map(chain).collect()
}

fn keys(store: &MemoryStore, crowd: &Crowd, client: usize) -> EpochKeys {
    let chat = crowd.details(client).group.chat;
    let (_, row) = rows(store, Table::Group).into_iter().find(|(key, _)| *key == chat.0).expect("a group");
    let row: ciborium::Value = ciborium::from_reader(row.as_slice()).expect("a record");
    let fields = row.into_map().expect("a map");
    let keys = fields.into_iter().find(|(key, _)| key.as_text() == Some("keys")).expect("keys").1;
    EpochKeys::from_bytes(keys.as_bytes().expect("bytes")).expect("keys")
}

/// Every skipped key that a store has.
struct Skipped(Vec<GroupSkippedKey>);

impl Skipped {
    fn of(store: &MemoryStore) -> Self {
        let key = |(_, row): (Vec<u8>, Vec<u8>)| {
            let bytes: ByteBuf = ciborium::from_reader(row.as_slice()).expect("bytes");
            GroupSkippedKey::from_bytes(&bytes).expect("a key")
        };
        Self(rows(store, Table::SenderSkipped).into_iter().map(key).collect())
    }
}

impl GroupSkippedKeys for Skipped {
    fn message_key(&self, leaf: Leaf, iteration: u32) -> Option<GroupSkippedKey> {
        self.0.iter().find(|key| (key.leaf, key.iteration) == (leaf, iteration)).cloned()
    }

    fn stored(&self) -> Vec<(Leaf, u32)> {
        self.0.iter().map(|key| (key.leaf, key.iteration)).collect()
    }
}

/// The secret in a chain's row, or in a skipped key's: after version, leaf and number.
fn secret(row: &[u8]) -> Vec<u8> {
    row[9..41].to_vec()
}

/// Whether a body opens with anything that a store has.
fn opens(store: &MemoryStore, keys: &EpochKeys, body: &[u8]) -> bool {
    let message = GroupMessage::decode(body).expect("a message");
    let skipped = Skipped::of(store);
    chains(store).iter().any(|chain| open(keys, chain, &message, &skipped).is_ok())
}

#[test]
fn no_row_of_any_member_opens_a_message_that_was_read() {
    let mut crowd = Crowd::new(1, 3);
    crowd.create(&[1, 2]);
    let author = keys(crowd.store(0), &crowd, 0).me();
    let of_author = |store: &MemoryStore| {
        chains(store).into_iter().find(|chain| chain.leaf() == author).expect("the author's chain")
    };
    let before = of_author(crowd.store(0));
    let thief = crowd.store(1).clone();
    for text in ["the secret", "another"] {
        crowd.try_say(0, text);
    }
    let chat = crowd.details(0).group.chat;
    let body = |outgoing: query::Outgoing| match outgoing.frame {
        ToDrop::Post(post) => post.body.into_vec(),
        other => panic!("{other:?}"),
    };
    let waiting = query::outbox(crowd.store(0), chat, None, 2).unwrap();
    let [first, second]: [Vec<u8>; 2] = waiting.into_iter().map(body).collect::<Vec<_>>().try_into().unwrap();

    // The keys that were used, as whoever had the rows of before derives them.
    let epoch = keys(&thief, &crowd, 1);
    let second = GroupMessage::decode(&second).unwrap();
    let (after, opened) = open(&epoch, &before, &second, &Skipped(Vec::new())).unwrap();
    let message_key = secret(&opened.skipped.put[0].to_bytes());
    let (chain_before, chain_after) = (secret(&before.to_bytes()), secret(&after.to_bytes()));
    assert!(opens(&thief, &epoch, &first) && holds(&thief, &chain_before), "this test would see them");

    crowd.settle();
    for member in [1, 2] {
        assert_eq!(crowd.heard(member), ["the secret", "another"]);
    }
    for member in 0..3 {
        let store = crowd.store(member);
        assert!(holds(store, &chain_after), "of {member}: the search finds what is there");
        assert!(!holds(store, &message_key) && !holds(store, &chain_before), "of {member}");
        assert!(!opens(store, &epoch, &first), "of {member}");
        // The tree gives no epoch's seed again, neither of this one nor of one to come.
        let tree = mls_rows(store, &crowd.details(member).group.chat.0);
        assert!(merge_own(&tree).is_err() && drop_own(&tree).is_err(), "of {member}: nothing is pending");
    }

    // The next epoch takes everything with it.
    let gone: BTreeSet<_> = chains(crowd.store(0)).iter().map(|chain| secret(&chain.to_bytes())).collect();
    crowd.change(0, GroupChange::Rename("ops 2".to_owned()));
    crowd.settle();
    for member in 0..3 {
        let store = crowd.store(member);
        assert!(gone.iter().all(|secret| !holds(store, secret)), "of {member}");
        let kept = TABLES.into_iter().flat_map(|table| rows(store, table));
        let epoch = epoch.to_bytes();
        // Version, group, number and leaf, then four keys of the epoch, and the leaf's own.
        for key in epoch[45..173].chunks(32) {
            assert!(
                kept.clone().all(|(_, value)| memchr::memmem::find(&value, key).is_none()),
                "of {member}"
            );
        }
    }
}
