//! Prekeys: added by their owner, handed out to depositors, one-time ones once.

use hermes_wire::{
    ContactId, FetchId, MailboxId, Refusal, Timestamp,
    limits::{PREKEY_ENTRY_BYTES, PREKEYS_PER_FRAME, PREKEYS_PER_KIND},
    prekey::{PrekeyEntry, PrekeyId, PrekeyKind, SealedBundle},
    refusal::FullScope,
    token::Use,
};

use crate::{
    entry::Entry,
    limits::{BUSY_RETRY, FETCH_MEMORY, FULL_RETRY, INVITE_USES, REMEMBERED_FETCHES},
    rate::Bucket,
    relay::{Group, Halt, Outcome, millis},
    store::{About, Contact, Fetches, Hour, Mailbox, Matter, Reminder, Store, StoreError},
};

impl<S: Store> Group<'_, S> {
    /// Adds prekeys. A one-time key joins the others of its kind, any other replaces its predecessor. A repeat after a
    /// lost answer is harmless: an id at or below the last accepted one is never taken again.
    pub(crate) fn put_prekeys(
        &mut self,
        mailbox: MailboxId,
        entries: Vec<PrekeyEntry>,
    ) -> Result<Outcome, Halt> {
        let mut row = self.draft.mailbox(mailbox)?.ok_or(Refusal::BadFrame)?;
        let rising = entries.iter().zip(entries.iter().skip(1)).all(|(one, next)| one.id < next.id);
        let sizes = entries.iter().all(|entry| entry.sealed.len() <= PREKEY_ENTRY_BYTES);
        if entries.is_empty() || entries.len() > PREKEYS_PER_FRAME || !rising || !sizes {
            return Err(Refusal::BadFrame.into());
        }
        let last = row.last_prekey;
        let new: Vec<PrekeyEntry> = entries.into_iter().filter(|entry| entry.id > last).collect();
        let mut stock = row.stock;
        for entry in new {
            row.last_prekey = entry.id;
            if entry.kind.is_one_time() {
                // An owner that knows an old stock sends more than there is room for. Its surplus is never given out,
                // which costs nothing; closing the connection would have it send the same again for ever.
                if *on_hand(&mut stock, entry.kind) as usize >= PREKEYS_PER_KIND {
                    continue;
                }
                *on_hand(&mut stock, entry.kind) += 1;
            } else {
                *on_hand(&mut stock, entry.kind) = 1;
                if let Some(old) = self.draft.prekey_after(mailbox, entry.kind, PrekeyId(0))? {
                    self.draft.remove_prekey(mailbox, old.kind, old.id);
                }
            }
            self.draft.put_prekey(mailbox, entry);
        }
        let stored = row.last_prekey;
        self.draft.put_mailbox(mailbox, Mailbox { stock, ..row });
        Ok(Outcome::PrekeysStored(stored))
    }

    /// Deletes prekeys that nobody can answer for. What was handed out before stays handed out.
    pub(crate) fn drop_prekeys(&mut self, mailbox: MailboxId, below: PrekeyId) -> Result<Outcome, Halt> {
        let mut row = self.draft.mailbox(mailbox)?.ok_or(Refusal::BadFrame)?;
        for kind in PrekeyKind::ALL {
            while let Some(entry) = self.draft.prekey_after(mailbox, kind, PrekeyId(0))? {
                if entry.id >= below {
                    break;
                }
                self.draft.remove_prekey(mailbox, kind, entry.id);
                let count = on_hand(&mut row.stock, kind);
                *count = count.saturating_sub(1);
            }
        }
        self.draft.put_mailbox(mailbox, row);
        Ok(Outcome::PrekeysDropped)
    }

    /// Drops every prekey on hand, so that none is given out until their owner has put new ones.
    pub(crate) fn drop_all_prekeys(
        &mut self,
        mailbox: MailboxId,
        row: &mut Mailbox,
    ) -> Result<(), StoreError> {
        for kind in PrekeyKind::ALL {
            let mut after = PrekeyId(0);
            while let Some(entry) = self.draft.prekey_after(mailbox, kind, after)? {
                self.draft.remove_prekey(mailbox, kind, entry.id);
                after = entry.id;
            }
            *on_hand(&mut row.stock, kind) = 0;
        }
        Ok(())
    }

    /// Hands out a bundle. A repeat of a fetch gets the same one again, and uses nothing up.
    pub(crate) fn fetch_prekeys(&mut self, entry: &Entry, fetch: FetchId) -> Result<Outcome, Halt> {
        let (mailbox, contact) = (entry.mailbox(), entry.contact());
        let from = self.draft.contact(mailbox, contact)?;
        self.permit(entry, Use::FetchPrekeys, &from)?;
        // A repeat uses nothing up, but is work all the same.
        self.rates.take(Bucket::Deposits(mailbox, contact), self.policy.limits.deposits, self.now)?;
        if let Some(bundle) = self.draft.fetch(mailbox, contact, fetch)? {
            return Ok(Outcome::Bundle { bundle, stock: None });
        }
        let used = from.fetches.map_or(0, |fetches| fetches.count);
        if entry.token().uses.is_some_and(|uses| used >= uses.min(INVITE_USES)) {
            return Err(Refusal::InviteUsed.into());
        }
        self.rates.take(Bucket::Fetches(mailbox, contact), self.policy.limits.fetches, self.now)?;
        let mut row = self.draft.mailbox(mailbox)?.ok_or(Refusal::NoEntry)?;
        if row.fetched >= REMEMBERED_FETCHES {
            return Err(
                Refusal::MailboxFull { scope: FullScope::Mailbox, retry_ms: millis(FULL_RETRY) }.into()
            );
        }
        let before = row.stock;
        let bundle = self.take_bundle(mailbox, &mut row)?;
        row.fetched += 1;
        let stock = (row.stock != before).then(|| row.prekey_stock());
        self.draft.put_mailbox(mailbox, row);
        self.remember_fetch(entry, fetch, from, bundle.clone());
        Ok(Outcome::Bundle { bundle, stock })
    }

    /// Picks the prekeys. Those every bundle must have are looked for first: a mailbox without them uses none up.
    fn take_bundle(&mut self, mailbox: MailboxId, row: &mut Mailbox) -> Result<SealedBundle, Halt> {
        let missing = Refusal::Busy { retry_ms: millis(BUSY_RETRY) };
        let signed = self.oldest(mailbox, PrekeyKind::Signed)?.ok_or(missing.clone())?;
        let ff = self.oldest(mailbox, PrekeyKind::SignedFf)?.ok_or(missing.clone())?;
        let last_resort = self.oldest(mailbox, PrekeyKind::LastResortKem)?;
        let kem = self.oldest(mailbox, PrekeyKind::OneTimeKem)?.or(last_resort).ok_or(missing)?;
        self.use_up(mailbox, row, &kem)?;
        let one_time = self.oldest(mailbox, PrekeyKind::OneTime)?;
        if let Some(entry) = &one_time {
            self.use_up(mailbox, row, entry)?;
        }
        Ok(SealedBundle { signed, one_time, kem, ff })
    }

    /// The prekey of a kind with the lowest id that has not expired.
    fn oldest(&self, mailbox: MailboxId, kind: PrekeyKind) -> Result<Option<PrekeyEntry>, StoreError> {
        let mut after = PrekeyId(0);
        while let Some(entry) = self.draft.prekey_after(mailbox, kind, after)? {
            if self.now <= entry.expiry {
                return Ok(Some(entry));
            }
            after = entry.id;
        }
        Ok(None)
    }

    /// Deletes a one-time prekey, and those before it, which have expired.
    fn use_up(
        &mut self,
        mailbox: MailboxId,
        row: &mut Mailbox,
        entry: &PrekeyEntry,
    ) -> Result<(), StoreError> {
        if !entry.kind.is_one_time() {
            return Ok(());
        }
        while let Some(first) = self.draft.prekey_after(mailbox, entry.kind, PrekeyId(0))? {
            if first.id > entry.id {
                break;
            }
            self.draft.remove_prekey(mailbox, first.kind, first.id);
            let count = on_hand(&mut row.stock, first.kind);
            *count = count.saturating_sub(1);
        }
        Ok(())
    }

    fn remember_fetch(&mut self, entry: &Entry, fetch: FetchId, from: Contact, bundle: SealedBundle) {
        let (mailbox, contact) = (entry.mailbox(), entry.contact());
        let expiry = entry.token().expiry;
        self.draft.put_fetch(mailbox, contact, fetch, Some(bundle));
        let until = match entry.token().uses {
            Some(_) => expiry,
            None => expiry.min(self.now.after(FETCH_MEMORY)),
        };
        self.remind_after(until, About::Mailbox(mailbox, Matter::Fetch(contact, fetch)));
        if entry.token().uses.is_some() {
            self.count_use(mailbox, contact, from, expiry);
        }
    }

    fn count_use(&mut self, mailbox: MailboxId, contact: ContactId, from: Contact, expiry: Timestamp) {
        let count = from.fetches.map_or(0, |fetches| fetches.count).saturating_add(1);
        let until = from.fetches.map_or(expiry, |fetches| fetches.until.max(expiry));
        let fetches = Some(Fetches { count, until });
        self.draft.put_contact(mailbox, contact, Contact { fetches, ..from });
        self.remind_after(until, About::Mailbox(mailbox, Matter::Contact(contact)));
    }

    /// Sees to it that something is looked at when `until` is over.
    pub(crate) fn remind_after(&mut self, until: Timestamp, about: About) {
        let due = Hour::after(until, std::time::Duration::from_millis(1));
        self.draft.remind(Reminder { due, about }, Vec::new());
    }
}

/// The count of one kind in a mailbox's stock, which stands in the order of [`PrekeyKind::ALL`].
fn on_hand(stock: &mut [u32; PrekeyKind::ALL.len()], kind: PrekeyKind) -> &mut u32 {
    let [signed, one_time, one_time_kem, last_resort_kem, signed_ff] = stock;
    match kind {
        PrekeyKind::Signed => signed,
        PrekeyKind::OneTime => one_time,
        PrekeyKind::OneTimeKem => one_time_kem,
        PrekeyKind::LastResortKem => last_resort_kem,
        PrekeyKind::SignedFf => signed_ff,
    }
}
