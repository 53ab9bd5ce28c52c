//! Removing a contact, with its history or without.
//!
//! What is left is a record that nobody sees: other rows name the chat, and whoever is paired with again under the same
//! identity finds its history, and goes on with its numbers. A history is deleted some rows at a time, after the contact.

use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::Lookup,
    effect::{CommandError, Effect, Reply},
    group::{AskRecord, OfferRow},
    id::ChatId,
    input::History,
    limits::{FORGET_AT_ONCE, SWEEP_ROWS},
    row::{
        ContactRecord, EarlyCountRow, FailureReason, GapRecord, MarkRecord, MessageRecord, Renewal,
        SentRecord,
    },
    rows::{
        ChatCountersKey, ChatRow, ExpiryKey, ExpiryRow, NameRow, Place, RouteRow, StoreResult, UsedInviteKey,
        UsedInviteRow,
    },
    store::{Range, View},
    trust::ChangePolicy,
    turn::Turn,
};

/// What became of a contact that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    pub(crate) at: Timestamp,
    /// Whether its history is still read under its name.
    pub(crate) named: bool,
}

/// Stands for all of a chat where a message's number would: those begin at 1.
const WHOLE_CHAT: u64 = 0;

impl<V: View> Turn<'_, V> {
    /// Ends all that there is with a contact.
    pub(crate) fn remove(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        history: History,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        for route in self.routes_of(chat)? {
            self.revoke(route)?;
            self.delete::<RouteRow>(&route);
            self.delete::<UsedInviteRow>(&UsedInviteKey(route));
        }
        self.revoke_key_packages(chat, &mut contact)?;
        self.forget_askings_of(chat)?;
        if let Some(change) = contact.trust.change.take() {
            self.drop_change(chat, &change)?;
        }
        self.drop_sessions(&contact)?;
        (contact.active, contact.retired) = (None, Vec::new());
        self.fail_outbox(chat, &FailureReason::ContactRemoved)?;
        for (key, _) in self.scan::<OfferRow>(&Range::prefix(&chat.0), SWEEP_ROWS)? {
            self.delete::<OfferRow>(&key);
        }
        self.forget_rows::<AskRecord>(chat)?;
        self.moment.forget(chat);
        self.receipts.remove(&chat);
        contact.fetching = None;
        contact.answered = false;
        contact.blocked = None;
        contact.resend = None;
        contact.unopened = Vec::new();
        contact.told = Vec::new();
        contact.renewal = Renewal::default();
        // Whoever comes back under this identity is a new acquaintance.
        contact.trust.policy = ChangePolicy::Stop;
        self.no_longer_missing(chat, history)?;
        contact.removed = Some(Removed { at: self.now, named: history == History::Kept });
        self.counters.contacts = self.counters.contacts.saturating_sub(1);
        self.put(&chat, &contact);
        if history == History::Deleted {
            self.delete::<NameRow>(&self.account.lookup(Lookup::Name, &[contact.name.as_bytes()]));
            self.erase_later(chat);
        }
        Ok(Ok(Reply::Contact(chat)))
    }

    /// What a removed contact wrote and did not arrive, no list shows any more. With its history, it is forgotten for good.
    fn no_longer_missing(&mut self, chat: ChatId, history: History) -> StoreResult<(), V> {
        let mut counters = self.chat_counters(chat)?;
        self.counters.missing = self.counters.missing.saturating_sub(counters.received.missing);
        if history == History::Deleted {
            counters.received = counters.received.forget_gaps();
            counters.early = 0;
            self.put(&ChatCountersKey(chat), &ChatRow(counters));
        }
        Ok(())
    }

    /// A contact that was removed is paired with again.
    pub(crate) fn revive(&mut self, chat: ChatId, contact: &mut ContactRecord) -> StoreResult<(), V> {
        let Some(removed) = contact.removed.take() else { return Ok(()) };
        if !removed.named {
            // What is written from here on must not be deleted with the rest.
            while self.erase_some(chat)? {}
            for (key, _) in self.scan::<ExpiryRow>(&Range::all(), SWEEP_ROWS)? {
                if key.1 == (Place { chat, number: WHOLE_CHAT }) {
                    self.delete::<ExpiryRow>(&key);
                }
            }
            contact.name = self.claim_name(chat, &contact.name.clone())?;
        }
        let missing = self.chat_counters(chat)?.received.missing;
        self.counters.missing = self.counters.missing.saturating_add(missing);
        contact.trust.verified = None;
        self.counters.contacts = self.counters.contacts.saturating_add(1);
        Ok(())
    }

    fn erase_later(&mut self, chat: ChatId) {
        self.put(&ExpiryKey(self.now.0, Place { chat, number: WHOLE_CHAT }), &ExpiryRow(()));
        self.effects.push(Effect::Due(self.now));
    }

    /// Whether an expiry is of a whole chat, whose next rows are deleted then.
    pub(crate) fn erase_chat(&mut self, place: Place) -> StoreResult<bool, V> {
        if place.number != WHOLE_CHAT {
            return Ok(false);
        }
        if self.erase_some(place.chat)? {
            self.erase_later(place.chat);
        }
        Ok(true)
    }

    /// Deletes some rows of a history; says whether there may be more.
    fn erase_some(&mut self, chat: ChatId) -> StoreResult<bool, V> {
        let messages = self.scan::<MessageRecord>(&Range::prefix(&chat.0), FORGET_AT_ONCE)?;
        for (place, message) in &messages {
            self.forget_message(*place, message)?;
        }
        let most = [
            messages.len(),
            self.forget_rows::<SentRecord>(chat)?,
            self.forget_rows::<GapRecord>(chat)?,
            self.forget_rows::<MarkRecord>(chat)?,
            self.forget_rows::<EarlyCountRow>(chat)?,
        ];
        Ok(most.contains(&FORGET_AT_ONCE))
    }
}
