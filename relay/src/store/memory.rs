//! A store in memory, for simulations and tests: a clone is a snapshot, and nothing survives the process.

use std::{collections::BTreeMap, ops::Bound};

use hermes_wire::{
    BlobId, ChannelId, ContactId, EnvelopeId, FetchId, MailboxId, PostId, Sequence, Timestamp,
    mailbox::{Credit, Delivered},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};

use serde_bytes::ByteBuf;

use super::{
    Blob, Changes, Channel, Contact, Hour, Mailbox, Posted, Receipt, Remembered, Reminder, Store, StoreError,
    TokenHash, TokenRow,
};

/// The rows, in ordered maps.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    envelopes: BTreeMap<(MailboxId, Sequence), Delivered>,
    receipts: BTreeMap<(MailboxId, EnvelopeId), Receipt>,
    contacts: BTreeMap<(MailboxId, ContactId), Contact>,
    fetches: BTreeMap<(MailboxId, ContactId, FetchId), SealedBundle>,
    prekeys: BTreeMap<(MailboxId, PrekeyKind, PrekeyId), PrekeyEntry>,
    tokens: BTreeMap<TokenHash, TokenRow>,
    reminders: BTreeMap<Reminder, Vec<EnvelopeId>>,
    channels: BTreeMap<ChannelId, Channel>,
    rosters: BTreeMap<ChannelId, ByteBuf>,
    posts: BTreeMap<(ChannelId, PostId), Posted>,
    remembered: BTreeMap<(ChannelId, u32), Remembered>,
    blobs: BTreeMap<BlobId, Blob>,
    blob_parts: BTreeMap<(BlobId, u32), ByteBuf>,
    closed: BTreeMap<MailboxId, Timestamp>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn mailbox(&self, mailbox: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        Ok(self.mailboxes.get(&mailbox).cloned())
    }

    fn mailbox_count(&self) -> Result<u64, StoreError> {
        Ok(self.mailboxes.len() as u64)
    }

    fn envelopes(
        &self,
        mailbox: MailboxId,
        after: Sequence,
        credit: Credit,
    ) -> Result<Vec<Delivered>, StoreError> {
        let first = Sequence(after.0.saturating_add(1));
        let rows = self.envelopes.range((mailbox, first)..=(mailbox, Sequence(u64::MAX)));
        let mut budget = super::Budget::new(credit);
        Ok(rows.map(|(_, row)| row).take_while(|row| budget.take(row)).cloned().collect())
    }

    fn receipt(&self, mailbox: MailboxId, envelope: EnvelopeId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.receipts.get(&(mailbox, envelope)).cloned())
    }

    fn contact(&self, mailbox: MailboxId, contact: ContactId) -> Result<Option<Contact>, StoreError> {
        Ok(self.contacts.get(&(mailbox, contact)).cloned())
    }

    fn fetch(
        &self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
    ) -> Result<Option<SealedBundle>, StoreError> {
        Ok(self.fetches.get(&(mailbox, contact, fetch)).cloned())
    }

    fn prekey_after(
        &self,
        mailbox: MailboxId,
        kind: PrekeyKind,
        after: PrekeyId,
    ) -> Result<Option<PrekeyEntry>, StoreError> {
        let first = PrekeyId(after.0.saturating_add(1));
        let mut rows = self.prekeys.range((mailbox, kind, first)..=(mailbox, kind, PrekeyId(u64::MAX)));
        Ok(rows.next().map(|(_, entry)| entry.clone()))
    }

    fn token(&self, token: TokenHash) -> Result<Option<TokenRow>, StoreError> {
        Ok(self.tokens.get(&token).copied())
    }

    fn closed(&self) -> Result<Vec<MailboxId>, StoreError> {
        Ok(self.closed.keys().copied().collect())
    }

    fn tokens(&self, limit: usize) -> Result<Vec<(TokenHash, TokenRow)>, StoreError> {
        Ok(self.tokens.iter().take(limit).map(|(token, row)| (*token, *row)).collect())
    }

    fn due(
        &self,
        first: Option<Reminder>,
        hour: Hour,
        limit: usize,
    ) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError> {
        Ok(self
            .reminders
            .range((first.map_or(Bound::Unbounded, Bound::Included), Bound::Unbounded))
            .take_while(|(reminder, _)| reminder.due <= hour)
            .take(limit)
            .map(|(reminder, ids)| (*reminder, ids.clone()))
            .collect())
    }

    fn channel(&self, channel: ChannelId) -> Result<Option<Channel>, StoreError> {
        Ok(self.channels.get(&channel).cloned())
    }

    fn channel_count(&self) -> Result<u64, StoreError> {
        Ok(self.channels.len() as u64)
    }

    fn roster(&self, channel: ChannelId) -> Result<Option<ByteBuf>, StoreError> {
        Ok(self.rosters.get(&channel).cloned())
    }

    fn posted(&self, channel: ChannelId, post: PostId) -> Result<Option<Posted>, StoreError> {
        Ok(self.posts.get(&(channel, post)).cloned())
    }

    fn remembered(&self, channel: ChannelId, place: u32) -> Result<Option<Remembered>, StoreError> {
        Ok(self.remembered.get(&(channel, place)).copied())
    }

    fn blob(&self, blob: BlobId) -> Result<Option<Blob>, StoreError> {
        Ok(self.blobs.get(&blob).cloned())
    }

    fn blob_part(&self, blob: BlobId, offset: u32) -> Result<Option<ByteBuf>, StoreError> {
        Ok(self.blob_parts.get(&(blob, offset)).cloned())
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        self.mailboxes.extend(changes.mailboxes);
        self.closed.extend(changes.closed);
        merge(&mut self.envelopes, changes.envelopes);
        merge(&mut self.receipts, changes.receipts);
        merge(&mut self.contacts, changes.contacts);
        merge(&mut self.fetches, changes.fetches);
        merge(&mut self.prekeys, changes.prekeys);
        merge(&mut self.tokens, changes.tokens);
        merge(&mut self.reminders, changes.reminders);
        merge(&mut self.channels, changes.channels);
        merge(&mut self.rosters, changes.rosters);
        merge(&mut self.posts, changes.posts);
        merge(&mut self.remembered, changes.remembered);
        merge(&mut self.blobs, changes.blobs);
        merge(&mut self.blob_parts, changes.blob_parts);
        Ok(())
    }
}

fn merge<K: Ord, V>(rows: &mut BTreeMap<K, V>, changes: BTreeMap<K, Option<V>>) {
    for (key, change) in changes {
        match change {
            Some(row) => rows.insert(key, row),
            None => rows.remove(&key),
        };
    }
}
