//! A store that counts what is read from it.

use std::{cell::Cell, collections::BTreeSet};

use hermes_relay::{
    Store, StoreError,
    store::{
        Blob, Changes, Channel, Contact, Hour, Mailbox, Posted, Receipt, Remembered, Reminder, TokenHash,
        TokenRow, memory::MemoryStore,
    },
};
use hermes_wire::{
    BlobId, ChannelId, ContactId, EnvelopeId, FetchId, MailboxId, PostId, Sequence,
    mailbox::{Credit, Delivered},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};
use serde_bytes::ByteBuf;

/// Counts the reads of a store, and what is committed.
pub struct Counting {
    store: MemoryStore,
    pub reads: Cell<u32>,
    /// Envelopes that were read.
    pub envelopes: Cell<usize>,
    /// Envelopes in each commit.
    pub commits: Vec<usize>,
    /// Prekeys and reminders that were deleted, and lay between where a search began and what it found: a store on a disk passes
    /// each of them, until it has rewritten its files.
    pub passed: Cell<usize>,
    gone_prekeys: BTreeSet<(MailboxId, PrekeyKind, PrekeyId)>,
    gone_reminders: BTreeSet<Reminder>,
}

impl Counting {
    pub fn new(store: MemoryStore) -> Self {
        Self {
            store,
            reads: Cell::new(0),
            envelopes: Cell::new(0),
            commits: Vec::new(),
            passed: Cell::new(0),
            gone_prekeys: BTreeSet::new(),
            gone_reminders: BTreeSet::new(),
        }
    }

    fn counted(&self) -> &MemoryStore {
        self.reads.set(self.reads.get() + 1);
        &self.store
    }

    fn pass(&self, count: usize) {
        self.passed.set(self.passed.get() + count);
    }
}

impl Store for Counting {
    fn mailbox(&self, mailbox: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        self.counted().mailbox(mailbox)
    }

    fn mailbox_count(&self) -> Result<u64, StoreError> {
        self.counted().mailbox_count()
    }

    fn envelopes(
        &self,
        mailbox: MailboxId,
        after: Sequence,
        credit: Credit,
    ) -> Result<Vec<Delivered>, StoreError> {
        let envelopes = self.counted().envelopes(mailbox, after, credit)?;
        self.envelopes.set(self.envelopes.get() + envelopes.len());
        Ok(envelopes)
    }

    fn receipt(&self, mailbox: MailboxId, envelope: EnvelopeId) -> Result<Option<Receipt>, StoreError> {
        self.counted().receipt(mailbox, envelope)
    }

    fn contact(&self, mailbox: MailboxId, contact: ContactId) -> Result<Option<Contact>, StoreError> {
        self.counted().contact(mailbox, contact)
    }

    fn fetch(
        &self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
    ) -> Result<Option<SealedBundle>, StoreError> {
        self.counted().fetch(mailbox, contact, fetch)
    }

    fn prekey_after(
        &self,
        mailbox: MailboxId,
        kind: PrekeyKind,
        after: PrekeyId,
    ) -> Result<Option<PrekeyEntry>, StoreError> {
        let found = self.counted().prekey_after(mailbox, kind, after)?;
        let upto = found.as_ref().map_or(PrekeyId(u64::MAX), |entry| entry.id);
        let gone = self.gone_prekeys.range((mailbox, kind, after)..(mailbox, kind, upto));
        self.pass(gone.filter(|(_, _, id)| *id > after).count());
        Ok(found)
    }

    fn token(&self, token: TokenHash) -> Result<Option<TokenRow>, StoreError> {
        self.counted().token(token)
    }

    fn closed(&self) -> Result<Vec<MailboxId>, StoreError> {
        self.counted().closed()
    }

    fn tokens(&self, limit: usize) -> Result<Vec<(TokenHash, TokenRow)>, StoreError> {
        self.counted().tokens(limit)
    }

    fn due(
        &self,
        first: Option<Reminder>,
        hour: Hour,
        limit: usize,
    ) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError> {
        let due = self.counted().due(first, hour, limit)?;
        let last = due.last().map(|(reminder, _)| *reminder);
        let passed = |gone: &&Reminder| {
            first.is_none_or(|first| **gone >= first) && last.map_or(gone.due <= hour, |last| **gone < last)
        };
        self.pass(self.gone_reminders.iter().filter(passed).count());
        Ok(due)
    }

    fn channel(&self, channel: ChannelId) -> Result<Option<Channel>, StoreError> {
        self.counted().channel(channel)
    }

    fn channel_count(&self) -> Result<u64, StoreError> {
        self.counted().channel_count()
    }

    fn roster(&self, channel: ChannelId) -> Result<Option<ByteBuf>, StoreError> {
        self.counted().roster(channel)
    }

    fn posted(&self, channel: ChannelId, post: PostId) -> Result<Option<Posted>, StoreError> {
        self.counted().posted(channel, post)
    }

    fn remembered(&self, channel: ChannelId, place: u32) -> Result<Option<Remembered>, StoreError> {
        self.counted().remembered(channel, place)
    }

    fn blob(&self, blob: BlobId) -> Result<Option<Blob>, StoreError> {
        self.counted().blob(blob)
    }

    fn blob_part(&self, blob: BlobId, offset: u32) -> Result<Option<ByteBuf>, StoreError> {
        self.counted().blob_part(blob, offset)
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        self.commits.push(changes.envelopes.len());
        let gone = changes.prekeys.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| *key);
        self.gone_prekeys.extend(gone);
        let gone = changes.reminders.iter().filter(|(_, row)| row.is_none()).map(|(reminder, _)| *reminder);
        self.gone_reminders.extend(gone);
        self.store.commit(changes)
    }
}
