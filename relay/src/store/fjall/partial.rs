//! What is read while a batch is applied, and a table is flushed at the same moment.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use fjall::Readable;
use hermes_wire::{
    ContactId, DropKey, EnvelopeId, InstanceId, MailboxId, Sequence, Timestamp,
    mailbox::{Credit, Deliver, Delivered},
};
use serde_bytes::ByteBuf;

use super::FjallStore;
use crate::{
    relay::deliver,
    store::{Changes, Mailbox, Store},
};

/// Each gets an envelope with each commit: so many that applying takes a while.
const MAILBOXES: u16 = 1_000;
const COMMITS: u64 = 100;

fn mailboxes() -> impl Iterator<Item = MailboxId> {
    (0..MAILBOXES).map(|number| {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        MailboxId(id)
    })
}

fn changes(number: u64) -> Changes {
    let mut changes = Changes::default();
    for mailbox in mailboxes() {
        let row = Mailbox {
            drop_key: DropKey([1; 32]),
            instance: InstanceId([2; 16]),
            head: Sequence(number),
            acked: Sequence(0),
            stored: Default::default(),
            last_prekey: Default::default(),
            stock: Default::default(),
            revoked: 0,
            reminded: Default::default(),
            fetched: 0,
            claim: None,
            blobs: Default::default(),
        };
        changes.mailboxes.insert(mailbox, row);
        let envelope = Delivered {
            sequence: Sequence(number),
            envelope: EnvelopeId([3; 16]),
            contact: ContactId([4; 16]),
            stored: Timestamp(5),
            body: ByteBuf::from(vec![6; 7]),
        };
        changes.envelopes.insert((mailbox, envelope.sequence), Some(envelope));
    }
    changes
}

/// Commits while `look` looks on, and tables that it does not look at are flushed.
fn meanwhile(look: impl Fn(&FjallStore, Sequence) + Sync) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = FjallStore::open(&directory.path().join("store")).unwrap();
    let (committed, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let other = store.clone();
    thread::scope(|scope| {
        for table in [&other.closed, &other.tokens, &other.rosters, &other.remembered] {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    table.rows.insert([8; 32], [9; 8]).unwrap();
                    table.rows.rotate_memtable_and_wait().unwrap();
                }
            });
        }
        let looking = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                look(&other, Sequence(committed.load(Ordering::SeqCst)));
            }
        });
        for number in 1..=COMMITS {
            if looking.is_finished() {
                break;
            }
            store.commit(changes(number)).unwrap();
            committed.store(number, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn an_envelope_is_there_before_its_mailbox_says_so() {
    meanwhile(|store, committed| {
        for mailbox in mailboxes() {
            let credit = Credit { envelopes: 9, bytes: 999 };
            let found = deliver(store, mailbox, committed, credit).unwrap();
            assert!(!found.iter().any(|deliver| matches!(deliver, Deliver::Gone(..))), "{found:?}");
        }
    });
}

#[test]
fn a_whole_snapshot_has_all_of_a_batch_or_nothing() {
    meanwhile(|store, _| {
        let snapshot = store.whole_snapshot();
        let head = |mailbox: MailboxId| {
            let row = snapshot.get(&store.mailboxes.rows, mailbox.0).unwrap()?;
            Some(store.mailboxes.decode::<Mailbox>(&row).unwrap().head)
        };
        let heads: Vec<_> = mailboxes().map(head).collect();
        assert!(heads.windows(2).all(|pair| pair[0] == pair[1]));
    });
}
