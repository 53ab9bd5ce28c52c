//! A store that is made of a backup: it has what was said, no key of what is under way, and goes on with everyone.

use std::ops::ControlFlow;

use ciborium::Value;
use hermes_engine::{
    ChangeSet, GroupStanding, Order, Range, Store, Table, View,
    backup::{self, Manifest, Restore},
    query,
};
use hermes_tests::sim::{Crowd, MemoryStore};
use hermes_wire::Timestamp;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What a backup of a store has in it.
fn back_up(store: &MemoryStore) -> Vec<u8> {
    let manifest = Manifest { schema: 1, made: NOW, account: "c2".into() };
    let mut bytes = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    backup::rows(store, &manifest, NOW, &mut rng, &mut |row| {
        bytes.extend_from_slice(row);
        ControlFlow::Continue(())
    })
    .expect("memory");
    bytes
}

fn restore(bytes: &[u8]) -> MemoryStore {
    let (mut restore, mut changes) = (Restore::default(), ChangeSet::default());
    restore.take(bytes, 1, &mut changes).expect("a backup");
    restore.finish().expect("all of it");
    let mut store = MemoryStore::default();
    store.commit(&changes).expect("memory");
    store
}

fn rows(store: &MemoryStore, table: Table) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let found = store.scan(table, &Range::all(), Order::Ascending, &mut |_, value| {
        rows.push(value.to_vec());
        ControlFlow::Continue(())
    });
    found.expect("memory");
    rows
}

/// Every byte string of a record.
fn strings(value: Value, into: &mut Vec<Vec<u8>>) {
    match value {
        Value::Bytes(bytes) => into.push(bytes),
        Value::Array(values) => values.into_iter().for_each(|value| strings(value, into)),
        Value::Map(fields) => fields.into_iter().for_each(|(_, value)| strings(value, into)),
        Value::Tag(_, value) => strings(*value, into),
        _ => {}
    }
}

/// What must not be in a backup: the secret part of each row with keys.
fn secrets(store: &MemoryStore) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for table in Table::ALL.into_iter().filter(|table| table.holds_keys()) {
        for row in rows(store, table) {
            let Ok(record) = ciborium::from_reader::<Value, _>(row.as_slice()) else {
                // The group library's own; as a whole, then.
                secrets.push(row);
                continue;
            };
            let secret = match record {
                // Beside its keys, a group's record says who is in it.
                Value::Map(fields) if table == Table::Group => Value::Map(
                    fields.into_iter().filter(|(name, _)| name.as_text() == Some("keys")).collect(),
                ),
                Value::Map(fields) if matches!(table, Table::Session | Table::Prekey) => Value::Map(
                    fields
                        .into_iter()
                        .filter(|(name, _)| matches!(name.as_text(), Some("core" | "secret")))
                        .collect(),
                ),
                record => record,
            };
            strings(secret, &mut secrets);
        }
    }
    secrets.retain(|secret| secret.len() >= 32);
    secrets
}

/// Three members of whom the first is the admin; the last one's store and a backup of it.
fn three(seed: u64) -> (Crowd, MemoryStore) {
    let mut crowd = Crowd::new(seed, 3);
    crowd.create(&[1, 2]);
    crowd.say(0, "before");
    crowd.say(2, "before, too");
    crowd.write(2, 0, "to the first");
    crowd.settle();
    let copy = crowd.copy(2);
    (crowd, copy)
}

#[test]
fn no_key_of_a_session_a_prekey_or_a_group_is_in_it() {
    let (_, store) = three(1);
    let bytes = back_up(&store);
    let secrets = secrets(&store);
    assert!(secrets.len() > 100, "{}", secrets.len());
    for secret in &secrets {
        assert!(memchr::memmem::find(&bytes, secret).is_none(), "{secret:?}");
    }
    let restored = restore(&bytes);
    for table in Table::ALL.into_iter().filter(|table| !table.is_portable()) {
        assert!(rows(&restored, table).is_empty(), "{}", table.name());
    }
    // What was said is all there, in the same places.
    for table in [Table::Message, Table::MessageIndex, Table::Name, Table::Peer, Table::Member] {
        assert_eq!(rows(&restored, table), rows(&store, table), "{}", table.name());
    }
    let summaries = [&store, &restored].map(|store| query::summary(store).expect("memory"));
    assert_eq!(summaries[0].fingerprint, summaries[1].fingerprint);
    assert_eq!((summaries[0].unread, summaries[0].contacts), (summaries[1].unread, summaries[1].contacts));
}

#[test]
fn whoever_is_restored_goes_on_with_contacts_and_groups() {
    let (mut crowd, store) = three(2);
    crowd.say(0, "meanwhile");
    crowd.settle();
    crowd.put_back(2, &restore(&back_up(&store)));
    assert_eq!(crowd.standing(2), GroupStanding::Lost(hermes_engine::LostReason::Restored));
    crowd.settle();
    crowd.say(1, "after");
    crowd.settle();
    crowd.say(2, "I am back");
    crowd.write(2, 0, "and here");
    crowd.write(0, 2, "welcome");
    crowd.settle();
    for member in [0, 1, 2] {
        assert_eq!(crowd.standing(member), GroupStanding::Member, "of {member}");
        assert_eq!(crowd.authenticator(member), crowd.authenticator(0), "of {member}");
    }
    assert_eq!(crowd.heard(2), ["before", "after"], "what was sent in between is gone");
    assert_eq!(crowd.heard(0), ["before, too", "after", "I am back"]);
}

#[test]
fn what_had_not_left_leaves_from_the_restored_store() {
    let (mut crowd, _) = three(3);
    crowd.try_say(2, "queued for the group");
    let restored = restore(&back_up(crowd.store(2)));
    let summary = query::summary(&restored).expect("memory");
    assert_eq!((summary.outbox, summary.store.state), (0, query::StoreState::Recovering));
    // A group's message cannot be sealed for an epoch that nobody knows: it has failed, and says so.
    let log = query::log(&restored, "ops", None, 99).expect("memory").expect("a group");
    let failed = |message: &query::MessageView| {
        matches!(&message.direction, query::MessageDirection::Sent(hermes_engine::MessageState::Failed(_)))
    };
    assert_eq!(log.iter().filter(|message| failed(message)).count(), 1);
}

/// Without the keys of that mailbox, nobody could add the account again without another registration.
#[test]
fn a_backup_has_the_mailboxes_at_other_relays() {
    let mut crowd = Crowd::of_two_relays(31, 3, &[2]);
    crowd.create(&[1, 2]);
    let before = crowd.guests(2);
    let restored = restore(&back_up(crowd.store(2)));
    crowd.put_back(2, &restored);
    crowd.settle();
    crowd.wait(std::time::Duration::from_secs(3_600));
    crowd.tick(2);
    crowd.settle();
    assert_eq!(crowd.standing(2), GroupStanding::Member);
    let after = crowd.guests(2);
    assert_eq!((after.len(), &after[0].guest), (1, &before[0].guest));
    crowd.say(0, "again");
    crowd.settle();
    assert_eq!(crowd.heard(2), ["again"]);
}
