//! A store that counts what is read from it.

use std::cell::Cell;

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
}

impl Counting {
    pub fn new(store: MemoryStore) -> Self {
        Self { store, reads: Cell::new(0), envelopes: Cell::new(0), commits: Vec::new() }
    }

    fn counted(&self) -> &MemoryStore {
        self.reads.set(self.reads.get() + 1);
        &self.store
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
        self.counted().prekey_after(mailbox, kind, after)
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

    fn due(&self, hour: Hour, limit: usize) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError> {
        self.counted().due(hour, limit)
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
        self.store.commit(changes)
    }
}
