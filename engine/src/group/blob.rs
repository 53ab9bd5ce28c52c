//! Blobs on their way: up in parts, down in one.

use hermes_protocol::blob::{self, BlobError, BlobRef};
use hermes_wire::{BlobId, Refusal, limits::BLOB_PART_BYTES};

use super::{GroupRecord, InvitationKey, InvitationRecord, PartKey, PartRow, UploadRecord};
use crate::{
    effect::Effect,
    id::ChatId,
    limits::{BLOB_PARTS, GROUPS, INVITATIONS},
    row::SecretBuf,
    rows::{Key, StoreResult},
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Puts a blob where the link finds it.
    pub(super) fn upload(&mut self, chat: ChatId, text: &[u8]) -> Result<BlobRef, BlobError> {
        let (bytes, reference) = blob::seal(text, self.rng)?;
        let blob = reference.id;
        let mut offset = 0;
        for part in bytes.chunks(BLOB_PART_BYTES) {
            self.put(&PartKey(blob, offset), &PartRow(SecretBuf::new(part)));
            offset = offset.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
        }
        self.put(&blob, &UploadRecord { chat, total: reference.size });
        self.effects.push(Effect::Blobs);
        Ok(reference)
    }

    /// The relay has all of it: what waited for it goes on.
    pub(crate) fn blob_stored(&mut self, blob: BlobId) -> StoreResult<(), V> {
        let Some(upload) = self.get::<UploadRecord>(&blob)? else { return Ok(()) };
        self.forget_upload(blob)?;
        self.effects.push(Effect::Outbox(upload.chat));
        Ok(())
    }

    /// The relay will not have it, so that the commit which waits for it never leaves.
    pub(crate) fn blob_refused(&mut self, blob: BlobId, refusal: Refusal) -> StoreResult<(), V> {
        let Some(upload) = self.get::<UploadRecord>(&blob)? else { return Ok(()) };
        self.forget_upload(blob)?;
        match self.get::<GroupRecord>(&upload.chat)? {
            Some(group) => self.give_up_commit(upload.chat, group, refusal),
            None => Ok(()),
        }
    }

    pub(super) fn forget_upload(&mut self, blob: BlobId) -> StoreResult<(), V> {
        for (key, _) in self.scan::<PartRow>(&Range::prefix(&blob.to_bytes()), BLOB_PARTS)? {
            self.delete::<PartRow>(&key);
        }
        self.delete::<UploadRecord>(&blob);
        Ok(())
    }

    /// A blob that was asked for. Whoever waits for it says whether it is the right one.
    pub(crate) fn blob_fetched(&mut self, blob: BlobId, bytes: &[u8]) -> StoreResult<(), V> {
        for (key, invitation) in self.invitations_to(blob)? {
            self.delete::<InvitationRecord>(&key);
            self.join_with(key.0, &invitation, bytes)?;
        }
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.awaiting.as_ref().is_some_and(|awaiting| awaiting.blob.id == blob) {
                self.commit_fetched(chat, group, bytes)?;
            }
        }
        Ok(())
    }

    /// Whoever named this blob: the one that put it there, and whoever has heard of it.
    fn invitations_to(&self, blob: BlobId) -> StoreResult<Vec<(InvitationKey, InvitationRecord)>, V> {
        let all = self.scan::<InvitationRecord>(&Range::all(), INVITATIONS)?;
        Ok(all.into_iter().filter(|(key, _)| key.1 == blob).collect())
    }

    /// A blob that is not to be had.
    pub(crate) fn blob_gone(&mut self, blob: BlobId) -> StoreResult<(), V> {
        for (key, _) in self.invitations_to(blob)? {
            self.delete::<InvitationRecord>(&key);
        }
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            if group.awaiting.as_ref().is_some_and(|awaiting| awaiting.blob.id == blob) {
                self.commit_gone(chat, group)?;
            }
        }
        Ok(())
    }
}
