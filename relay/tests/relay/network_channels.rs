//! Channels and blobs over real QUIC on loopback.

use crate::common::{
    DAY,
    client::{Drop, Mailbox, owner},
    group::{Group, Member, post_id, secret, summary},
    world::World,
};
use hermes_link::{
    client,
    credential::MailboxCredential,
    frame::{FrameReader, FrameWriter},
};
use hermes_relay::{Limits, Policy, Registration, clock};
use hermes_wire::{
    BlobId, ChannelId, Refusal, RelayAddress, Sequence, VERSION,
    blob::{BlobPart, FetchBlob, PutBlob},
    channel::{Commit, OpenChannel, Post, Roster, RosterEntry},
    drop::{FromDrop, ToDrop},
    limits::{BLOB_BYTES, BLOB_PART_BYTES, POST_BYTES, ROSTER_CHANGES},
    mailbox::{ToClient, ToRelay},
};
use serde_bytes::ByteBuf;

/// A member with its credential. Tokens are of the real time, for the relay's clock is.
fn member(seed: u8) -> (Member, MailboxCredential) {
    let (owner, credential) = owner(seed);
    (Member::of(owner, seed), credential)
}

fn entry(member: &Member) -> RosterEntry {
    let mut token = member.token();
    token.expiry = clock::now().after(std::time::Duration::from_millis(DAY));
    member.entry_with(&token)
}

/// A group of those at the relay, and its roster as it will not be signed again.
fn group(number: u64, members: &[&Member]) -> Group {
    let mut group = Group::new(number, &[]);
    group.roster = Roster::new((0..).zip(members.iter().map(|member| entry(member)))).unwrap();
    group
}

async fn connect(world: &World, member: &Member, credential: &MailboxCredential) -> Mailbox {
    Mailbox::connect(&world.address, credential, member.owner.register(None)).await
}

async fn next_copy(mailbox: &mut Mailbox, member: &Member) -> String {
    summary(&member.read(&mailbox.receive_envelope().await))
}

async fn rest(drop: &mut Drop) -> Vec<FromDrop> {
    let mut answers = Vec::new();
    while let Some(answer) = drop.answers.next().await.unwrap() {
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn a_post_reaches_those_who_are_connected_and_those_who_come_later() {
    let mut world = World::open();
    let [(alice, alice_key), (bob, bob_key)] = [1, 2].map(member);
    let mut alice_box = connect(&world, &alice, &alice_key).await;
    std::mem::drop(connect(&world, &bob, &bob_key).await);
    let group = group(1, &[&alice, &bob]);
    let mut stream = Drop::channel(&world.address, group.channel).await;
    let create = group.create();
    let created = FromDrop::Created(create.post);
    assert_eq!(stream.ask(ToDrop::Create(create.clone())).await, created);
    assert_eq!(stream.ask(ToDrop::Create(create)).await, created);
    for (id, body) in [(1, "one"), (2, "two")] {
        stream.requests.push(&ToDrop::Post(group.post(id, body.as_bytes())));
    }
    let (commit, next) = group.commit(3, &[b'c'; POST_BYTES], group.roster.clone());
    stream.requests.push(&ToDrop::Commit(commit));
    stream.requests.push(&ToDrop::Post(next.post(4, b"four")));
    stream.requests.flush().await.unwrap();
    for id in 1..=4 {
        let posted = FromDrop::Posted(post_id(id), Sequence(id));
        assert_eq!(stream.answers.next().await.unwrap(), Some(posted));
    }
    // Alice is told while she is connected.
    assert_eq!(next_copy(&mut alice_box, &alice).await, "1 message one in 0");
    for _ in 2..4 {
        next_copy(&mut alice_box, &alice).await;
    }
    assert_eq!(next_copy(&mut alice_box, &alice).await, "4 message four in 1");
    std::mem::drop((stream, alice_box));

    world.stop().await;
    world.start();
    let mut bob_box = connect(&world, &bob, &bob_key).await;
    assert_eq!(next_copy(&mut bob_box, &bob).await, "1 message one in 0");
    let mut stream = Drop::channel(&world.address, group.channel).await;
    let again = stream.ask(ToDrop::Post(group.post(1, b"one"))).await;
    assert_eq!(again, FromDrop::Posted(post_id(1), Sequence(1)));
}

#[tokio::test]
async fn a_post_to_a_whole_roster_goes_into_its_frames() {
    let world = World::open();
    let (alice, key) = member(1);
    let mut alice_box = connect(&world, &alice, &key).await;
    let mut members = vec![(alice, key)];
    for seed in 2..=ROSTER_CHANGES as u8 {
        let (member, key) = member(seed);
        std::mem::drop(connect(&world, &member, &key).await);
        members.push((member, key));
    }
    let all: Vec<_> = members.iter().map(|(member, _)| member).collect();
    let group = group(1, &all);
    let mut stream = Drop::channel(&world.address, group.channel).await;
    let create = group.create();
    assert_eq!(stream.ask(ToDrop::Create(create.clone())).await, FromDrop::Created(create.post));
    // As much as a frame can have to carry: everyone goes, with the longest body.
    let (commit, _) = group.commit(1, &[0; POST_BYTES], Roster::default());
    let posted = stream.ask(ToDrop::Commit(Commit { ..commit })).await;
    assert_eq!(posted, FromDrop::Posted(post_id(1), Sequence(1)));
    assert!(next_copy(&mut alice_box, &members[0].0).await.starts_with("1 commit"));
}

#[tokio::test]
async fn a_lost_race_ends_the_stream_and_a_stranger_learns_nothing() {
    let world = World::open();
    let (alice, key) = member(1);
    let _alice_box = connect(&world, &alice, &key).await;
    let group = group(1, &[&alice]);
    let mut stream = Drop::channel(&world.address, group.channel).await;
    stream.ask(ToDrop::Create(group.create())).await;
    let (winner, won) = group.commit(1, b"winner", group.roster.clone());
    assert_eq!(stream.ask(ToDrop::Commit(winner)).await, FromDrop::Posted(post_id(1), Sequence(1)));
    // What follows a commit that lost was made in an epoch that there is not: it must not be answered.
    let (loser, lost) = group.commit(2, b"loser", group.roster.clone());
    stream.requests.push(&ToDrop::Commit(loser));
    stream.requests.push(&ToDrop::Post(lost.post(3, b"after the loser")));
    stream.requests.flush().await.unwrap();
    let stale = Refusal::StaleEpoch { epoch: 1, head: won.head };
    assert_eq!(rest(&mut stream).await, [FromDrop::PostRefused(post_id(2), stale)]);

    let mut absent = Drop::channel(&world.address, ChannelId([9; 32])).await;
    let refused = FromDrop::PostRefused(post_id(4), Refusal::NoEntry);
    assert_eq!(absent.ask(ToDrop::Post(group.post(4, b""))).await, refused);
    let mut present = Drop::channel(&world.address, group.channel).await;
    let strange = Post { token: lost_token(), ..won.post(4, b"") };
    assert_eq!(present.ask(ToDrop::Post(strange)).await, refused);
    // A final refusal leaves the stream as it is.
    assert_eq!(present.ask(ToDrop::Post(won.post(5, b""))).await, FromDrop::Posted(post_id(5), Sequence(2)));
    // A stream to a channel takes nothing else, and one to a mailbox no posts.
    present.requests.send(&ToDrop::FetchPrekeys(hermes_wire::FetchId([1; 16]))).await.unwrap();
    assert_eq!(present.answers.next().await.ok().flatten(), None);
}

fn lost_token() -> hermes_wire::channel::PostToken {
    hermes_wire::channel::PostToken::new(secret("another token", 0))
}

#[tokio::test]
async fn a_channel_of_another_version_is_not_opened() {
    let world = World::open();
    let open = OpenChannel { version: VERSION + 1, channel: ChannelId([1; 32]) };
    let answers = one_stream(&world.address, ToDrop::OpenChannel(open)).await;
    assert_eq!(answers, [FromDrop::OpenRefused(Refusal::Version { min: VERSION, max: VERSION })]);
}

/// What is answered on a stream with a single request.
async fn one_stream(relay: &RelayAddress, request: ToDrop) -> Vec<FromDrop> {
    let endpoint = client::endpoint().unwrap();
    let connection = client::connect_drop(&endpoint, relay).await.unwrap();
    let (send, receive) = connection.open_bi().await.unwrap();
    let (mut requests, mut answers) = (FrameWriter::new(send), FrameReader::<FromDrop>::new(receive));
    requests.send(&request).await.unwrap();
    let mut all = Vec::new();
    while let Some(answer) = answers.next().await.unwrap() {
        all.push(answer);
    }
    all
}

#[tokio::test]
async fn a_blob_is_uploaded_across_a_restart_and_fetched_from_anywhere_in_it() {
    let mut world = World::open();
    let (alice, key) = member(1);
    let blob = BlobId(secret("blob", 1));
    let bytes: Vec<u8> = (0..BLOB_BYTES).map(|at| (at / 3) as u8).collect();
    let part = |offset: usize| PutBlob {
        blob,
        total: BLOB_BYTES,
        offset: offset as u32,
        bytes: ByteBuf::from(bytes[offset..bytes.len().min(offset + BLOB_PART_BYTES)].to_vec()),
    };
    let fetch = |offset| ToDrop::FetchBlob(FetchBlob { version: VERSION, blob, offset });
    let missing = [FromDrop::BlobRefused(blob, Refusal::NoBlob)];
    let mut alice_box = connect(&world, &alice, &key).await;
    let first = alice_box.ask(ToRelay::PutBlob(part(0))).await;
    assert_eq!(first, ToClient::BlobStored(blob, BLOB_PART_BYTES as u32));
    assert_eq!(one_stream(&world.address, fetch(0)).await, missing);
    std::mem::drop(alice_box);
    world.stop().await;
    world.start();

    let mut alice_box = connect(&world, &alice, &key).await;
    let probe = PutBlob { bytes: ByteBuf::new(), ..part(0) };
    let ToClient::BlobStored(_, upto) = alice_box.ask(ToRelay::PutBlob(probe)).await else { panic!() };
    assert_eq!(upto as usize, BLOB_PART_BYTES);
    for offset in (upto as usize..bytes.len()).step_by(BLOB_PART_BYTES) {
        alice_box.control.send(&ToRelay::PutBlob(part(offset))).await.unwrap();
        let stored = alice_box.answers.next().await.unwrap().unwrap();
        let upto = bytes.len().min(offset + BLOB_PART_BYTES) as u32;
        assert_eq!(stored, ToClient::BlobStored(blob, upto));
    }
    for offset in [0, BLOB_PART_BYTES as u32 + 7] {
        let mut fetched = Vec::new();
        for answer in one_stream(&world.address, fetch(offset)).await {
            let FromDrop::BlobPart(BlobPart { total, offset: at, bytes, .. }) = answer else { panic!() };
            assert_eq!((total, at as usize), (BLOB_BYTES, offset as usize + fetched.len()));
            fetched.extend_from_slice(&bytes);
        }
        assert!(fetched == bytes[offset as usize..], "{offset}");
    }
    assert_eq!(one_stream(&world.address, fetch(BLOB_BYTES)).await, missing);
    let too_large = PutBlob { total: BLOB_BYTES + 1, blob: BlobId([9; 32]), ..part(0) };
    let refused = alice_box.ask(ToRelay::PutBlob(too_large)).await;
    assert_eq!(refused, ToClient::BlobRefused(BlobId([9; 32]), Refusal::TooLarge { max: BLOB_BYTES }));
    assert_eq!(alice_box.ask(ToRelay::Ping).await, ToClient::Pong);
}

#[tokio::test]
async fn an_uploader_without_room_is_told_so() {
    let limits = Limits { blob_bytes: 10, ..Limits::default() };
    let world = World::new(Policy { registration: Registration::Open, limits });
    let (alice, key) = member(1);
    let mut alice_box = connect(&world, &alice, &key).await;
    let blob = BlobId([1; 32]);
    let put = PutBlob { blob, total: 11, offset: 0, bytes: ByteBuf::from(vec![0; 11]) };
    let full = Refusal::BlobsFull { retry_ms: 3_600_000 };
    assert_eq!(alice_box.ask(ToRelay::PutBlob(put)).await, ToClient::BlobRefused(blob, full));
}
