//! The embedded store: an LSM tree in a directory of its own. One process has it open at a time.
//!
//! Every commit is one batch that asks for an fsync itself: the library's default leaves data in the operating
//! system's buffers, where a power cut finds it.
//!
//! A batch is applied row by row. Every read goes through a snapshot, which is to see all of a batch or nothing; but a table
//! that is flushed or compacted meanwhile has the library count the batch as done (`upgrade_version` of lsm-tree 3.1 makes
//! everything visible that has a lower number than itself), and a snapshot that is opened then sees as much of it as is
//! applied. So the order within a batch matters, see [`FjallStore::commit`], and who needs all of one moment opens a
//! snapshot while no batch is being applied.

#[cfg(test)]
mod partial;
mod whole;

use std::{
    ops::RangeBounds,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};
use hermes_wire::{
    BlobId, ChannelId, ContactId, EnvelopeId, FetchId, MailboxId, PostId, Sequence, codec,
    limits::ROSTER_BYTES,
    mailbox::{Credit, Delivered},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

pub use self::whole::{Inventory, RawRow};
use crate::limits::{JOURNAL_BYTES, REWRITTEN_BYTES, STORE_FILES, TABLE_BYTES};

use super::{
    About, Blob, Budget, Changes, Channel, Contact, Hour, Mailbox, Matter, Posted, Receipt, Remembered,
    Reminder, Store, StoreError, TokenHash, TokenRow,
};

/// The layout of keys and rows. Another layout is another number, and an older relay refuses it.
const FORMAT: u32 = 3;
/// The format before, which lacks the table of closed mailboxes and is otherwise the same.
const FORMAT_WITHOUT_CLOSED: u32 = 2;
const FORMAT_KEY: &[u8] = b"format";

/// Longest row in bytes: a sealed roster. Envelopes are shorter, and so are lists of receipts, which are bounded by
/// [`crate::limits::RECEIPTS_PER_REMINDER`].
const ROW_BYTES: usize = ROSTER_BYTES + 1024;

/// A directory with the relay's rows. Clones share it: readers may be many, the committer is one.
#[derive(Clone)]
pub struct FjallStore {
    database: Database,
    mailboxes: Table,
    envelopes: Table,
    receipts: Table,
    contacts: Table,
    fetches: Table,
    prekeys: Table,
    tokens: Table,
    reminders: Table,
    channels: Table,
    rosters: Table,
    posts: Table,
    remembered: Table,
    blobs: Table,
    blob_parts: Table,
    closed: Table,
    /// Held while a batch is applied.
    applying: Arc<Mutex<()>>,
}

impl FjallStore {
    /// Opens the store in `directory`, making it if it is not there.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let database = Database::builder(directory)
            .max_cached_files(Some(STORE_FILES))
            .max_journaling_size(JOURNAL_BYTES)
            .open()?;
        let table = |name| Table::open(&database, name);
        let rewritten = |name| Table::open_with(&database, name, REWRITTEN_BYTES);
        let store = Self {
            mailboxes: rewritten("mailboxes")?,
            envelopes: table("envelopes")?,
            receipts: table("receipts")?,
            contacts: rewritten("contacts")?,
            fetches: table("fetches")?,
            prekeys: table("prekeys")?,
            tokens: table("tokens")?,
            reminders: table("reminders")?,
            channels: table("channels")?,
            rosters: table("rosters")?,
            posts: table("posts")?,
            remembered: table("remembered")?,
            blobs: table("blobs")?,
            blob_parts: table("blob_parts")?,
            closed: table("closed")?,
            applying: Arc::default(),
            database,
        };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let about = Table::open(&self.database, "about")?;
        match about.get::<u32>(FORMAT_KEY)? {
            Some(FORMAT) => Ok(()),
            None | Some(FORMAT_WITHOUT_CLOSED) => {
                let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
                about.put(&mut batch, FORMAT_KEY.to_vec(), Some(FORMAT));
                Ok(batch.commit()?)
            }
            Some(found) => Err(StoreError::Format { found, expected: FORMAT }),
        }
    }
}

impl Store for FjallStore {
    fn mailbox(&self, mailbox: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        self.mailboxes.get(mailbox.as_bytes())
    }

    fn mailbox_count(&self) -> Result<u64, StoreError> {
        Ok(self.mailboxes.rows.len()? as u64)
    }

    fn envelopes(
        &self,
        mailbox: MailboxId,
        after: Sequence,
        credit: Credit,
    ) -> Result<Vec<Delivered>, StoreError> {
        let first = envelope_key(mailbox, Sequence(after.0.saturating_add(1)));
        let last = envelope_key(mailbox, Sequence(u64::MAX));
        let mut budget = Budget::new(credit);
        let mut rows = Vec::new();
        for guard in self.envelopes.range(first..=last).take(credit.envelopes as usize) {
            let row = self.envelopes.decode(&guard.value()?)?;
            if !budget.take(&row) {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn receipt(&self, mailbox: MailboxId, envelope: EnvelopeId) -> Result<Option<Receipt>, StoreError> {
        self.receipts.get(&receipt_key(mailbox, envelope))
    }

    fn contact(&self, mailbox: MailboxId, contact: ContactId) -> Result<Option<Contact>, StoreError> {
        self.contacts.get(&contact_key(mailbox, contact))
    }

    fn fetch(
        &self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
    ) -> Result<Option<SealedBundle>, StoreError> {
        self.fetches.get(&fetch_key(mailbox, contact, fetch))
    }

    fn prekey_after(
        &self,
        mailbox: MailboxId,
        kind: PrekeyKind,
        after: PrekeyId,
    ) -> Result<Option<PrekeyEntry>, StoreError> {
        let first = prekey_key(mailbox, kind, PrekeyId(after.0.saturating_add(1)));
        let last = prekey_key(mailbox, kind, PrekeyId(u64::MAX));
        match self.prekeys.range(first..=last).next() {
            Some(guard) => self.prekeys.decode(&guard.value()?).map(Some),
            None => Ok(None),
        }
    }

    fn token(&self, token: TokenHash) -> Result<Option<TokenRow>, StoreError> {
        self.tokens.get(&token.0)
    }

    fn closed(&self) -> Result<Vec<MailboxId>, StoreError> {
        let keys = self.closed.range(..).map(|guard| Ok(guard.key()?.as_ref().try_into()));
        keys.map(|key: Result<_, StoreError>| {
            key?.map(MailboxId).map_err(|_| StoreError::Damaged { table: "closed" })
        })
        .collect()
    }

    fn tokens(&self, limit: usize) -> Result<Vec<(TokenHash, TokenRow)>, StoreError> {
        let rows = self.tokens.range(..).take(limit);
        rows.map(|guard| {
            let (key, row) = guard.into_inner()?;
            let hash = key.as_ref().try_into().map_err(|_| StoreError::Damaged { table: "tokens" })?;
            Ok((TokenHash(hash), self.tokens.decode(&row)?))
        })
        .collect()
    }

    fn due(
        &self,
        first: Option<Reminder>,
        hour: Hour,
        limit: usize,
    ) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError> {
        let first = first.map_or(Vec::new(), |first| reminder_key(&first));
        let end = hour.0.saturating_add(1).to_be_bytes().to_vec();
        if end <= first {
            // The clock was set back since.
            return Ok(Vec::new());
        }
        let rows = self.reminders.range(first..end).take(limit);
        rows.map(|guard| self.reminders.decode(&guard.value()?)).collect()
    }

    fn channel(&self, channel: ChannelId) -> Result<Option<Channel>, StoreError> {
        self.channels.get(channel.as_bytes())
    }

    fn channel_count(&self) -> Result<u64, StoreError> {
        Ok(self.channels.rows.len()? as u64)
    }

    fn roster(&self, channel: ChannelId) -> Result<Option<ByteBuf>, StoreError> {
        self.rosters.get(channel.as_bytes())
    }

    fn posted(&self, channel: ChannelId, post: PostId) -> Result<Option<Posted>, StoreError> {
        self.posts.get(&post_key(channel, post))
    }

    fn remembered(&self, channel: ChannelId, place: u32) -> Result<Option<Remembered>, StoreError> {
        self.remembered.get(&place_key(channel, place))
    }

    fn blob(&self, blob: BlobId) -> Result<Option<Blob>, StoreError> {
        self.blobs.get(blob.as_bytes())
    }

    fn blob_part(&self, blob: BlobId, offset: u32) -> Result<Option<ByteBuf>, StoreError> {
        self.blob_parts.get(&blob_part_key(blob, offset))
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        // Whoever reads a part of this (see above) reads how far a mailbox is first, and how much there is of a blob. So what
        // these speak of is there before them, and what they do not speak of any more goes after them: an envelope that was
        // announced and is not there is taken for one whose time was over, and is given up for good.
        let (gone, come): (Vec<_>, Vec<_>) =
            changes.envelopes.into_iter().partition(|(_, row)| row.is_none());
        for ((mailbox, sequence), row) in come {
            self.envelopes.put(&mut batch, envelope_key(mailbox, sequence), row);
        }
        for ((blob, offset), row) in changes.blob_parts {
            self.blob_parts.put(&mut batch, blob_part_key(blob, offset), row);
        }
        for (mailbox, row) in changes.mailboxes {
            self.mailboxes.put(&mut batch, mailbox.0.to_vec(), Some(row));
        }
        for (blob, row) in changes.blobs {
            self.blobs.put(&mut batch, blob.0.to_vec(), row);
        }
        for ((mailbox, sequence), row) in gone {
            self.envelopes.put(&mut batch, envelope_key(mailbox, sequence), row);
        }
        for ((mailbox, envelope), row) in changes.receipts {
            self.receipts.put(&mut batch, receipt_key(mailbox, envelope), row);
        }
        for ((mailbox, contact), row) in changes.contacts {
            self.contacts.put(&mut batch, contact_key(mailbox, contact), row);
        }
        for ((mailbox, contact, fetch), row) in changes.fetches {
            self.fetches.put(&mut batch, fetch_key(mailbox, contact, fetch), row);
        }
        for ((mailbox, kind, prekey), row) in changes.prekeys {
            self.prekeys.put(&mut batch, prekey_key(mailbox, kind, prekey), row);
        }
        for (token, row) in changes.tokens {
            self.tokens.put(&mut batch, token.0.to_vec(), row);
        }
        for (reminder, ids) in changes.reminders {
            let row = ids.map(|ids| (reminder, ids));
            self.reminders.put(&mut batch, reminder_key(&reminder), row);
        }
        for (channel, row) in changes.channels {
            self.channels.put(&mut batch, channel.0.to_vec(), row);
        }
        for (channel, row) in changes.rosters {
            self.rosters.put(&mut batch, channel.0.to_vec(), row);
        }
        for ((channel, post), row) in changes.posts {
            self.posts.put(&mut batch, post_key(channel, post), row);
        }
        for ((channel, place), row) in changes.remembered {
            self.remembered.put(&mut batch, place_key(channel, place), row);
        }
        for (mailbox, when) in changes.closed {
            self.closed.put(&mut batch, mailbox.0.to_vec(), Some(when));
        }
        let _applying = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(batch.commit()?)
    }
}

/// One kind of row.
#[derive(Clone)]
struct Table {
    name: &'static str,
    rows: Keyspace,
    database: Database,
}

impl Table {
    fn open(database: &Database, name: &'static str) -> Result<Self, StoreError> {
        Self::open_with(database, name, TABLE_BYTES)
    }

    /// One of which so many bytes are kept in memory before they go into files.
    fn open_with(database: &Database, name: &'static str, bytes: u64) -> Result<Self, StoreError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(bytes);
        Ok(Self { name, rows: database.keyspace(name, options)?, database: database.clone() })
    }

    fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.database.snapshot().get(&self.rows, key)?.map(|bytes| self.decode(&bytes)).transpose()
    }

    /// The rows of a range, as they are at this moment.
    fn range(&self, range: impl RangeBounds<Vec<u8>>) -> Iter {
        self.database.snapshot().range(&self.rows, range)
    }

    fn put<T: Serialize>(&self, batch: &mut OwnedWriteBatch, key: Vec<u8>, row: Option<T>) {
        match row {
            Some(row) => batch.insert(&self.rows, key, codec::encode(&row)),
            None => batch.remove(&self.rows, key),
        }
    }

    /// Rows are our own encoding, so the wire's canonical check would only cost.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, StoreError> {
        codec::decode_tolerant(bytes, ROW_BYTES).map_err(|_| StoreError::Damaged { table: self.name })
    }
}

fn post_key(channel: ChannelId, post: PostId) -> Vec<u8> {
    [&channel.0[..], &post.0].concat()
}

fn place_key(channel: ChannelId, place: u32) -> Vec<u8> {
    [&channel.0[..], &place.to_be_bytes()].concat()
}

fn blob_part_key(blob: BlobId, offset: u32) -> Vec<u8> {
    [&blob.0[..], &offset.to_be_bytes()].concat()
}

fn envelope_key(mailbox: MailboxId, sequence: Sequence) -> Vec<u8> {
    [&mailbox.0[..], &sequence.0.to_be_bytes()].concat()
}

fn receipt_key(mailbox: MailboxId, envelope: EnvelopeId) -> Vec<u8> {
    [&mailbox.0[..], &envelope.0].concat()
}

fn contact_key(mailbox: MailboxId, contact: ContactId) -> Vec<u8> {
    [&mailbox.0[..], &contact.0].concat()
}

fn fetch_key(mailbox: MailboxId, contact: ContactId, fetch: FetchId) -> Vec<u8> {
    [&mailbox.0[..], &contact.0, &fetch.0].concat()
}

fn prekey_key(mailbox: MailboxId, kind: PrekeyKind, prekey: PrekeyId) -> Vec<u8> {
    let kind = match kind {
        PrekeyKind::Signed => 0,
        PrekeyKind::OneTime => 1,
        PrekeyKind::OneTimeKem => 2,
        PrekeyKind::LastResortKem => 3,
        PrekeyKind::SignedFf => 4,
    };
    [&mailbox.0[..], &[kind], &prekey.0.to_be_bytes()].concat()
}

/// In the order of [`Reminder`], which is that of the store in memory.
fn reminder_key(reminder: &Reminder) -> Vec<u8> {
    let due = reminder.due.0.to_be_bytes();
    let (mailbox, matter) = match reminder.about {
        About::Mailbox(mailbox, matter) => (mailbox, matter),
        About::Channel(channel) => return [&due[..], &[1], &channel.0].concat(),
        About::Post(channel, post) => return [&due[..], &[2], &channel.0, &post.0].concat(),
        About::Blob(blob) => return [&due[..], &[3], &blob.0].concat(),
        About::Token(token) => return [&due[..], &[4], &token.0].concat(),
    };
    let mailbox = [&[0], &mailbox.0[..]].concat();
    match matter {
        Matter::Envelopes => [&due[..], &mailbox, &[0]].concat(),
        Matter::Receipts(last) => [&due[..], &mailbox, &[1], &last.0.to_be_bytes()].concat(),
        Matter::Contact(contact) => [&due[..], &mailbox, &[2], &contact.0].concat(),
        Matter::Fetch(contact, fetch) => [&due[..], &mailbox, &[3], &contact.0, &fetch.0].concat(),
        Matter::Removal(after) => [&due[..], &mailbox, &[4], &after.0.to_be_bytes()].concat(),
    }
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::Locked,
            other => Self::Backend(other.to_string()),
        }
    }
}
