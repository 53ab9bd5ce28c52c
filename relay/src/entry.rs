//! Letting depositors in: a drop token against the mailbox's drop key.

use hermes_wire::{
    ContactId, DropKey, MailboxId, Refusal, Timestamp, VERSION,
    drop::Open,
    token::{DropToken, SignedDropToken, TokenError, Use},
};

use crate::store::{Store, StoreError};

/// Stands in for the key of a mailbox that does not exist, so that a stranger cannot measure the difference: the
/// Ed25519 base point (RFC 8032, section 5.1), a valid key. Its secret scalar is one, so anyone can sign with it: a
/// signature that it verifies lets nobody in.
const NO_KEY: DropKey = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    DropKey(point)
};

/// Permission to write to one mailbox, made only by checking a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    mailbox: MailboxId,
    token: DropToken,
}

impl Entry {
    /// Where it lets in.
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// Whom it lets in.
    pub fn contact(&self) -> ContactId {
        self.token.contact
    }

    /// One without a check, for tests of what comes behind it.
    #[cfg(test)]
    pub(crate) fn unchecked(mailbox: MailboxId, token: DropToken) -> Self {
        Self { mailbox, token }
    }

    pub(crate) fn token(&self) -> &DropToken {
        &self.token
    }

    /// Checks the permission again at the moment it is used: the token may have expired since, or its contact may have
    /// been revoked.
    pub(crate) fn permits(
        &self,
        usage: Use,
        now: Timestamp,
        revoked: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        if revoked.is_some_and(|until| now <= until) {
            return Err(Refusal::NoEntry);
        }
        self.token.permits(usage, now).map_err(|error| match error {
            TokenError::Invalid => Refusal::NoEntry,
            TokenError::Expired => Refusal::TokenExpired,
        })
    }
}

/// Checks a token. Whether the mailbox is absent, the signature wrong or the contact revoked, the answer is
/// [`Refusal::NoEntry`] after two reads and one signature check.
pub fn open<S: Store>(store: &S, now: Timestamp, open: &Open) -> Result<Result<Entry, Refusal>, StoreError> {
    if open.version != VERSION {
        return Ok(Err(Refusal::Version { min: VERSION, max: VERSION }));
    }
    let drop_key = store.mailbox(open.mailbox)?.map(|row| row.drop_key);
    let (contact, token) = verify(&open.token, open.mailbox, drop_key);
    let revoked = store.contact(open.mailbox, contact)?.and_then(|row| row.revoked);
    let Some(token) = token else { return Ok(Err(Refusal::NoEntry)) };
    let entry = Entry { mailbox: open.mailbox, token };
    Ok(entry.permits(Use::Deposit, now, revoked).map(|()| entry))
}

/// Checks a token against the key of a mailbox, which takes as long where there is no such mailbox. The contact is the one whose
/// row is to be read next, whatever came of it.
pub(crate) fn verify(
    token: &SignedDropToken,
    mailbox: MailboxId,
    drop_key: Option<DropKey>,
) -> (ContactId, Option<DropToken>) {
    let verified = token.verify(mailbox, drop_key.unwrap_or(NO_KEY)).ok();
    let contact = verified.as_ref().map_or(ContactId([0; 16]), |token| token.contact);
    (contact, verified.filter(|_| drop_key.is_some()))
}
