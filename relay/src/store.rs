//! What a relay keeps, and what a store must promise: typed rows, point reads, and one atomic, durable commit.
//!
//! The rules (quotas, idempotence, who may do what) live above, in [`crate::relay`], so that every backend answers
//! alike and stays small. Deliberately absent from every row: names, senders, which mailboxes a channel copies to, and
//! keys that open a message.

use std::{collections::BTreeMap, time::Duration};

use hermes_wire::{
    BlobId, ChannelId, ContactId, DropKey, EnvelopeId, FetchId, InstanceId, MailboxId, PostId, Sequence,
    SignedClaim, Timestamp,
    channel::{Head, PostTokenHash, RosterHash},
    mailbox::{Credit, Delivered},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

pub mod fjall;
pub mod memory;

/// Why the store did not do what was asked. Nothing of the failed commit is visible, and a backend that failed once
/// refuses further commits: after a failed fsync nobody knows what is on the disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store is already open in another process")]
    Locked,
    /// The store was written by a version this one does not know.
    #[error("the store has format {found}, this version reads {expected}")]
    Format {
        /// What the store says.
        found: u32,
        /// What this version reads.
        expected: u32,
    },
    /// A row cannot be read back.
    #[error("the store is damaged: a row of `{table}` cannot be read")]
    Damaged {
        /// Which table.
        table: &'static str,
    },
    /// The backend failed.
    #[error("the store failed: {0}")]
    Backend(String),
}

/// A mailbox: who may sign its drop tokens, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Mailbox {
    /// The key that signs its drop tokens.
    pub drop_key: DropKey,
    /// The installation that registered last.
    pub instance: InstanceId,
    /// The last sequence that was assigned.
    pub head: Sequence,
    /// Everything up to here was acknowledged. It is deleted, or a [`Matter::Removal`] reminder stands for it.
    pub acked: Sequence,
    /// What waits in it.
    pub stored: Usage,
    /// The highest prekey id that was ever accepted.
    pub last_prekey: PrekeyId,
    /// Prekeys on hand, in the order of [`PrekeyKind::ALL`].
    pub stock: [u32; PrekeyKind::ALL.len()],
    /// How many of its contacts are refused.
    pub revoked: u32,
    /// The last hour for which a [`Matter::Envelopes`] reminder stands.
    pub reminded: Hour,
    /// How many fetched bundles are remembered.
    pub fetched: u32,
    /// The newest store claim of its owner.
    pub claim: Option<SignedClaim>,
    /// How many blobs its owner keeps here, and the bytes of all of them when they are whole.
    pub blobs: Usage,
}

/// A number of envelopes, or of blobs, and the bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Usage {
    /// How many.
    pub envelopes: u64,
    /// Bytes of body.
    pub bytes: u64,
}

/// A deposited envelope id, so that a repeat of the deposit is answered alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Receipt {
    /// SHA-256 of the body.
    #[serde(with = "serde_bytes")]
    pub body: [u8; 32],
}

/// A pseudonymous depositor, while there is something to remember about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Contact {
    /// What waits from it.
    pub stored: Usage,
    /// Refused until this time.
    pub revoked: Option<Timestamp>,
    /// Different prekey fetches under its invite, and until when they count.
    pub fetches: Option<Fetches>,
    /// Whether something that came from a channel did not fit, which stays on record until nothing waits from it.
    pub missed: bool,
}

/// How often an invite was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Fetches {
    /// Different fetch ids.
    pub count: u32,
    /// The invite's expiry.
    pub until: Timestamp,
}

/// A channel. Its roster lies beside it, sealed: see [`Store::roster`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Channel {
    /// How many commits there were.
    pub epoch: u64,
    /// Which ones.
    pub head: Head,
    /// The hash of the epoch's post token.
    pub token: PostTokenHash,
    /// Those of the epochs before, the latest first, at most [`crate::limits::EARLIER_TOKENS`].
    pub earlier: Vec<PostTokenHash>,
    /// The hash of its roster.
    pub roster: RosterHash,
    /// The last sequence that was assigned.
    pub sequence: Sequence,
    /// When something was posted last.
    pub used: Timestamp,
}

/// A create, post or commit, so that a repeat of it is answered alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Posted {
    /// SHA-256 of what it is and of its body.
    #[serde(with = "serde_bytes")]
    pub content: [u8; 32],
    /// Its place in the channel; zero for a create.
    pub sequence: Sequence,
}

/// A blob. Its bytes lie beside it, in parts of [`hermes_wire::limits::BLOB_PART_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Blob {
    /// Who uploads it, and is charged.
    pub owner: MailboxId,
    /// Bytes of all of it.
    pub total: u32,
    /// Bytes that are here, from its beginning.
    pub upto: u32,
    /// When the last of them came.
    pub stored: Timestamp,
}

/// SHA-256 of a registration token; the token itself is nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenHash(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// What a registration token still allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct TokenRow {
    /// Registrations left. A spent token stays until it expires, so that no copy of it can come back to life.
    pub uses: u32,
    /// Void after this time.
    pub expiry: Timestamp,
}

/// Hours since the Unix epoch: the grain of everything the relay forgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub u64);

impl Hour {
    const MILLIS: u64 = 3_600_000;

    /// The hour that `time` lies in.
    pub fn of(time: Timestamp) -> Self {
        Self(time.0 / Self::MILLIS)
    }

    /// The first hour that begins at `time` plus `delay` or later.
    pub fn after(time: Timestamp, delay: Duration) -> Self {
        Self(time.after(delay).0.div_ceil(Self::MILLIS))
    }
}

/// Which post a place of a channel's memory has, and when it is forgotten at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Remembered {
    /// The post.
    pub post: PostId,
    /// The hour of its reminder.
    pub due: Hour,
}

/// A note to look at something again when its hour has come. It is a hint: what is done then follows from the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize_tuple, Deserialize_tuple)]
pub struct Reminder {
    /// When.
    pub due: Hour,
    /// At what.
    pub about: About,
}

/// What a [`Reminder`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum About {
    /// Something in a mailbox.
    Mailbox(MailboxId, Matter),
    /// A channel may have been idle for too long.
    Channel(ChannelId),
    /// A post of a channel may be forgotten.
    Post(ChannelId, PostId),
    /// A blob may have reached its time to live.
    Blob(BlobId),
    /// A registration token has expired.
    Token(TokenHash),
}

/// What in a mailbox a [`Reminder`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Matter {
    /// Envelopes may have reached their time to live.
    Envelopes,
    /// The receipts of a range of deleted envelopes, whose last sequence this is, may be forgotten.
    Receipts(Sequence),
    /// A contact's revocation or its invite may be over.
    Contact(ContactId),
    /// A remembered bundle may be forgotten.
    Fetch(ContactId, FetchId),
    /// Envelopes after this sequence were acknowledged or have reached their time to live, more than one commit takes.
    Removal(Sequence),
}

/// A set of changes that become durable together or not at all. In each map, `None` deletes the row.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Mailboxes; they are never deleted.
    pub mailboxes: BTreeMap<MailboxId, Mailbox>,
    /// Envelopes by mailbox and sequence.
    pub envelopes: BTreeMap<(MailboxId, Sequence), Option<Delivered>>,
    /// Receipts.
    pub receipts: BTreeMap<(MailboxId, EnvelopeId), Option<Receipt>>,
    /// Contacts.
    pub contacts: BTreeMap<(MailboxId, ContactId), Option<Contact>>,
    /// Bundles that were fetched.
    pub fetches: BTreeMap<(MailboxId, ContactId, FetchId), Option<SealedBundle>>,
    /// Prekeys.
    pub prekeys: BTreeMap<(MailboxId, PrekeyKind, PrekeyId), Option<PrekeyEntry>>,
    /// Registration tokens.
    pub tokens: BTreeMap<TokenHash, Option<TokenRow>>,
    /// Reminders, with the envelope ids of a [`Matter::Receipts`].
    pub reminders: BTreeMap<Reminder, Option<Vec<EnvelopeId>>>,
    /// Channels.
    pub channels: BTreeMap<ChannelId, Option<Channel>>,
    /// Sealed rosters of channels.
    pub rosters: BTreeMap<ChannelId, Option<ByteBuf>>,
    /// What was posted to channels.
    pub posts: BTreeMap<(ChannelId, PostId), Option<Posted>>,
    /// Which posts those are, by place: their sequence modulo how many are remembered.
    pub remembered: BTreeMap<(ChannelId, u32), Option<Remembered>>,
    /// Blobs.
    pub blobs: BTreeMap<BlobId, Option<Blob>>,
    /// Parts of blobs, by the bytes before them.
    pub blob_parts: BTreeMap<(BlobId, u32), Option<ByteBuf>>,
    /// Mailboxes that the operator closed, and when; they are never opened again.
    pub closed: BTreeMap<MailboxId, Timestamp>,
}

impl Changes {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.mailboxes.is_empty()
            && self.envelopes.is_empty()
            && self.receipts.is_empty()
            && self.contacts.is_empty()
            && self.fetches.is_empty()
            && self.prekeys.is_empty()
            && self.tokens.is_empty()
            && self.reminders.is_empty()
            && self.channels.is_empty()
            && self.rosters.is_empty()
            && self.posts.is_empty()
            && self.remembered.is_empty()
            && self.blobs.is_empty()
            && self.blob_parts.is_empty()
            && self.closed.is_empty()
    }
}

/// Where a relay keeps its rows. Reads see exactly what was committed; several readers may read while one commits.
pub trait Store {
    /// One mailbox.
    fn mailbox(&self, mailbox: MailboxId) -> Result<Option<Mailbox>, StoreError>;

    /// How many mailboxes there are.
    fn mailbox_count(&self) -> Result<u64, StoreError>;

    /// The envelopes after `after`, in order, as long as `credit` lasts.
    fn envelopes(
        &self,
        mailbox: MailboxId,
        after: Sequence,
        credit: Credit,
    ) -> Result<Vec<Delivered>, StoreError>;

    /// The receipt of an envelope id.
    fn receipt(&self, mailbox: MailboxId, envelope: EnvelopeId) -> Result<Option<Receipt>, StoreError>;

    /// What is remembered about a contact.
    fn contact(&self, mailbox: MailboxId, contact: ContactId) -> Result<Option<Contact>, StoreError>;

    /// The bundle that a fetch was answered with.
    fn fetch(
        &self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
    ) -> Result<Option<SealedBundle>, StoreError>;

    /// The first prekey of a kind whose id is above `after`.
    fn prekey_after(
        &self,
        mailbox: MailboxId,
        kind: PrekeyKind,
        after: PrekeyId,
    ) -> Result<Option<PrekeyEntry>, StoreError>;

    /// The mailboxes that the operator closed.
    fn closed(&self) -> Result<Vec<MailboxId>, StoreError>;

    /// What a registration token still allows.
    fn token(&self, token: TokenHash) -> Result<Option<TokenRow>, StoreError>;

    /// Up to `limit` registration tokens, in the order of their hashes.
    fn tokens(&self, limit: usize) -> Result<Vec<(TokenHash, TokenRow)>, StoreError>;

    /// Up to `limit` reminders that are due at `hour` or before, in order, with their envelope ids: those from `first` on, if
    /// the caller knows that none is before it.
    fn due(
        &self,
        first: Option<Reminder>,
        hour: Hour,
        limit: usize,
    ) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError>;

    /// One channel.
    fn channel(&self, channel: ChannelId) -> Result<Option<Channel>, StoreError>;

    /// How many channels there are.
    fn channel_count(&self) -> Result<u64, StoreError>;

    /// A channel's roster, sealed under a key that the relay does not have.
    fn roster(&self, channel: ChannelId) -> Result<Option<ByteBuf>, StoreError>;

    /// What was posted to a channel under this id.
    fn posted(&self, channel: ChannelId, post: PostId) -> Result<Option<Posted>, StoreError>;

    /// Which post has this place of a channel's memory.
    fn remembered(&self, channel: ChannelId, place: u32) -> Result<Option<Remembered>, StoreError>;

    /// One blob.
    fn blob(&self, blob: BlobId) -> Result<Option<Blob>, StoreError>;

    /// The part of a blob with so many bytes before it.
    fn blob_part(&self, blob: BlobId, offset: u32) -> Result<Option<ByteBuf>, StoreError>;

    /// Makes all of `changes` visible and durable (they survive a power cut from when this returns), or none of it.
    fn commit(&mut self, changes: Changes) -> Result<(), StoreError>;
}

/// Counts a [`Credit`] down, the same way in every backend.
pub(crate) struct Budget {
    envelopes: u32,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(credit: Credit) -> Self {
        Self { envelopes: credit.envelopes, bytes: u64::from(credit.bytes) }
    }

    /// Whether `row` still fits, taking its share if so.
    pub(crate) fn take(&mut self, row: &Delivered) -> bool {
        let size = row.body.len() as u64;
        let fits = self.envelopes > 0 && size <= self.bytes;
        if fits {
            self.envelopes -= 1;
            self.bytes -= size;
        }
        fits
    }
}
