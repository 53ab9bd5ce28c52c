//! Blobs on their way: up in parts, down in one.

use hermes_protocol::blob::{self, BlobError, BlobRef};
use hermes_wire::{BlobId, Refusal, RelayAddress, limits::BLOB_PART_BYTES};

use super::{GroupRecord, InvitationKey, InvitationRecord, PartKey, PartRow, UploadRecord};
use crate::{
    effect::Effect,
    guest::GuestRecord,
    id::{ChatId, GuestId},
    limits::{BLOB_PARTS, GROUPS, GUESTS, INVITATIONS},
    row::SecretBuf,
    rows::{self, Key, StoreResult},
    store::{Order, Range, View},
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

    /// The relay has all of it: what waited for it goes on. A relay's word about a mailbox is about what goes there.
    pub(crate) fn blob_stored(&mut self, blob: BlobId, mailbox: Option<GuestId>) -> StoreResult<(), V> {
        let Some(upload) = self.upload_to(blob, mailbox)? else { return Ok(()) };
        self.forget_upload(blob)?;
        self.effects.push(Effect::Outbox(upload.chat));
        Ok(())
    }

    /// The relay will not have it, so that the commit which waits for it never leaves.
    pub(crate) fn blob_refused(
        &mut self,
        blob: BlobId,
        refusal: Refusal,
        mailbox: Option<GuestId>,
    ) -> StoreResult<(), V> {
        let Some(upload) = self.upload_to(blob, mailbox)? else { return Ok(()) };
        self.forget_upload(blob)?;
        match self.get::<GroupRecord>(&upload.chat)? {
            Some(group) => self.give_up_commit(upload.chat, group, refusal),
            None => Ok(()),
        }
    }

    fn upload_to(&self, blob: BlobId, mailbox: Option<GuestId>) -> StoreResult<Option<UploadRecord>, V> {
        let Some(upload) = self.get::<UploadRecord>(&blob)? else { return Ok(None) };
        let goes = upload_mailbox(&self.overlay(), &self.account.relay, &upload)?;
        Ok((goes == Some(mailbox)).then_some(upload))
    }

    pub(super) fn forget_upload(&mut self, blob: BlobId) -> StoreResult<(), V> {
        for (key, _) in self.scan::<PartRow>(&Range::prefix(&blob.to_bytes()), BLOB_PARTS)? {
            self.delete::<PartRow>(&key);
        }
        self.delete::<UploadRecord>(&blob);
        Ok(())
    }

    /// A blob that was asked for at the relay of this mailbox. Whoever waits for it says whether it is the right one. What
    /// one relay says of a blob is about that relay: others may be said to have the same.
    pub(crate) fn blob_fetched(
        &mut self,
        blob: BlobId,
        bytes: &[u8],
        mailbox: Option<GuestId>,
    ) -> StoreResult<(), V> {
        for (key, invitation) in self.invitations_to(blob, mailbox)? {
            self.delete::<InvitationRecord>(&key);
            self.join_with(key.0, &invitation, bytes)?;
        }
        for (chat, group) in self.groups_awaiting(blob, mailbox)? {
            self.commit_fetched(chat, group, bytes)?;
        }
        Ok(())
    }

    /// Whoever named this blob: the one that put it there, and whoever has heard of it.
    fn invitations_to(
        &self,
        blob: BlobId,
        mailbox: Option<GuestId>,
    ) -> StoreResult<Vec<(InvitationKey, InvitationRecord)>, V> {
        let mut found = Vec::new();
        for (key, row) in self.scan::<InvitationRecord>(&Range::all(), INVITATIONS)? {
            let at = mailbox_at(&self.overlay(), &self.account.relay, row.relay.as_ref())?;
            if key.1 == blob && at == Some(mailbox) {
                found.push((key, row));
            }
        }
        Ok(found)
    }

    /// Groups that wait for a commit in this blob.
    fn groups_awaiting(
        &self,
        blob: BlobId,
        mailbox: Option<GuestId>,
    ) -> StoreResult<Vec<(ChatId, GroupRecord)>, V> {
        let mut found = Vec::new();
        for (chat, group) in self.scan::<GroupRecord>(&Range::all(), GROUPS)? {
            let awaits = group.awaiting.as_ref().is_some_and(|awaiting| awaiting.blob.id == blob);
            let relay = Some(&group.context.relay);
            if awaits && mailbox_at(&self.overlay(), &self.account.relay, relay)? == Some(mailbox) {
                found.push((chat, group));
            }
        }
        Ok(found)
    }

    /// A blob that is not to be had at the relay of this mailbox.
    pub(crate) fn blob_gone(&mut self, blob: BlobId, mailbox: Option<GuestId>) -> StoreResult<(), V> {
        for (key, _) in self.invitations_to(blob, mailbox)? {
            self.delete::<InvitationRecord>(&key);
        }
        for (chat, group) in self.groups_awaiting(blob, mailbox)? {
            self.commit_gone(chat, group)?;
        }
        Ok(())
    }
}

/// The mailbox at a relay, the account's own or another; `None` if there is none. No address is the account's own relay's.
pub(crate) fn mailbox_at<V: View>(
    view: &V,
    own: &RelayAddress,
    relay: Option<&RelayAddress>,
) -> StoreResult<Option<Option<GuestId>>, V> {
    let Some(relay) = relay.filter(|relay| !relay.is_same(own)) else { return Ok(Some(None)) };
    let guests = rows::scan::<GuestRecord, _>(view, &Range::all(), Order::Ascending, GUESTS)?;
    Ok(guests.into_iter().find(|(_, guest)| guest.relay.is_same(relay)).map(|(guest, _)| Some(guest)))
}

/// Over which mailbox a blob goes up: one at its group's relay, for there the others fetch it. `None` if there is none.
pub(crate) fn upload_mailbox<V: View>(
    view: &V,
    own: &RelayAddress,
    upload: &UploadRecord,
) -> StoreResult<Option<Option<GuestId>>, V> {
    let group: Option<GroupRecord> = rows::get(view, &upload.chat)?;
    mailbox_at(view, own, group.as_ref().map(|group| &group.context.relay))
}
