//! Blobs: uploaded in parts by whoever pays for them, fetched by whoever knows their id.

use crate::common::{Ask, DAY, NOW, Owner, at, backend::Backend};
use hermes_relay::{
    Limits, Outcome, Policy, Registration, Relay, Request, Store,
    blob::read,
    limits::BLOBS,
    store::{Usage, memory::MemoryStore},
};
use hermes_wire::{
    BlobId, Refusal, Timestamp,
    blob::{BlobPart, PutBlob},
    limits::{BLOB_BYTES, BLOB_PART_BYTES},
};
use serde_bytes::ByteBuf;

over_both_stores! {
    an_upload_goes_on_where_it_was_and_is_served_when_it_is_whole,
    a_blob_goes_when_its_time_is_over_and_gives_its_room_back,
}

const PART: u32 = BLOB_PART_BYTES as u32;

fn policy(limits: Limits) -> Policy {
    Policy { registration: Registration::Open, limits }
}

fn with_owner<S: Store>(store: S, limits: Limits) -> (Relay<S>, Owner) {
    let (mut relay, owner) = (Relay::new(store, policy(limits)).unwrap(), Owner::new(1));
    relay.registers(NOW, &owner);
    (relay, owner)
}

/// The part at `offset` of a blob whose bytes count up.
fn part(id: u8, total: u32, offset: u32) -> PutBlob {
    let end = total.min(offset.saturating_add(PART));
    let bytes: Vec<u8> = (offset..end).map(|at| (at / 7) as u8).collect();
    PutBlob { blob: BlobId([id; 32]), total, offset, bytes: ByteBuf::from(bytes) }
}

fn puts<S: Store>(relay: &mut Relay<S>, now: Timestamp, owner: &Owner, put: PutBlob) -> Result<u32, Refusal> {
    match relay.ask(now, Request::PutBlob { mailbox: owner.mailbox, put }) {
        Outcome::BlobStored(upto) => Ok(upto),
        Outcome::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn puts_all<S: Store>(relay: &mut Relay<S>, owner: &Owner, id: u8, total: u32) -> Result<u32, Refusal> {
    (0..total)
        .step_by(BLOB_PART_BYTES)
        .try_fold(0, |_, offset| puts(relay, NOW, owner, part(id, total, offset)))
}

fn fetched<S: Store>(relay: &Relay<S>, id: u8, mut offset: u32) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let BlobPart { total, offset: at, bytes, .. } =
            read(relay.store(), BlobId([id; 32]), offset).unwrap()?;
        assert_eq!(at, offset);
        whole.extend_from_slice(&bytes);
        offset += bytes.len() as u32;
        if offset == total {
            return Some(whole);
        }
    }
}

fn an_upload_goes_on_where_it_was_and_is_served_when_it_is_whole<B: Backend>(backend: &B) {
    let total = 2 * PART + 9;
    let (mut relay, owner) = with_owner(backend.reopen(None), Limits::default());
    let ask = |relay: &mut Relay<_>| {
        let probe = PutBlob { bytes: ByteBuf::new(), ..part(1, total, 0) };
        puts(relay, NOW, &owner, probe)
    };
    assert_eq!(ask(&mut relay), Ok(0));
    assert_eq!(relay.store().blob(BlobId([1; 32])).unwrap(), None, "asking makes none");
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, PART)), Ok(0), "not the first part");
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, 0)), Ok(PART));
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, 0)), Ok(PART), "again");
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, 2 * PART)), Ok(PART), "one too far");
    assert_eq!(fetched(&relay, 1, 0), None);

    let store = backend.reopen(Some(relay.into_store()));
    let mut relay = Relay::new(store, policy(Limits::default())).unwrap();
    assert_eq!(ask(&mut relay), Ok(PART));
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, PART)), Ok(2 * PART));
    assert_eq!(read(relay.store(), BlobId([1; 32]), 0).unwrap(), None, "all but the end");
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, 2 * PART)), Ok(total));
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, 2 * PART)), Ok(total), "again");
    let whole: Vec<u8> = (0..total).map(|at| (at / 7) as u8).collect();
    for offset in [0, 1, PART - 1, PART, PART + 1, total - 1] {
        assert_eq!(fetched(&relay, 1, offset).unwrap(), whole[offset as usize..], "{offset}");
    }
    assert_eq!(fetched(&relay, 1, total), None);
    assert_eq!(fetched(&relay, 1, u32::MAX), None);
    assert_eq!(fetched(&relay, 2, 0), None);
}

fn a_blob_goes_when_its_time_is_over_and_gives_its_room_back<B: Backend>(backend: &B) {
    let total = PART + 9;
    let limits = Limits { blob_bytes: total.into(), ..Limits::default() };
    let (mut relay, owner) = with_owner(backend.reopen(None), limits);
    puts(&mut relay, NOW, &owner, part(1, total, 0)).unwrap();
    puts(&mut relay, at(10 * DAY), &owner, part(1, total, PART)).unwrap();
    let full = Err(Refusal::BlobsFull { retry_ms: 3_600_000 });
    assert_eq!(puts(&mut relay, NOW, &owner, part(2, 1, 0)), full);
    // A day longer than an envelope, from the last part on.
    relay.sweeps(at(41 * DAY - 1));
    assert!(fetched(&relay, 1, 0).is_some());
    relay.sweeps(at(41 * DAY + 3_600_000));
    assert_eq!(fetched(&relay, 1, 0), None);
    let store = backend.reopen(Some(relay.into_store()));
    assert_eq!(store.blob(BlobId([1; 32])).unwrap(), None);
    assert_eq!(store.blob_part(BlobId([1; 32]), 0).unwrap(), None);
    assert_eq!(store.blob_part(BlobId([1; 32]), PART).unwrap(), None);
    assert_eq!(store.mailbox(owner.mailbox).unwrap().unwrap().blobs, Usage::default());
    let limits = Limits { blob_bytes: total.into(), ..Limits::default() };
    let mut relay = Relay::new(store, policy(limits)).unwrap();
    assert_eq!(puts(&mut relay, at(42 * DAY), &owner, part(2, total, 0)), Ok(PART));
}

#[test]
fn what_is_begun_is_charged_whole_and_can_be_finished() {
    let limits = Limits { blob_bytes: (BLOB_BYTES + PART).into(), ..Limits::default() };
    let (mut relay, owner) = with_owner(MemoryStore::new(), limits);
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, BLOB_BYTES, 0)), Ok(PART));
    assert!(matches!(puts_all(&mut relay, &owner, 2, PART + 1), Err(Refusal::BlobsFull { .. })));
    assert_eq!(puts_all(&mut relay, &owner, 2, PART), Ok(PART));
    assert_eq!(puts_all(&mut relay, &owner, 1, BLOB_BYTES), Ok(BLOB_BYTES));
    assert_eq!(fetched(&relay, 1, 0).unwrap().len(), BLOB_BYTES as usize);
    // Others have room of their own.
    let other = Owner::new(2);
    relay.registers(NOW, &other);
    assert_eq!(puts_all(&mut relay, &other, 3, BLOB_BYTES), Ok(BLOB_BYTES));
}

#[test]
fn small_blobs_are_counted_too() {
    let (mut relay, owner) = with_owner(MemoryStore::new(), Limits::default());
    for number in 0..=BLOBS {
        let mut put = part(0, 1, 0);
        put.blob.0[..8].copy_from_slice(&number.to_be_bytes());
        let answer = puts(&mut relay, NOW, &owner, put);
        assert_eq!(answer.is_ok(), number < BLOBS, "{number}: {answer:?}");
    }
}

#[test]
fn what_is_no_blob_of_the_uploader_is_refused() {
    let (mut relay, owner) = with_owner(MemoryStore::new(), Limits::default());
    let other = Owner::new(2);
    relay.registers(NOW, &other);
    let large = Refusal::TooLarge { max: BLOB_BYTES };
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, BLOB_BYTES + 1, 0)), Err(large));
    let total = 2 * PART;
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total, 0)), Ok(PART));
    assert_eq!(puts(&mut relay, NOW, &other, part(1, total, PART)), Err(Refusal::IdConflict));
    assert_eq!(puts(&mut relay, NOW, &owner, part(1, total + 1, PART)), Err(Refusal::IdConflict));
    // Parts of another size would make many rows.
    let sized = |bytes: usize| PutBlob { bytes: ByteBuf::from(vec![0; bytes]), ..part(1, total, PART) };
    for bytes in [1, BLOB_PART_BYTES - 1, BLOB_PART_BYTES + 1] {
        assert_eq!(puts(&mut relay, NOW, &owner, sized(bytes)), Err(Refusal::BadFrame));
    }
    let stranger = Owner::new(3);
    assert_eq!(puts(&mut relay, NOW, &stranger, part(2, 1, 0)), Err(Refusal::BadFrame));
    assert_eq!(puts(&mut relay, NOW, &owner, part(2, 0, 0)), Ok(0), "nothing is no blob");
    assert_eq!(puts(&mut relay, NOW, &owner, sized(BLOB_PART_BYTES)), Ok(total));
}
