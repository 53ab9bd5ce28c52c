//! The draft's channels and blobs.

use hermes_wire::{BlobId, ChannelId, MailboxId, PostId, limits::BLOB_PART_BYTES, mailbox::Delivered};
use serde_bytes::ByteBuf;

use super::Draft;
use crate::{
    limits::COMMIT_COPIES,
    store::{Blob, Channel, Posted, Remembered, Store, StoreError, Usage},
};

impl<S: Store> Draft<'_, S> {
    pub(crate) fn channel(&self, channel: ChannelId) -> Result<Option<Channel>, StoreError> {
        match self.changes.channels.get(&channel) {
            Some(row) => Ok(row.clone()),
            None => self.store.channel(channel),
        }
    }

    pub(crate) fn put_channel(&mut self, channel: ChannelId, row: Channel) {
        self.changes.channels.insert(channel, Some(row));
    }

    pub(crate) fn forget_channel(&mut self, channel: ChannelId) {
        self.changes.channels.insert(channel, None);
        self.changes.rosters.insert(channel, None);
        self.removable = self.removable.minus(Usage { envelopes: 2, bytes: 0 });
    }

    pub(crate) fn roster(&self, channel: ChannelId) -> Result<Option<ByteBuf>, StoreError> {
        match self.changes.rosters.get(&channel) {
            Some(row) => Ok(row.clone()),
            None => self.store.roster(channel),
        }
    }

    pub(crate) fn put_roster(&mut self, channel: ChannelId, sealed: Vec<u8>) {
        self.changes.rosters.insert(channel, Some(ByteBuf::from(sealed)));
    }

    pub(crate) fn posted(&self, channel: ChannelId, post: PostId) -> Result<Option<Posted>, StoreError> {
        match self.changes.posts.get(&(channel, post)) {
            Some(row) => Ok(row.clone()),
            None => self.store.posted(channel, post),
        }
    }

    pub(crate) fn put_posted(&mut self, channel: ChannelId, post: PostId, row: Posted) {
        self.changes.posts.insert((channel, post), Some(row));
    }

    pub(crate) fn forget_posted(&mut self, channel: ChannelId, post: PostId) {
        self.changes.posts.insert((channel, post), None);
        self.removable = self.removable.minus(Usage { envelopes: 1, bytes: 0 });
    }

    pub(crate) fn remembered(
        &self,
        channel: ChannelId,
        place: u32,
    ) -> Result<Option<Remembered>, StoreError> {
        match self.changes.remembered.get(&(channel, place)) {
            Some(row) => Ok(*row),
            None => self.store.remembered(channel, place),
        }
    }

    pub(crate) fn put_remembered(&mut self, channel: ChannelId, place: u32, row: Option<Remembered>) {
        self.changes.remembered.insert((channel, place), row);
    }

    /// Puts a member's copy into its mailbox. It has no receipt: nobody can deposit it again.
    pub(crate) fn put_copy(&mut self, mailbox: MailboxId, copy: Delivered) {
        self.copies += 1;
        self.put_envelope(mailbox, copy);
    }

    /// Whether the requests that follow must wait for another commit.
    pub(crate) fn has_many_copies(&self) -> bool {
        self.copies >= COMMIT_COPIES
    }

    pub(crate) fn blob(&self, blob: BlobId) -> Result<Option<Blob>, StoreError> {
        match self.changes.blobs.get(&blob) {
            Some(row) => Ok(row.clone()),
            None => self.store.blob(blob),
        }
    }

    pub(crate) fn put_blob(&mut self, blob: BlobId, row: Blob) {
        self.changes.blobs.insert(blob, Some(row));
    }

    pub(crate) fn put_blob_part(&mut self, blob: BlobId, offset: u32, bytes: ByteBuf) {
        self.changes.blob_parts.insert((blob, offset), Some(bytes));
    }

    pub(crate) fn forget_blob(&mut self, blob: BlobId, row: &Blob) {
        self.changes.blobs.insert(blob, None);
        let mut rows = 1;
        for offset in (0..row.upto).step_by(BLOB_PART_BYTES) {
            self.changes.blob_parts.insert((blob, offset), None);
            rows += 1;
        }
        self.removable = self.removable.minus(Usage { envelopes: rows, bytes: 0 });
    }
}
