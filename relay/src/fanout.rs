//! Fan-out: one copy for each member's mailbox, each encrypted anew, all in the commit of the post itself.
//!
//! A mailbox that is full holds nobody up: its owner is told once that something was missed.

use hermes_wire::{
    ContactId, MailboxId, Refusal, Sequence, Timestamp,
    channel::{Copy, CopyText, Roster, RosterEntry, SealNonce},
    mailbox::Delivered,
    refusal::FullScope,
    token::{DropToken, Use},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_bytes::ByteBuf;

use crate::{
    entry,
    limits::RESERVED_PERCENT,
    relay::{Group, Halt},
    store::{Contact, Mailbox, Store, StoreError, Usage},
};

/// Randomness for the nonces of one request, drawn by whoever makes the request: the rules have no random source of
/// their own, so that the same requests have the same outcomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

/// Says nothing: a seed gives away which nonces were drawn together.
impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Nonces from a seed, unrelated to one another for whoever does not have it.
pub(crate) struct Nonces(StdRng);

impl Nonces {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(StdRng::from_seed(seed.0))
    }

    pub(crate) fn next(&mut self) -> SealNonce {
        let mut nonce = SealNonce::default();
        self.0.fill_bytes(&mut nonce);
        nonce
    }
}

/// How much of a mailbox a copy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// What is not reserved.
    Message,
    /// The reserve as well: without it the member can read nothing that follows.
    Commit,
}

impl<S: Store> Group<'_, S> {
    /// Copies to everyone in the roster who still lets the channel in, and returns whose mailboxes have changed. The
    /// others are passed over in silence: whom the owner of a mailbox shuts out is nobody else's business.
    pub(crate) fn fan_out(
        &mut self,
        roster: &Roster,
        copy: &Copy,
        weight: Weight,
        nonces: &mut Nonces,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let text = copy.text();
        let missed = Copy::Missed { channel: copy.channel(), sequence: copy.sequence() }.text();
        let mut reached = Vec::with_capacity(roster.len());
        for (_, entry) in roster.iter() {
            let Some(place) = self.place(entry)? else { continue };
            let body = text.seal(&entry.key, entry.mailbox, &nonces.next());
            if self.put(entry, &place, &text, body, weight)? {
                reached.push(entry.mailbox);
            } else if !place.from.missed {
                let body = missed.seal(&entry.key, entry.mailbox, &nonces.next());
                let from = Contact { missed: true, ..place.from.clone() };
                let place = Place { from, ..place };
                if self.put(entry, &place, &missed, body, Weight::Commit)? {
                    reached.push(entry.mailbox);
                }
            }
        }
        Ok(reached)
    }

    /// Where a member's copies go, if its owner still wants them.
    fn place(&self, entry: &RosterEntry) -> Result<Option<Place>, StoreError> {
        let Ok(token) = entry.token.unverified() else { return Ok(None) };
        if self.closed.contains(&entry.mailbox) {
            return Ok(None);
        }
        let Some(to) = self.draft.mailbox(entry.mailbox)? else { return Ok(None) };
        let from = self.draft.contact(entry.mailbox, token.contact)?;
        let place = Place { contact: token.contact, to, from };
        Ok(lets_in(&token, &place.from, self.now).then_some(place))
    }

    /// Puts an envelope into a member's mailbox, if there is room for it.
    fn put(
        &mut self,
        entry: &RosterEntry,
        place: &Place,
        text: &CopyText,
        body: Vec<u8>,
        weight: Weight,
    ) -> Result<bool, StoreError> {
        let Some((to_stored, from_stored)) = self.room(place, body.len() as u64, weight) else {
            return Ok(false);
        };
        let (mailbox, contact) = (entry.mailbox, place.contact);
        let sequence = Sequence(place.to.head.0.saturating_add(1));
        let reminded = self.remind_of_expiry(mailbox, &place.to);
        let to = Mailbox { head: sequence, stored: to_stored, reminded, ..place.to.clone() };
        self.draft.put_mailbox(mailbox, to);
        self.draft.put_contact(mailbox, contact, Contact { stored: from_stored, ..place.from.clone() });
        let envelope = text.envelope(&entry.key);
        let body = ByteBuf::from(body);
        self.draft.put_copy(mailbox, Delivered { sequence, envelope, contact, stored: self.now, body });
        Ok(true)
    }

    /// What the mailbox and the contact have waiting with one more of that size, if that is not too much.
    fn room(&self, place: &Place, size: u64, weight: Weight) -> Option<(Usage, Usage)> {
        let limits = &self.policy.limits;
        let whole = Usage { envelopes: limits.mailbox_envelopes, bytes: limits.mailbox_bytes };
        let (most, share) = match weight {
            Weight::Message => (whole.percent(100 - RESERVED_PERCENT), limits.contact_percent),
            Weight::Commit => (whole, limits.contact_percent.saturating_add(RESERVED_PERCENT).min(100)),
        };
        let to = place.to.stored.plus(size).within(most, FullScope::Mailbox).ok()?;
        let from = place.from.stored.plus(size).within(whole.percent(share), FullScope::Contact).ok()?;
        Some((to, from))
    }

    /// Whether the owner of a mailbox has let the channel in, and under which pseudonym. Whatever the reason is that it has not,
    /// the work is the same.
    pub(crate) fn check_entry(&self, entry: &RosterEntry) -> Result<ContactId, Halt> {
        let drop_key = self.draft.mailbox(entry.mailbox)?.map(|to| to.drop_key);
        let (contact, token) = entry::verify(&entry.token, entry.mailbox, drop_key);
        let from = self.draft.contact(entry.mailbox, contact)?;
        let lets_in = token.is_some_and(|token| lets_in(&token, &from, self.now));
        if lets_in { Ok(contact) } else { Err(Refusal::RosterMismatch.into()) }
    }
}

/// Whether a mailbox here lets an entry's channel in: what a create must show before it costs more than this, which is two reads and
/// one signature check. Who was shut out hears of it as early as somebody whose mailbox never was.
pub fn vouched<S: Store>(store: &S, now: Timestamp, entry: &RosterEntry) -> Result<bool, StoreError> {
    let drop_key = store.mailbox(entry.mailbox)?.map(|to| to.drop_key);
    let (contact, token) = entry::verify(&entry.token, entry.mailbox, drop_key);
    let from = store.contact(entry.mailbox, contact)?.unwrap_or_default();
    Ok(token.is_some_and(|token| lets_in(&token, &from, now)))
}

fn lets_in(token: &DropToken, from: &Contact, now: Timestamp) -> bool {
    let revoked = from.revoked.is_some_and(|until| now <= until);
    !revoked && token.permits(Use::Channel, now).is_ok()
}

/// A member's mailbox, and what waits there from the channel.
struct Place {
    contact: ContactId,
    to: Mailbox,
    from: Contact,
}
