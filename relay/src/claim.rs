//! Store claims: the newest of each mailbox, moved by compare-and-swap.

use hermes_wire::{MailboxId, MoveClaim, Refusal, SignedClaim};

use crate::{
    relay::{Group, Halt, Outcome},
    store::Store,
};

impl<S: Store> Group<'_, S> {
    /// Moves a mailbox's claim on, if it is the one that its owner expects. A repeat after a lost answer is answered
    /// like the first.
    ///
    /// Another epoch is another store: the secrets of the prekeys on hand may have gone with the one before, and whoever
    /// was given such a key would write what nobody can read. So they are dropped.
    pub(crate) fn claim(&mut self, mailbox: MailboxId, asked: MoveClaim) -> Result<Outcome, Halt> {
        let mut row = self.draft.mailbox(mailbox)?.ok_or(Refusal::BadFrame)?;
        let next = asked.next.verify(mailbox).map_err(|_| Refusal::BadFrame)?;
        let held = row.claim.as_ref().map(SignedClaim::unverified).copied();
        if held == Some(next) {
            return Ok(Outcome::Claimed { claim: next, stock: None });
        }
        if !next.moves_on(asked.expected.as_ref()) {
            return Err(Refusal::BadFrame.into());
        }
        if held != asked.expected {
            return Ok(Outcome::ClaimRefused(row.claim));
        }
        let another = held.is_some_and(|held| held.epoch != next.epoch);
        if another {
            self.drop_all_prekeys(mailbox, &mut row)?;
        }
        let stock = another.then(|| row.prekey_stock());
        row.claim = Some(asked.next);
        self.draft.put_mailbox(mailbox, row);
        Ok(Outcome::Claimed { claim: next, stock })
    }
}
