//! What every store must do alike: one suite, run on each backend, and one random history on all of them at once.

use crate::common::{
    Ask, DAY, NOW, Owner, PLENTY, at,
    backend::{Backend, OnDisk},
    claim, deposit, prekey,
};
use hermes_relay::{
    Limits, Outcome, Policy, Registration, Relay, Request, Store,
    limits::Rate,
    store::{
        About, Blob, Changes, Channel, Contact, Hour, Mailbox, Matter, Posted, Receipt, Remembered, Reminder,
        TokenHash, TokenRow, Usage, memory::MemoryStore,
    },
};
use hermes_wire::{
    BlobId, ChannelId, ContactId, EnvelopeId, FetchId, MailboxId, PostId, Sequence,
    channel::{Head, PostTokenHash, RosterHash},
    limits::{BLOB_PART_BYTES, ROSTER_BYTES},
    mailbox::{Credit, Deliver, Delivered},
    prekey::{PrekeyId, PrekeyKind, SealedBundle},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_bytes::ByteBuf;

const ALICE: MailboxId = MailboxId([1; 32]);
const BOB: MailboxId = MailboxId([2; 32]);
const CHANNEL: ChannelId = ChannelId([3; 32]);
const BLOB: BlobId = BlobId([4; 32]);

over_both_stores! {
    rows_come_back_as_they_went_in_even_after_reopening,
    deleted_rows_are_gone,
    envelopes_are_ordered_and_bounded,
    prekeys_are_ordered_within_their_kind,
    reminders_are_due_in_order,
}

fn envelope(sequence: u64, size: usize) -> Delivered {
    Delivered {
        sequence: Sequence(sequence),
        envelope: EnvelopeId([sequence as u8; 16]),
        contact: ContactId([3; 16]),
        stored: NOW,
        body: ByteBuf::from(vec![sequence as u8; size]),
    }
}

fn bundle() -> SealedBundle {
    SealedBundle {
        signed: prekey(PrekeyKind::Signed, 1),
        one_time: None,
        kem: prekey(PrekeyKind::LastResortKem, 3),
        ff: prekey(PrekeyKind::SignedFf, 2),
    }
}

fn contact() -> Contact {
    Contact { stored: Usage { envelopes: 2, bytes: 9 }, revoked: Some(NOW), fetches: None, missed: true }
}

fn channel() -> Channel {
    Channel {
        epoch: u64::MAX,
        head: Head([1; 32]),
        token: PostTokenHash([2; 32]),
        earlier: vec![PostTokenHash([3; 32]); 8],
        roster: RosterHash([4; 32]),
        sequence: Sequence(5),
        used: NOW,
    }
}

fn posted() -> Posted {
    Posted { content: [6; 32], sequence: Sequence(7) }
}

fn remembered() -> Remembered {
    Remembered { post: PostId([1; 16]), due: Hour(9) }
}

fn blob() -> Blob {
    Blob { owner: ALICE, total: BLOB_PART_BYTES as u32 + 9, upto: 9, stored: NOW }
}

/// One row of each kind.
fn one_of_each() -> Changes {
    let mut changes = Changes::default();
    changes.envelopes.insert((ALICE, Sequence(1)), Some(envelope(1, 64 * 1024)));
    changes.receipts.insert((ALICE, EnvelopeId([1; 16])), Some(Receipt { body: [5; 32] }));
    changes.contacts.insert((ALICE, ContactId([3; 16])), Some(contact()));
    changes.fetches.insert((ALICE, ContactId([3; 16]), FetchId([4; 16])), Some(bundle()));
    changes.prekeys.insert((ALICE, PrekeyKind::OneTime, PrekeyId(4)), Some(prekey(PrekeyKind::OneTime, 4)));
    changes.tokens.insert(TokenHash([6; 32]), Some(TokenRow { uses: 2, expiry: NOW }));
    let about = About::Mailbox(ALICE, Matter::Receipts(Sequence(1)));
    let reminder = Reminder { due: Hour(1), about };
    changes.reminders.insert(reminder, Some(vec![EnvelopeId([1; 16]); 1_024]));
    changes.channels.insert(CHANNEL, Some(channel()));
    changes.rosters.insert(CHANNEL, Some(ByteBuf::from(vec![9; ROSTER_BYTES + 40])));
    changes.posts.insert((CHANNEL, PostId([1; 16])), Some(posted()));
    changes.remembered.insert((CHANNEL, 7), Some(remembered()));
    changes.blobs.insert(BLOB, Some(blob()));
    changes.blob_parts.insert((BLOB, 0), Some(ByteBuf::from(vec![1; BLOB_PART_BYTES])));
    changes.blob_parts.insert((BLOB, BLOB_PART_BYTES as u32), Some(ByteBuf::from(vec![2; 9])));
    changes.closed.insert(BOB, NOW);
    changes
}

fn rows_come_back_as_they_went_in_even_after_reopening<B: Backend>(backend: &B) {
    let mut store = backend.reopen(None);
    store.commit(one_of_each()).unwrap();
    let owner = Owner::with_mailbox(1, ALICE);
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(store, policy).unwrap();
    relay.registers(NOW, &owner);
    let mut store = relay.into_store();
    let registered = store.mailbox(ALICE).unwrap().unwrap();
    let mailbox = Mailbox { claim: Some(owner.sign(claim(1, 2))), ..registered };
    let mailboxes = [(ALICE, mailbox.clone())].into();
    store.commit(Changes { mailboxes, ..Changes::default() }).unwrap();
    let mailbox = Some(mailbox);

    let store = backend.reopen(Some(store));
    assert_eq!(store.mailbox(ALICE).unwrap(), mailbox);
    assert_eq!(store.mailbox(BOB).unwrap(), None);
    assert_eq!(store.mailbox_count().unwrap(), 1);
    assert_eq!(store.envelopes(ALICE, Sequence(0), PLENTY).unwrap(), [envelope(1, 64 * 1024)]);
    assert_eq!(store.envelopes(BOB, Sequence(0), PLENTY).unwrap(), []);
    assert_eq!(store.receipt(ALICE, EnvelopeId([1; 16])).unwrap(), Some(Receipt { body: [5; 32] }));
    assert_eq!(store.receipt(BOB, EnvelopeId([1; 16])).unwrap(), None);
    assert_eq!(store.contact(ALICE, ContactId([3; 16])).unwrap(), Some(contact()));
    assert_eq!(store.fetch(ALICE, ContactId([3; 16]), FetchId([4; 16])).unwrap(), Some(bundle()));
    let first = store.prekey_after(ALICE, PrekeyKind::OneTime, PrekeyId(0)).unwrap();
    assert_eq!(first, Some(prekey(PrekeyKind::OneTime, 4)));
    assert_eq!(store.token(TokenHash([6; 32])).unwrap(), Some(TokenRow { uses: 2, expiry: NOW }));
    assert_eq!(store.tokens(9).unwrap(), [(TokenHash([6; 32]), TokenRow { uses: 2, expiry: NOW })]);
    assert_eq!(store.tokens(0).unwrap(), []);
    assert_eq!(store.closed().unwrap(), [BOB]);
    assert_eq!(store.due(None, Hour(1), 9).unwrap()[0].1.len(), 1_024);
    assert_eq!(store.channel(CHANNEL).unwrap(), Some(channel()));
    assert_eq!(store.channel_count().unwrap(), 1);
    assert_eq!(store.roster(CHANNEL).unwrap().unwrap().len(), ROSTER_BYTES + 40);
    assert_eq!(store.posted(CHANNEL, PostId([1; 16])).unwrap(), Some(posted()));
    assert_eq!(store.remembered(CHANNEL, 7).unwrap(), Some(remembered()));
    assert_eq!(store.posted(CHANNEL, PostId([2; 16])).unwrap(), None);
    assert_eq!(store.blob(BLOB).unwrap(), Some(blob()));
    assert_eq!(store.blob_part(BLOB, 0).unwrap().unwrap().len(), BLOB_PART_BYTES);
    assert_eq!(store.blob_part(BLOB, BLOB_PART_BYTES as u32).unwrap().unwrap().as_slice(), [2; 9]);
    assert_eq!(store.blob_part(BLOB, 1).unwrap(), None);
}

fn deleted_rows_are_gone<B: Backend>(backend: &B) {
    let mut store = backend.reopen(None);
    let mut changes = one_of_each();
    store.commit(changes.clone()).unwrap();
    changes.envelopes.values_mut().for_each(|row| *row = None);
    changes.receipts.values_mut().for_each(|row| *row = None);
    changes.contacts.values_mut().for_each(|row| *row = None);
    changes.fetches.values_mut().for_each(|row| *row = None);
    changes.prekeys.values_mut().for_each(|row| *row = None);
    changes.tokens.values_mut().for_each(|row| *row = None);
    changes.reminders.values_mut().for_each(|row| *row = None);
    changes.channels.values_mut().for_each(|row| *row = None);
    changes.rosters.values_mut().for_each(|row| *row = None);
    changes.posts.values_mut().for_each(|row| *row = None);
    changes.remembered.values_mut().for_each(|row| *row = None);
    changes.blobs.values_mut().for_each(|row| *row = None);
    changes.blob_parts.values_mut().for_each(|row| *row = None);
    store.commit(changes).unwrap();

    let store = backend.reopen(Some(store));
    assert_eq!(store.envelopes(ALICE, Sequence(0), PLENTY).unwrap(), []);
    assert_eq!(store.receipt(ALICE, EnvelopeId([1; 16])).unwrap(), None);
    assert_eq!(store.contact(ALICE, ContactId([3; 16])).unwrap(), None);
    assert_eq!(store.fetch(ALICE, ContactId([3; 16]), FetchId([4; 16])).unwrap(), None);
    assert_eq!(store.prekey_after(ALICE, PrekeyKind::OneTime, PrekeyId(0)).unwrap(), None);
    assert_eq!(store.token(TokenHash([6; 32])).unwrap(), None);
    assert_eq!(store.due(None, Hour(u64::MAX), 9).unwrap(), []);
    assert_eq!(store.channel(CHANNEL).unwrap(), None);
    assert_eq!(store.channel_count().unwrap(), 0);
    assert_eq!(store.roster(CHANNEL).unwrap(), None);
    assert_eq!(store.posted(CHANNEL, PostId([1; 16])).unwrap(), None);
    assert_eq!(store.remembered(CHANNEL, 7).unwrap(), None);
    assert_eq!(store.blob(BLOB).unwrap(), None);
    assert_eq!(store.blob_part(BLOB, 0).unwrap(), None);
}

fn envelopes_are_ordered_and_bounded<B: Backend>(backend: &B) {
    let mut store = backend.reopen(None);
    let mut changes = Changes::default();
    for sequence in [255, 256, 1, 65_536] {
        changes.envelopes.insert((ALICE, Sequence(sequence)), Some(envelope(sequence, 100)));
        changes.envelopes.insert((BOB, Sequence(sequence)), Some(envelope(sequence, 100)));
    }
    store.commit(changes).unwrap();
    let sequences = |after, envelopes, bytes| -> Vec<u64> {
        let rows = store.envelopes(ALICE, Sequence(after), Credit { envelopes, bytes }).unwrap();
        rows.iter().map(|row| row.sequence.0).collect()
    };
    assert_eq!(sequences(0, 9, 9_999), [1, 255, 256, 65_536]);
    assert_eq!(sequences(1, 9, 9_999), [255, 256, 65_536]);
    assert_eq!(sequences(254, 2, 9_999), [255, 256]);
    assert_eq!(sequences(0, 9, 299), [1, 255]);
    assert_eq!(sequences(0, 0, 9_999), [0u64; 0]);
    assert_eq!(sequences(u64::MAX, 9, 9_999), [0u64; 0]);
}

fn prekeys_are_ordered_within_their_kind<B: Backend>(backend: &B) {
    let mut store = backend.reopen(None);
    let mut changes = Changes::default();
    for (kind, id) in [(PrekeyKind::OneTime, 256), (PrekeyKind::OneTime, 255), (PrekeyKind::OneTimeKem, 1)] {
        changes.prekeys.insert((ALICE, kind, PrekeyId(id)), Some(prekey(kind, id)));
    }
    store.commit(changes).unwrap();
    let after = |kind, id| store.prekey_after(ALICE, kind, PrekeyId(id)).unwrap().map(|entry| entry.id.0);
    assert_eq!(after(PrekeyKind::OneTime, 0), Some(255));
    assert_eq!(after(PrekeyKind::OneTime, 255), Some(256));
    assert_eq!(after(PrekeyKind::OneTime, 256), None);
    assert_eq!(after(PrekeyKind::OneTimeKem, 0), Some(1));
    assert_eq!(after(PrekeyKind::Signed, 0), None);
}

fn reminders_are_due_in_order<B: Backend>(backend: &B) {
    let mut store = backend.reopen(None);
    let mut changes = Changes::default();
    let reminder = |due, mailbox, matter| Reminder { due: Hour(due), about: About::Mailbox(mailbox, matter) };
    let contact = ContactId([1; 16]);
    let all = [
        reminder(1, BOB, Matter::Envelopes),
        reminder(256, ALICE, Matter::Envelopes),
        reminder(256, ALICE, Matter::Receipts(Sequence(7))),
        reminder(256, ALICE, Matter::Contact(contact)),
        reminder(256, ALICE, Matter::Fetch(contact, FetchId([1; 16]))),
        reminder(256, ALICE, Matter::Removal(Sequence(7))),
        Reminder { due: Hour(256), about: About::Channel(CHANNEL) },
        Reminder { due: Hour(256), about: About::Post(CHANNEL, PostId([1; 16])) },
        Reminder { due: Hour(256), about: About::Blob(BLOB) },
        reminder(257, ALICE, Matter::Envelopes),
    ];
    changes.reminders.extend(all.iter().rev().map(|reminder| (*reminder, Some(Vec::new()))));
    store.commit(changes).unwrap();
    let due = |hour, limit| -> Vec<Reminder> {
        store.due(None, Hour(hour), limit).unwrap().into_iter().map(|(reminder, _)| reminder).collect()
    };
    assert_eq!(due(0, 9), []);
    assert_eq!(due(256, 99), all[..9]);
    assert_eq!(due(256, 2), all[..2]);
    assert_eq!(due(u64::MAX, 99), all);
    for from in 0..all.len() {
        let due = store.due(Some(all[from]), Hour(256), 3).unwrap();
        let due: Vec<_> = due.into_iter().map(|(reminder, _)| reminder).collect();
        assert_eq!(due, all[from.min(9)..(from + 3).min(9)]);
    }
}

/// A history drawn from a seed, applied to both backends at once: they must answer every request alike, across
/// restarts of the one on disk.
#[test]
fn backends_answer_every_history_alike() {
    for seed in 0..8 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = OnDisk::new();
        let limits = Limits {
            mailbox_envelopes: 40,
            deposits: Rate { burst: 60, ..Limits::default().deposits },
            ..Limits::default()
        };
        let policy = Policy { registration: Registration::Open, limits };
        let mut memory = Relay::new(MemoryStore::new(), policy.clone()).unwrap();
        let mut fjall = Relay::new(disk.reopen(None), policy.clone()).unwrap();
        let mut now = NOW;
        let mut next_prekey = 1;
        for step in 0..150 {
            now.0 += u64::from(rng.next_u32() % 4) * DAY / 8;
            let requests: Vec<Request> =
                (0..=rng.next_u32() % 6).map(|_| draw(&mut rng, &mut memory, &mut next_prekey)).collect();
            let expected = memory.apply(now, requests.clone()).unwrap();
            assert_eq!(fjall.apply(now, requests).unwrap(), expected, "seed {seed}, step {step}");
            for owner in [Owner::new(1), Owner::new(2)] {
                let waiting = memory.deliver(owner.mailbox, Sequence(0), PLENTY).unwrap();
                assert_eq!(
                    fjall.deliver(owner.mailbox, Sequence(0), PLENTY).unwrap(),
                    waiting,
                    "seed {seed}"
                );
                let books = memory.store().mailbox(owner.mailbox).unwrap();
                assert_eq!(fjall.store().mailbox(owner.mailbox).unwrap(), books, "seed {seed}, step {step}");
            }
            if step % 50 == 49 {
                // Both lose their rates, which live in memory only.
                memory = Relay::new(memory.into_store(), policy.clone()).unwrap();
                fjall = Relay::new(disk.reopen(Some(fjall.into_store())), policy.clone()).unwrap();
            }
        }
        // What the books say waits is what waits.
        for owner in [Owner::new(1), Owner::new(2)] {
            let Some(row) = memory.store().mailbox(owner.mailbox).unwrap() else { continue };
            let waiting = memory.store().envelopes(owner.mailbox, Sequence(0), PLENTY).unwrap();
            assert_eq!(row.stored.envelopes, waiting.len() as u64);
            assert_eq!(row.stored.bytes, waiting.iter().map(|row| row.body.len() as u64).sum::<u64>());
        }
    }
}

fn draw(rng: &mut ChaCha8Rng, relay: &mut Relay<MemoryStore>, next_prekey: &mut u64) -> Request {
    let owner = Owner::new(1 + (rng.next_u32() % 2) as u8);
    let mailbox = owner.mailbox;
    let mut token = owner.token((rng.next_u32() % 3) as u8);
    if rng.next_u32().is_multiple_of(3) {
        (token.uses, token.expiry) = (Some(2), at(2 * DAY));
    }
    let entry = relay.opens(NOW, owner.open(&token));
    match (rng.next_u32() % 16, entry) {
        (0, _) => Request::Register { mailbox, register: owner.register(None) },
        (1 | 2, _) => {
            let head = relay.store().mailbox(mailbox).unwrap().map_or(0, |row| row.head.0);
            Request::Ack { mailbox, upto: Sequence(rng.next_u64() % (head + 2)) }
        }
        (3, _) => {
            let kinds = [PrekeyKind::ALL, PrekeyKind::ALL].concat();
            let entries = kinds.into_iter().zip(*next_prekey..).map(|(kind, id)| prekey(kind, id)).collect();
            *next_prekey += rng.next_u64() % 12;
            Request::PutPrekeys { mailbox, entries }
        }
        (4, _) if rng.next_u32().is_multiple_of(4) => Request::Revoke {
            mailbox,
            contact: ContactId([2; 16]),
            until: at(u64::from(rng.next_u32()) % (9 * DAY)),
        },
        (5 | 6, Ok(entry)) => {
            Request::FetchPrekeys { entry, fetch: FetchId([(rng.next_u32() % 8) as u8; 16]) }
        }
        (7, _) => Request::Sweep,
        (8, _) => Request::Open(owner.open(&token)),
        (_, Ok(entry)) => {
            let deposits = (0..=rng.next_u32() % 4)
                .map(|_| deposit(rng.next_u32() % 400, &vec![0; (rng.next_u32() % 100) as usize]))
                .collect();
            Request::Deposit { entry, deposits }
        }
        (_, Err(_)) => Request::Register { mailbox, register: owner.register(None) },
    }
}

/// A panic, or an early return, drops a store without closing it; what was committed must not care.
#[test]
fn a_store_that_was_never_closed_has_everything() {
    let disk = OnDisk::new();
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let bob = Owner::new(1);
    for round in 0..3u32 {
        let mut relay = Relay::new(disk.reopen(None), policy.clone()).unwrap();
        assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { .. }));
        let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
        assert_eq!(relay.deposits(NOW, &entry, &[deposit(round, b"body")]), [Ok(())]);
        let waiting = relay.deliver(bob.mailbox, Sequence(0), PLENTY).unwrap();
        assert_eq!(waiting.len() as u32, round + 1);
    }
}

/// A head that is visible before its envelopes would make them look gone, and their owner would skip them for ever.
#[test]
fn a_reader_beside_the_committer_sees_whole_commits() {
    const GROUPS: u32 = 200;
    const GROUP: u32 = 8;
    let disk = OnDisk::new();
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let bob = Owner::new(1);
    let mut relay = Relay::new(disk.reopen(None), policy).unwrap();
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { .. }));
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let reader = relay.store().clone();
    let committer = std::thread::spawn(move || {
        for group in 0..GROUPS {
            let deposits: Vec<_> = (0..GROUP).map(|n| deposit(group * GROUP + n, b"body")).collect();
            assert!(relay.deposits(NOW, &entry, &deposits).iter().all(Result::is_ok));
        }
    });
    let mut after = Sequence(0);
    while after < Sequence(u64::from(GROUPS * GROUP)) {
        for deliver in hermes_relay::relay::deliver(&reader, bob.mailbox, after, PLENTY).unwrap() {
            match deliver {
                Deliver::Envelope(row) => {
                    assert_eq!(row.sequence.0, after.0 + 1);
                    after = row.sequence;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    committer.join().unwrap();
}
