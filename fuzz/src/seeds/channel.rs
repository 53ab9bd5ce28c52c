//! Real values of channels and blobs.

use ed25519_dalek::SigningKey;
use hermes_wire::{
    BlobId, ChannelId, ContactId, MailboxId, PostId, Sequence, Timestamp, VERSION,
    blob::{BlobPart, FetchBlob, PutBlob},
    channel::{
        Commit, Copy, CopyKey, Create, Epoch, Head, OpenChannel, Post, PostToken, PostTokenHash, Roster,
        RosterEntry, RosterKey,
    },
    codec,
    drop::{FromDrop, ToDrop},
    mailbox::{ToClient, ToRelay},
    refusal::Refusal,
    token::{DropToken, Permission, SignedDropToken},
};

use super::Seed;

const CHANNEL: ChannelId = ChannelId([21; 32]);
const POST: PostId = PostId([22; 16]);
const BLOB: BlobId = BlobId([23; 32]);

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = channel_frames();
    seeds.extend(blob_frames());
    seeds.extend(copies());
    seeds
}

fn entry(number: u8) -> RosterEntry {
    let token = DropToken {
        contact: ContactId([number; 16]),
        permission: Permission::Channel,
        expiry: Timestamp(1_800_000_000_000),
        uses: None,
    };
    let mailbox = MailboxId([number; 32]);
    let token = SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[number; 32]));
    RosterEntry { mailbox, token, key: CopyKey::new([number; 32]) }
}

fn roster(numbers: &[u8]) -> Roster {
    Roster::new(numbers.iter().map(|number| (u32::from(*number), entry(*number)))).expect("a roster")
}

fn epoch(before: &Roster, after: &Roster) -> Epoch {
    Epoch {
        token: PostTokenHash::of(&PostToken::new([24; 32])),
        change: before.change_to(after).expect("a change"),
        roster: after.hash(CHANNEL),
        key: RosterKey::new([25; 32]),
    }
}

/// What makes the channel.
pub fn first() -> Create {
    Create { post: POST, number: 7, epoch: epoch(&Roster::default(), &roster(&[1, 2])) }
}

fn channel_frames() -> Vec<Seed> {
    let [before, after] = [roster(&[1, 2]), roster(&[2, 3])];
    let post = Post {
        post: POST,
        epoch: 7,
        token: PostToken::new([24; 32]),
        roster: RosterKey::new([25; 32]),
        body: vec![7; 300].into(),
    };
    let commit = Commit {
        post: POST,
        epoch: 7,
        token: post.token.clone(),
        roster: post.roster.clone(),
        head: Head::first(CHANNEL),
        body: vec![8; 30].into(),
        next: epoch(&before, &after),
    };
    let refused = |refusal| codec::encode(&FromDrop::PostRefused(POST, refusal));
    [
        (
            "open-channel",
            codec::encode(&ToDrop::OpenChannel(OpenChannel { version: VERSION, channel: CHANNEL })),
        ),
        ("create", codec::encode(&ToDrop::Create(first()))),
        ("post", codec::encode(&ToDrop::Post(post))),
        ("commit", codec::encode(&ToDrop::Commit(commit))),
        ("created", codec::encode(&FromDrop::Created(POST))),
        ("posted", codec::encode(&FromDrop::Posted(POST, Sequence(9)))),
        ("stale", refused(Refusal::StaleEpoch { epoch: 8, head: Head::first(CHANNEL) })),
        ("ahead", refused(Refusal::EpochAhead { epoch: 6 })),
        ("roster-mismatch", refused(Refusal::RosterMismatch)),
    ]
    .map(|(name, bytes)| ("frame_decode", name, bytes))
    .into()
}

fn blob_frames() -> Vec<Seed> {
    let put = PutBlob { blob: BLOB, total: 300, offset: 0, bytes: vec![7; 300].into() };
    let part = BlobPart { blob: BLOB, total: 300, offset: 100, bytes: vec![7; 200].into() };
    let full = Refusal::BlobsFull { retry_ms: 3_600_000 };
    [
        ("put-blob", codec::encode(&ToRelay::PutBlob(put))),
        ("blob-stored", codec::encode(&ToClient::BlobStored(BLOB, 300))),
        ("blobs-full", codec::encode(&ToClient::BlobRefused(BLOB, full))),
        (
            "fetch-blob",
            codec::encode(&ToDrop::FetchBlob(FetchBlob { version: VERSION, blob: BLOB, offset: 100 })),
        ),
        ("blob-part", codec::encode(&FromDrop::BlobPart(part))),
        ("no-blob", codec::encode(&FromDrop::BlobRefused(BLOB, Refusal::NoBlob))),
    ]
    .map(|(name, bytes)| ("frame_decode", name, bytes))
    .into()
}

/// What is decoded after it was opened.
fn copies() -> Vec<Seed> {
    let (channel, sequence) = (CHANNEL, Sequence(9));
    let message = Copy::Message { channel, sequence, epoch: 7, post: POST, body: vec![7; 30].into() };
    let roster_hash = roster(&[1]).hash(CHANNEL);
    let body = vec![8; 30].into();
    let commit = Copy::Commit { channel, sequence, epoch: 7, post: POST, roster: roster_hash, body };
    [
        ("copy", codec::encode(&message)),
        ("copy-of-commit", codec::encode(&commit)),
        ("missed", codec::encode(&Copy::Missed { channel, sequence })),
        ("roster", codec::encode(&roster(&[1, 2]))),
    ]
    .map(|(name, bytes)| ("frame_decode", name, bytes))
    .into()
}
