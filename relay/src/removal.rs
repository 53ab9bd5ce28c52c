//! What leaves the store: acknowledged envelopes, expired ones, and everything that is remembered for a time.

use hermes_wire::{ContactId, EnvelopeId, FetchId, MailboxId, Refusal, Sequence, mailbox::Delivered};

use crate::{
    draft::Removed,
    limits::{RECEIPT_MEMORY, RECEIPTS_PER_REMINDER, SWEEP_REMINDERS},
    rate::Bucket,
    relay::{Group, Halt, Outcome},
    store::{About, Contact, Hour, Mailbox, Matter, Reminder, Store, StoreError, Usage},
};

impl<S: Store> Group<'_, S> {
    /// Takes note of what the owner has, and deletes as much of it as one commit may. An ack that is older than the last one changes nothing; one of what was never
    /// assigned is a broken or hostile client.
    pub(crate) fn ack(&mut self, mailbox: MailboxId, upto: Sequence) -> Result<Outcome, Halt> {
        let row = self.draft.mailbox(mailbox)?.ok_or(Refusal::BadFrame)?;
        if upto > row.head {
            return Err(Refusal::BadFrame.into());
        }
        if upto > row.acked {
            let removed = self.draft.remove_acknowledged(mailbox, row.acked, upto)?;
            self.settle(mailbox, Mailbox { acked: upto, ..row }, removed)?;
        }
        Ok(Outcome::Acked)
    }

    /// Sees to the reminders that are due, as far as one commit may.
    pub(crate) fn sweep(&mut self) -> Result<Outcome, Halt> {
        // What the same commit deletes for others is no reason to leave all of it.
        self.draft.make_room();
        let due = self.draft.due(self.this_hour(), SWEEP_REMINDERS)?;
        let full = due.len() == SWEEP_REMINDERS;
        for (reminder, ids) in due {
            if self.draft.is_full() {
                break;
            }
            self.draft.sweep_reminder(reminder);
            match reminder.about {
                About::Mailbox(mailbox, matter) => self.see_to(mailbox, matter, ids)?,
                About::Channel(channel) => self.forget_channel(channel)?,
                About::Post(channel, post) => self.forget_post(channel, post)?,
                About::Blob(blob) => self.expire_blob(blob)?,
                About::Token(token) => self.forget_token(token)?,
            }
        }
        Ok(Outcome::Swept { more: full || self.draft.is_full() })
    }

    fn see_to(&mut self, mailbox: MailboxId, matter: Matter, ids: Vec<EnvelopeId>) -> Result<(), StoreError> {
        match matter {
            Matter::Envelopes => self.expire(mailbox, None)?,
            Matter::Removal(after) => self.expire(mailbox, Some(after))?,
            Matter::Receipts(_) => ids.into_iter().for_each(|id| self.draft.forget_receipt(mailbox, id)),
            Matter::Contact(contact) => self.forget_contact(mailbox, contact)?,
            Matter::Fetch(contact, fetch) => self.forget_fetch(mailbox, contact, fetch)?,
        }
        Ok(())
    }

    /// Deletes the oldest envelopes as far as they are acknowledged or their time is over. Of the gap that the latter
    /// leave, the owner hears. Nothing before `after` is looked at, if that is known.
    fn expire(&mut self, mailbox: MailboxId, after: Option<Sequence>) -> Result<(), StoreError> {
        let Some(row) = self.draft.mailbox(mailbox)? else { return Ok(()) };
        let (now, ttl, acked) = (self.now, self.policy.limits.envelope_ttl, row.acked);
        self.remove(mailbox, row, after.unwrap_or(acked), |row| {
            row.sequence <= acked || row.stored.after(ttl) <= now
        })
    }

    /// Deletes the envelopes after `after` until `wanted` says no. What is too much for one commit is left to the next
    /// sweep, and counts as stored until then.
    pub(crate) fn remove(
        &mut self,
        mailbox: MailboxId,
        row: Mailbox,
        after: Sequence,
        wanted: impl Fn(&Delivered) -> bool,
    ) -> Result<(), StoreError> {
        let removed = self.draft.remove_envelopes(mailbox, after, wanted)?;
        self.settle(mailbox, row, removed)
    }

    /// Leaves what is too much for one commit to a sweep, and books the rest out.
    fn settle(&mut self, mailbox: MailboxId, row: Mailbox, removed: Removed) -> Result<(), StoreError> {
        if removed.unfinished {
            let about = About::Mailbox(mailbox, Matter::Removal(removed.last));
            self.draft.remind(Reminder { due: self.this_hour(), about }, Vec::new());
        }
        self.account(mailbox, row, removed)
    }

    /// Books deleted envelopes out, and remembers their ids for a while.
    fn account(&mut self, mailbox: MailboxId, row: Mailbox, removed: Removed) -> Result<(), StoreError> {
        let mut stored = row.stored;
        for (contact, usage) in removed.by_contact {
            stored = stored.minus(usage);
            let from = self.draft.contact(mailbox, contact)?;
            let left = from.stored.minus(usage);
            let missed = from.missed && left != Usage::default();
            self.draft.put_contact(mailbox, contact, Contact { stored: left, missed, ..from });
        }
        self.remember_receipts(mailbox, removed.last, &removed.receipts);
        self.draft.put_mailbox(mailbox, Mailbox { stored, ..row });
        Ok(())
    }

    /// Of too many in a day nothing is remembered.
    fn remember_receipts(&mut self, mailbox: MailboxId, last: Sequence, ids: &[EnvelopeId]) {
        let (rate, count) = (self.policy.limits.receipts_remembered, u32::try_from(ids.len()));
        let remembered =
            self.rates.take_some(Bucket::Receipts(mailbox), rate, count.unwrap_or(u32::MAX), self.now);
        if remembered.is_err() {
            return ids.iter().for_each(|id| self.draft.forget_receipt(mailbox, *id));
        }
        let due = Hour::after(self.now, RECEIPT_MEMORY);
        for (part, ids) in (0..).zip(ids.chunks(RECEIPTS_PER_REMINDER)) {
            // Each part needs its own key; there are fewer parts than sequences, so none is taken.
            let matter = Matter::Receipts(Sequence(last.0.saturating_sub(part)));
            self.draft.remind(Reminder { due, about: About::Mailbox(mailbox, matter) }, ids.to_vec());
        }
    }

    /// Drops what is over from a contact's row. An invite that is not over has a reminder of its own.
    fn forget_contact(&mut self, mailbox: MailboxId, contact: ContactId) -> Result<(), StoreError> {
        let mut row = self.draft.contact(mailbox, contact)?;
        if row.revoked.is_some_and(|until| until < self.now) {
            row.revoked = None;
            if let Some(owner) = self.draft.mailbox(mailbox)? {
                let revoked = owner.revoked.saturating_sub(1);
                self.draft.put_mailbox(mailbox, Mailbox { revoked, ..owner });
            }
        }
        if let Some(until) = row.revoked {
            self.remind_after(until, About::Mailbox(mailbox, Matter::Contact(contact)));
        }
        if row.fetches.is_some_and(|fetches| fetches.until < self.now) {
            row.fetches = None;
        }
        self.draft.put_contact(mailbox, contact, row);
        Ok(())
    }

    fn forget_fetch(
        &mut self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
    ) -> Result<(), StoreError> {
        if self.draft.fetch(mailbox, contact, fetch)?.is_none() {
            return Ok(());
        }
        self.draft.put_fetch(mailbox, contact, fetch, None);
        if let Some(owner) = self.draft.mailbox(mailbox)? {
            let fetched = owner.fetched.saturating_sub(1);
            self.draft.put_mailbox(mailbox, Mailbox { fetched, ..owner });
        }
        Ok(())
    }
}
