//! Owners: making a mailbox, coming back to it, shutting contacts out.

use hermes_wire::{
    BlobId, ContactId, DropKey, MailboxId, Refusal, Timestamp, VERSION,
    limits::REGISTRATION_TOKEN_CHARS,
    mailbox::{PrekeyStock, Register, Registered},
    prekey::{PrekeyId, PrekeyKind},
};
use sha2::{Digest, Sha256};

use crate::{
    limits::{BUSY_RETRY, FULL_RETRY, REVOCATIONS},
    relay::{Group, Halt, Outcome, Registration, millis},
    store::{About, Hour, Mailbox, Matter, Store, StoreError, TokenHash, TokenRow, Usage},
};

impl TokenHash {
    /// The hash of a token as its holder types it.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.trim().as_bytes()).into())
    }
}

impl Mailbox {
    /// Prekeys on hand, for their owner.
    pub(crate) fn prekey_stock(&self) -> Vec<PrekeyStock> {
        PrekeyKind::ALL.into_iter().zip(self.stock).map(|(kind, count)| PrekeyStock { kind, count }).collect()
    }
}

impl<S: Store> Group<'_, S> {
    pub(crate) fn register(&mut self, mailbox: MailboxId, register: &Register) -> Result<Outcome, Halt> {
        if register.version != VERSION {
            return Err(Refusal::Version { min: VERSION, max: VERSION }.into());
        }
        let row = match self.draft.mailbox(mailbox)? {
            Some(known) => Mailbox { drop_key: register.drop_key, instance: register.instance, ..known },
            None => self.admit(register)?,
        };
        let registered = Registered {
            relay_time: self.now,
            next_prekey_id: PrekeyId(row.last_prekey.0.saturating_add(1)),
            stock: row.prekey_stock(),
            max_envelope: self.policy.limits.envelope_bytes,
            head: row.head,
            claim: row.claim.clone(),
            // Who is connected is not the rules' business.
            replaced: false,
        };
        let acked = row.acked;
        self.draft.put_mailbox(mailbox, row);
        Ok(Outcome::Registered { registered, acked })
    }

    /// A new mailbox, if this relay takes one.
    fn admit(&mut self, register: &Register) -> Result<Mailbox, Halt> {
        let spent = match self.policy.registration {
            Registration::Open => None,
            Registration::Closed => return Err(Refusal::RegistrationRefused.into()),
            Registration::Token => Some(self.spend(register.registration_token.as_deref())?),
        };
        if self.mailboxes >= self.policy.limits.mailboxes {
            return Err(Refusal::Busy { retry_ms: millis(BUSY_RETRY) }.into());
        }
        if let Some((token, row)) = spent {
            self.draft.put_token(token, Some(row));
        }
        self.mailboxes += 1;
        Ok(Mailbox {
            drop_key: register.drop_key,
            instance: register.instance,
            head: Default::default(),
            acked: Default::default(),
            stored: Usage::default(),
            last_prekey: PrekeyId::default(),
            stock: Default::default(),
            revoked: 0,
            reminded: Hour::default(),
            fetched: 0,
            claim: None,
            blobs: Usage::default(),
        })
    }

    /// What a token's row becomes when it is used once more.
    fn spend(&self, token: Option<&str>) -> Result<(TokenHash, TokenRow), Halt> {
        let token = token.filter(|token| token.len() <= REGISTRATION_TOKEN_CHARS);
        let token = TokenHash::of(token.ok_or(Refusal::RegistrationRefused)?);
        let row = self.draft.token(token)?.filter(|row| row.uses > 0 && self.now <= row.expiry);
        let row = row.ok_or(Refusal::RegistrationRefused)?;
        Ok((token, TokenRow { uses: row.uses - 1, ..row }))
    }

    pub(crate) fn add_token(&mut self, token: TokenHash, row: TokenRow) -> Result<Outcome, Halt> {
        if self.draft.token(token)?.is_none() {
            self.draft.put_token(token, Some(row));
            self.remind_after(row.expiry, About::Token(token));
        }
        Ok(Outcome::TokenAdded)
    }

    /// Leaves a token without uses. It stays on record until it expires, so that no copy of it comes back to life.
    pub(crate) fn revoke_token(&mut self, token: TokenHash) -> Result<Outcome, Halt> {
        let Some(row) = self.draft.token(token)? else { return Ok(Outcome::Absent) };
        self.draft.put_token(token, Some(TokenRow { uses: 0, ..row }));
        Ok(Outcome::TokenRevoked)
    }

    pub(crate) fn forget_token(&mut self, token: TokenHash) -> Result<(), StoreError> {
        if self.draft.token(token)?.is_some_and(|row| row.expiry < self.now) {
            self.draft.put_token(token, None);
        }
        Ok(())
    }

    /// Shuts a mailbox for good: its owner is refused, `drop_key` (whose secret nobody has) verifies no depositor's
    /// token, and what waits is deleted, as are its owner's blobs. Its row stays, so that nobody can make a mailbox of
    /// this name again.
    pub(crate) fn close_mailbox(
        &mut self,
        mailbox: MailboxId,
        blobs: &[BlobId],
        drop_key: DropKey,
    ) -> Result<Outcome, Halt> {
        if self.draft.mailbox(mailbox)?.is_none() {
            return Ok(Outcome::Absent);
        }
        for blob in blobs {
            self.forget_blob_of(mailbox, *blob)?;
        }
        let Some(mut row) = self.draft.mailbox(mailbox)? else { return Ok(Outcome::Absent) };
        self.draft.close(mailbox, self.now);
        self.closed.insert(mailbox);
        self.drop_all_prekeys(mailbox, &mut row)?;
        let after = row.acked;
        let closed = Mailbox { drop_key, acked: row.head, ..row };
        self.remove(mailbox, closed, after, |_| true)?;
        Ok(Outcome::MailboxClosed)
    }

    pub(crate) fn revoke(
        &mut self,
        mailbox: MailboxId,
        contact: ContactId,
        until: Timestamp,
    ) -> Result<Outcome, Halt> {
        let mut owner = self.draft.mailbox(mailbox)?.ok_or(Refusal::BadFrame)?;
        let mut row = self.draft.contact(mailbox, contact)?;
        if row.revoked.is_none() {
            if owner.revoked >= REVOCATIONS {
                return Err(Refusal::Busy { retry_ms: millis(FULL_RETRY) }.into());
            }
            owner.revoked += 1;
            self.draft.put_mailbox(mailbox, owner);
            // One reminder a revocation; when it is due and the end was put off, it is set anew.
            self.remind_after(until, About::Mailbox(mailbox, Matter::Contact(contact)));
        }
        row.revoked = Some(row.revoked.map_or(until, |earlier| earlier.max(until)));
        self.draft.put_contact(mailbox, contact, row);
        Ok(Outcome::Revoked(contact))
    }
}
