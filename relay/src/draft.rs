//! The store as a group of requests sees it: what is committed, overlaid with what the group is about to commit.

use std::collections::{BTreeMap, btree_map::Entry};

use hermes_wire::{
    ContactId, EnvelopeId, FetchId, MailboxId, Sequence, Timestamp,
    mailbox::{Credit, Delivered},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
};

use crate::{
    limits,
    recent::{Recent, Stub},
    store::{
        Changes, Contact, Hour, Mailbox, Receipt, Reminder, Store, StoreError, TokenHash, TokenRow, Usage,
    },
};

mod channel;

pub(crate) struct Draft<'a, S> {
    store: &'a S,
    recent: &'a Recent,
    changes: Changes,
    /// Of each mailbox and kind the last prekey that was taken out.
    prekeys_gone: BTreeMap<(MailboxId, PrekeyKind), PrekeyId>,
    /// What may still be deleted.
    removable: Usage,
    /// Contacts whose envelopes were taken out without being read.
    removed_contacts: usize,
    /// The last reminder that a sweep took out.
    swept: Option<Reminder>,
    /// Copies for members of channels so far.
    copies: usize,
}

/// Envelopes that a draft took out.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Those whose deposits may be remembered.
    pub(crate) receipts: Vec<EnvelopeId>,
    pub(crate) by_contact: BTreeMap<ContactId, Usage>,
    pub(crate) last: Sequence,
    /// There may be more of them after `last`, for which this draft has no room.
    pub(crate) unfinished: bool,
}

impl<'a, S: Store> Draft<'a, S> {
    pub(crate) fn new(store: &'a S, recent: &'a Recent) -> Self {
        let removable = Usage { envelopes: limits::REMOVED_ROWS, bytes: limits::REMOVED_BYTES };
        let (changes, prekeys_gone) = (Changes::default(), BTreeMap::new());
        Self { store, recent, changes, prekeys_gone, removable, removed_contacts: 0, swept: None, copies: 0 }
    }

    /// What is to be committed, and the last reminder that a sweep took out.
    pub(crate) fn into_changes(self) -> (Changes, Option<Reminder>) {
        (self.changes, self.swept)
    }

    /// What is committed, without the group.
    pub(crate) fn store(&self) -> &'a S {
        self.store
    }

    pub(crate) fn mailbox(&self, mailbox: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        match self.changes.mailboxes.get(&mailbox).or_else(|| self.recent.mailbox(mailbox)) {
            Some(row) => Ok(Some(row.clone())),
            None => self.store.mailbox(mailbox),
        }
    }

    pub(crate) fn put_mailbox(&mut self, mailbox: MailboxId, row: Mailbox) {
        self.changes.mailboxes.insert(mailbox, row);
    }

    pub(crate) fn contact(&self, mailbox: MailboxId, contact: ContactId) -> Result<Contact, StoreError> {
        let known = self.changes.contacts.get(&(mailbox, contact));
        let row = match known.or_else(|| self.recent.contact(mailbox, contact)) {
            Some(row) => row.clone(),
            None => self.store.contact(mailbox, contact)?,
        };
        Ok(row.unwrap_or_default())
    }

    /// Keeps a contact's row as long as it says anything.
    pub(crate) fn put_contact(&mut self, mailbox: MailboxId, contact: ContactId, row: Contact) {
        let row = (row != Contact::default()).then_some(row);
        self.changes.contacts.insert((mailbox, contact), row);
    }

    pub(crate) fn receipt(
        &self,
        mailbox: MailboxId,
        envelope: EnvelopeId,
    ) -> Result<Option<Receipt>, StoreError> {
        match self.changes.receipts.get(&(mailbox, envelope)) {
            Some(row) => Ok(row.clone()),
            None => self.store.receipt(mailbox, envelope),
        }
    }

    pub(crate) fn put_receipt(&mut self, mailbox: MailboxId, envelope: EnvelopeId, row: Receipt) {
        self.changes.receipts.insert((mailbox, envelope), Some(row));
    }

    pub(crate) fn forget_receipt(&mut self, mailbox: MailboxId, envelope: EnvelopeId) {
        self.changes.receipts.insert((mailbox, envelope), None);
        self.removable = self.removable.minus(Usage { envelopes: 1, bytes: 0 });
    }

    pub(crate) fn put_envelope(&mut self, mailbox: MailboxId, envelope: Delivered) {
        self.changes.envelopes.insert((mailbox, envelope.sequence), Some(envelope));
    }

    /// Whether the rest of what is to be deleted must wait for a later commit.
    pub(crate) fn is_full(&self) -> bool {
        self.removable.envelopes == 0 || self.removable.bytes == 0
    }

    /// What was deleted up to here does not count any more.
    pub(crate) fn make_room(&mut self) {
        self.removable = Usage { envelopes: limits::REMOVED_ROWS, bytes: limits::REMOVED_BYTES };
    }

    /// Takes out the envelopes after `after` up to `upto` until the draft is full, without reading them where it is known which
    /// they are.
    pub(crate) fn remove_acknowledged(
        &mut self,
        mailbox: MailboxId,
        after: Sequence,
        upto: Sequence,
    ) -> Result<Removed, StoreError> {
        let Some(known) = self.recent.envelopes(mailbox, after, upto) else {
            return self.remove_envelopes(mailbox, after, |row| row.sequence <= upto);
        };
        let mut removed = Removed { last: after, ..Removed::default() };
        if self.removed_contacts >= limits::REMOVED_CONTACTS {
            return Ok(Removed { unfinished: true, ..removed });
        }
        for stub in known {
            // Not a part of what may be deleted in one commit: it is not read, and there is a limit to what is known. Its time may
            // have been over in this very commit.
            if let Entry::Vacant(place) = self.changes.envelopes.entry((mailbox, stub.sequence)) {
                place.insert(None);
                removed.add(&stub);
            }
        }
        self.removed_contacts += removed.by_contact.len();
        Ok(removed)
    }

    /// Takes out the envelopes after `after`, in order, until `wanted` says no or the draft is full.
    pub(crate) fn remove_envelopes(
        &mut self,
        mailbox: MailboxId,
        after: Sequence,
        wanted: impl Fn(&Delivered) -> bool,
    ) -> Result<Removed, StoreError> {
        // Read in portions that grow: a client that keeps up acknowledges a few at a time, with many behind them.
        let mut portion = limits::DELETE_PORTION;
        let mut removed = Removed { last: after, ..Removed::default() };
        let mut read = after;
        loop {
            if self.is_full() {
                return Ok(Removed { unfinished: true, ..removed });
            }
            let credit = Credit { envelopes: portion, bytes: limits::DELETE_BYTES };
            let rows = self.store.envelopes(mailbox, read, credit)?;
            let Some(last) = rows.last() else { break };
            read = last.sequence;
            portion = portion.saturating_mul(4).min(limits::DELETE_ENVELOPES);
            for row in rows {
                if self.changes.envelopes.contains_key(&(mailbox, row.sequence)) {
                    continue;
                }
                if !wanted(&row) {
                    return Ok(removed);
                }
                if self.is_full() {
                    return Ok(Removed { unfinished: true, ..removed });
                }
                self.removable = self.removable.minus(removed.add(&Stub::from(&row)));
                self.changes.envelopes.insert((mailbox, row.sequence), None);
            }
        }
        // What the group itself deposited comes after everything committed. It is in memory, and little.
        let drafted = self.changes.envelopes.range_mut((mailbox, Sequence(read.0.saturating_add(1)))..);
        for (_, row) in drafted.take_while(|((owner, _), _)| *owner == mailbox) {
            match row {
                Some(envelope) if wanted(envelope) => {
                    self.removable = self.removable.minus(removed.add(&Stub::from(&*envelope)))
                }
                Some(_) => break,
                None => continue,
            }
            *row = None;
        }
        Ok(removed)
    }

    pub(crate) fn fetch(
        &self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
    ) -> Result<Option<SealedBundle>, StoreError> {
        match self.changes.fetches.get(&(mailbox, contact, fetch)) {
            Some(row) => Ok(row.clone()),
            None => self.store.fetch(mailbox, contact, fetch),
        }
    }

    pub(crate) fn put_fetch(
        &mut self,
        mailbox: MailboxId,
        contact: ContactId,
        fetch: FetchId,
        row: Option<SealedBundle>,
    ) {
        self.changes.fetches.insert((mailbox, contact, fetch), row);
    }

    /// The first prekey of a kind above `after`.
    pub(crate) fn prekey_after(
        &self,
        mailbox: MailboxId,
        kind: PrekeyKind,
        after: PrekeyId,
    ) -> Result<Option<PrekeyEntry>, StoreError> {
        let gone = self.prekeys_gone.get(&(mailbox, kind)).copied();
        let gone = gone.unwrap_or_else(|| self.recent.prekeys_gone(mailbox, kind));
        let after = after.max(gone);
        // Ids rise, so everything committed comes before everything drafted.
        if let Some(entry) = self.store.prekey_after(mailbox, kind, after)? {
            return Ok(Some(entry));
        }
        let first = PrekeyId(after.0.saturating_add(1));
        let drafted =
            self.changes.prekeys.range((mailbox, kind, first)..=(mailbox, kind, PrekeyId(u64::MAX)));
        Ok(drafted.filter_map(|(_, row)| row.clone()).next())
    }

    pub(crate) fn put_prekey(&mut self, mailbox: MailboxId, entry: PrekeyEntry) {
        self.changes.prekeys.insert((mailbox, entry.kind, entry.id), Some(entry));
    }

    /// Takes the first prekey of a kind out. Only that one may go: whoever looks for the next does not look before it again.
    pub(crate) fn remove_prekey(&mut self, mailbox: MailboxId, kind: PrekeyKind, id: PrekeyId) {
        self.changes.prekeys.insert((mailbox, kind, id), None);
        self.prekeys_gone.insert((mailbox, kind), id);
    }

    pub(crate) fn token(&self, token: TokenHash) -> Result<Option<TokenRow>, StoreError> {
        match self.changes.tokens.get(&token) {
            Some(row) => Ok(*row),
            None => self.store.token(token),
        }
    }

    pub(crate) fn put_token(&mut self, token: TokenHash, row: Option<TokenRow>) {
        self.changes.tokens.insert(token, row);
    }

    pub(crate) fn close(&mut self, mailbox: MailboxId, when: Timestamp) {
        self.changes.closed.insert(mailbox, when);
    }

    pub(crate) fn due(
        &self,
        hour: Hour,
        limit: usize,
    ) -> Result<Vec<(Reminder, Vec<EnvelopeId>)>, StoreError> {
        self.store.due(self.recent.first_reminder(), hour, limit)
    }

    pub(crate) fn remind(&mut self, reminder: Reminder, ids: Vec<EnvelopeId>) {
        self.changes.reminders.insert(reminder, Some(ids));
    }

    pub(crate) fn forget_reminder(&mut self, reminder: Reminder) {
        self.changes.reminders.insert(reminder, None);
    }

    /// Takes the first of all reminders out: the next sweep does not look before it again.
    pub(crate) fn sweep_reminder(&mut self, reminder: Reminder) {
        self.forget_reminder(reminder);
        self.swept = Some(reminder);
    }
}

impl Removed {
    /// Notes an envelope, and returns what it took up.
    fn add(&mut self, envelope: &Stub) -> Usage {
        let one = Usage { envelopes: 1, bytes: envelope.bytes };
        if envelope.may_have_receipt {
            self.receipts.push(envelope.envelope);
        }
        let usage = self.by_contact.entry(envelope.contact).or_default();
        usage.envelopes += one.envelopes;
        usage.bytes += one.bytes;
        self.last = envelope.sequence;
        one
    }
}
