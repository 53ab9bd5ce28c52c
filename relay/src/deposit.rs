//! Deposits: idempotent, bounded per contact and per mailbox, numbered without gaps in the order of the commit.

use hermes_wire::{
    Advice, EnvelopeId, MailboxId, Refusal, Sequence,
    drop::Deposit,
    limits::EPHEMERAL_BYTES,
    mailbox::{Delivered, Passing},
    refusal::FullScope,
    token::{Permission, Use},
};
use sha2::{Digest, Sha256};

use crate::{
    entry::Entry,
    limits::{FULL_RETRY, INVITE_PERCENT, RESERVED_PERCENT},
    rate::Bucket,
    relay::{Group, Halt, Outcome, millis},
    store::{About, Contact, Hour, Mailbox, Matter, Receipt, Reminder, Store, Usage},
};

impl<S: Store> Group<'_, S> {
    pub(crate) fn deposit(&mut self, entry: &Entry, deposits: Vec<Deposit>) -> Result<Outcome, Halt> {
        let mut answers = Vec::with_capacity(deposits.len());
        for deposit in deposits {
            let envelope = deposit.envelope;
            let answer = match self.deposit_one(entry, deposit) {
                Ok(()) => Ok(()),
                Err(Halt::Refused(refusal)) => Err(refusal),
                Err(Halt::Store(error)) => return Err(error.into()),
            };
            let wait =
                answer.as_ref().is_err_and(|refusal| matches!(refusal.advice(), Advice::RetryAfter(_)));
            answers.push((envelope, answer));
            if wait {
                break;
            }
        }
        Ok(Outcome::Deposited(answers))
    }

    fn deposit_one(&mut self, entry: &Entry, deposit: Deposit) -> Result<(), Halt> {
        let (mailbox, contact) = (entry.mailbox(), entry.contact());
        let limits = &self.policy.limits;
        let from = self.draft.contact(mailbox, contact)?;
        self.permit(entry, Use::Deposit, &from)?;
        if deposit.body.len() > limits.envelope_bytes as usize {
            return Err(Refusal::TooLarge { max: limits.envelope_bytes }.into());
        }
        // Before the body is hashed, and for repeats too: all of a depositor's work is paid for.
        self.rates.take(Bucket::Deposits(mailbox, contact), limits.deposits, self.now)?;
        let receipt = Receipt { body: Sha256::digest(&deposit.body).into() };
        if self.is_repeat(mailbox, deposit.envelope, &receipt)? {
            return Ok(());
        }
        let to = self.draft.mailbox(mailbox)?.ok_or(Refusal::NoEntry)?;
        let size = deposit.body.len() as u64;
        let whole = Usage { envelopes: limits.mailbox_envelopes, bytes: limits.mailbox_bytes };
        // Who may begin a conversation gets through when others have filled the mailbox.
        let open = match entry.token().permission {
            Permission::DepositAndPrekeys => whole,
            Permission::Deposit | Permission::Channel => whole.percent(100 - RESERVED_PERCENT),
        };
        let invited = entry.token().uses.is_some();
        let most = if invited { INVITE_PERCENT } else { u64::MAX };
        let share = whole.percent(limits.contact_percent.min(most));
        let to_stored = to.stored.plus(size).within(open, FullScope::Mailbox)?;
        let from_stored = from.stored.plus(size).within(share, FullScope::Contact)?;

        let sequence = Sequence(to.head.0.saturating_add(1));
        self.draft.put_receipt(mailbox, deposit.envelope, receipt);
        self.draft.put_contact(mailbox, contact, Contact { stored: from_stored, ..from });
        let reminded = self.remind_of_expiry(mailbox, &to);
        self.draft.put_mailbox(mailbox, Mailbox { head: sequence, stored: to_stored, reminded, ..to });
        self.draft.put_envelope(
            mailbox,
            Delivered { sequence, envelope: deposit.envelope, contact, stored: self.now, body: deposit.body },
        );
        Ok(())
    }

    /// Lets an ephemeral envelope through. It takes no place and leaves no row; what it costs is counted as a deposit is.
    pub(crate) fn pass(&mut self, entry: &Entry, deposit: Deposit) -> Result<Outcome, Halt> {
        let (mailbox, contact) = (entry.mailbox(), entry.contact());
        let from = self.draft.contact(mailbox, contact)?;
        self.permit(entry, Use::Deposit, &from)?;
        if deposit.body.len() > EPHEMERAL_BYTES {
            return Err(Refusal::TooLarge { max: EPHEMERAL_BYTES as u32 }.into());
        }
        self.rates.take(Bucket::Deposits(mailbox, contact), self.policy.limits.deposits, self.now)?;
        Ok(Outcome::Passed(Passing { contact, body: deposit.body }))
    }

    /// Whether this very deposit was made before.
    fn is_repeat(&self, mailbox: MailboxId, envelope: EnvelopeId, receipt: &Receipt) -> Result<bool, Halt> {
        match self.draft.receipt(mailbox, envelope)? {
            Some(earlier) if earlier == *receipt => Ok(true),
            Some(_) => Err(Refusal::IdConflict.into()),
            None => Ok(false),
        }
    }

    /// Sees to it that the envelope is looked at when its time is over; one reminder an hour serves all of a mailbox.
    pub(crate) fn remind_of_expiry(&mut self, mailbox: MailboxId, to: &Mailbox) -> Hour {
        let due = Hour::after(self.now, self.policy.limits.envelope_ttl);
        if due <= to.reminded {
            return to.reminded;
        }
        let about = About::Mailbox(mailbox, Matter::Envelopes);
        self.draft.remind(Reminder { due, about }, Vec::new());
        due
    }
}

impl Usage {
    /// With one more of that size.
    pub(crate) fn plus(self, bytes: u64) -> Self {
        Self { envelopes: self.envelopes.saturating_add(1), bytes: self.bytes.saturating_add(bytes) }
    }

    /// Rounded up: a share of nothing would shut everyone out of a small mailbox.
    pub(crate) fn percent(self, percent: u64) -> Self {
        let part = |whole: u64| {
            (u128::from(whole) * u128::from(percent)).div_ceil(100).try_into().unwrap_or(u64::MAX)
        };
        Self { envelopes: part(self.envelopes), bytes: part(self.bytes) }
    }

    pub(crate) fn within(self, most: Self, scope: FullScope) -> Result<Self, Refusal> {
        if self.envelopes > most.envelopes || self.bytes > most.bytes {
            return Err(Refusal::MailboxFull { scope, retry_ms: millis(FULL_RETRY) });
        }
        Ok(self)
    }

    /// Less what was taken out.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            envelopes: self.envelopes.saturating_sub(other.envelopes),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}
