//! Blobs: uploaded in parts by the owner of a mailbox, fetched by whoever knows their id.

use hermes_wire::{
    BlobId, MailboxId, Refusal,
    blob::{BlobPart, PutBlob},
    limits::{BLOB_BYTES, BLOB_PART_BYTES},
};
use serde_bytes::ByteBuf;

use crate::{
    limits::{BLOB_MARGIN, BLOBS, BLOBS_RETRY},
    relay::{Group, Halt, Outcome, millis},
    store::{About, Blob, Hour, Mailbox, Reminder, Store, StoreError, Usage},
};

impl<S: Store> Group<'_, S> {
    /// Takes the next part of a blob. Any other part changes nothing: the answer says how much is here.
    pub(crate) fn put_blob(&mut self, mailbox: MailboxId, put: PutBlob) -> Result<Outcome, Halt> {
        let PutBlob { blob, total, offset, bytes } = put;
        let owner = self.draft.mailbox(mailbox)?.ok_or(Refusal::BadFrame)?;
        if total > BLOB_BYTES {
            return Err(Refusal::TooLarge { max: BLOB_BYTES }.into());
        }
        let row = self.draft.blob(blob)?;
        if row.as_ref().is_some_and(|row| row.owner != mailbox || row.total != total) {
            return Err(Refusal::IdConflict.into());
        }
        let upto = row.as_ref().map_or(0, |row| row.upto);
        if bytes.is_empty() || offset != upto || upto == total {
            return Ok(Outcome::BlobStored(upto));
        }
        // Parts have one size, so that small ones do not make many rows.
        let left = total.saturating_sub(upto) as usize;
        if bytes.len() != left.min(BLOB_PART_BYTES) {
            return Err(Refusal::BadFrame.into());
        }
        let row = match row {
            Some(row) => row,
            None => self.admit_blob(mailbox, owner, blob, total)?,
        };
        let stored = Blob { upto: upto.saturating_add(bytes.len() as u32), stored: self.now, ..row };
        let upto = stored.upto;
        self.draft.put_blob_part(blob, offset, bytes);
        self.draft.put_blob(blob, stored);
        Ok(Outcome::BlobStored(upto))
    }

    /// Charges a blob to its uploader, all of it from its first part on: what was begun can be finished.
    fn admit_blob(
        &mut self,
        mailbox: MailboxId,
        owner: Mailbox,
        blob: BlobId,
        total: u32,
    ) -> Result<Blob, Halt> {
        let blobs = owner.blobs.plus(total.into());
        if blobs.envelopes > BLOBS || blobs.bytes > self.policy.limits.blob_bytes {
            return Err(Refusal::BlobsFull { retry_ms: millis(BLOBS_RETRY) }.into());
        }
        self.draft.put_mailbox(mailbox, Mailbox { blobs, ..owner });
        let row = Blob { owner: mailbox, total, upto: 0, stored: self.now };
        self.remind_of_blob(blob, &row);
        Ok(row)
    }

    /// Deletes a blob whose time is over, or looks again when it is.
    pub(crate) fn expire_blob(&mut self, blob: BlobId) -> Result<(), StoreError> {
        let Some(row) = self.draft.blob(blob)? else { return Ok(()) };
        if row.stored.after(self.blob_ttl()) > self.now {
            self.remind_of_blob(blob, &row);
            return Ok(());
        }
        self.forget_blob(blob, &row)
    }

    /// Deletes a blob, if it is that owner's.
    pub(crate) fn forget_blob_of(&mut self, owner: MailboxId, blob: BlobId) -> Result<(), StoreError> {
        match self.draft.blob(blob)? {
            Some(row) if row.owner == owner => self.forget_blob(blob, &row),
            _ => Ok(()),
        }
    }

    fn forget_blob(&mut self, blob: BlobId, row: &Blob) -> Result<(), StoreError> {
        self.draft.forget_blob(blob, row);
        if let Some(owner) = self.draft.mailbox(row.owner)? {
            let blobs = owner.blobs.minus(Usage { envelopes: 1, bytes: row.total.into() });
            self.draft.put_mailbox(row.owner, Mailbox { blobs, ..owner });
        }
        Ok(())
    }

    fn remind_of_blob(&mut self, blob: BlobId, row: &Blob) {
        let due = Hour::after(row.stored, self.blob_ttl());
        self.draft.remind(Reminder { due, about: About::Blob(blob) }, Vec::new());
    }

    fn blob_ttl(&self) -> std::time::Duration {
        self.policy.limits.envelope_ttl.saturating_add(BLOB_MARGIN)
    }
}

/// What a blob has from `offset` on, to the end of that part. `None`: there is no such blob, or not all of it, or it
/// ends before.
pub fn read<S: Store>(store: &S, blob: BlobId, offset: u32) -> Result<Option<BlobPart>, StoreError> {
    let Some(row) = store.blob(blob)? else { return Ok(None) };
    if row.upto != row.total || offset >= row.total {
        return Ok(None);
    }
    let within = offset % BLOB_PART_BYTES as u32;
    let Some(part) = store.blob_part(blob, offset - within)? else { return Ok(None) };
    let bytes = part.get(within as usize..).filter(|bytes| !bytes.is_empty());
    Ok(bytes.map(|bytes| BlobPart { blob, total: row.total, offset, bytes: ByteBuf::from(bytes.to_vec()) }))
}
