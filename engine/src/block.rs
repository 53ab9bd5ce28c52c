//! Blocking a contact: its permissions are revoked at the relay, what still arrives is dropped unopened, and nothing is
//! sent. Who is blocked learns from its own relay that its permission is gone, and from nobody why.
//!
//! A revocation stands in the store until the relay has confirmed it, and after that until the permission would have
//! expired: what was under way under it is then known for what it is.

use hermes_protocol::content::Body;
use hermes_wire::{ContactId, Timestamp, limits::CONTACT_TOKEN_VALIDITY};
use serde::{Deserialize, Serialize};

use crate::{
    effect::{CommandError, Effect, Reply},
    group::{CardKey, CardRecord},
    id::{ChatId, GuestId},
    limits::{GUEST_REVOCATIONS, REVOCATIONS, SWEEP_ROWS},
    row::ContactRecord,
    rows::{ChatCountersKey, ChatRow, Key, RouteRow, StoreResult, rows},
    store::{Range, View},
    turn::Turn,
};

/// A permission that is to be refused.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct RevokedRecord {
    /// When it would have expired.
    pub(crate) until: Timestamp,
    /// Whether the relay has yet to hear of it.
    pub(crate) pending: bool,
    /// Which mailbox it let into, if it was one at another relay.
    #[serde(default)]
    pub(crate) at: Option<GuestId>,
}

rows! {
    RevokedRecord: Route by RevokedKey;
}

/// Stands right after the route that it ends.
#[derive(Clone, Copy)]
pub(crate) struct RevokedKey(pub(crate) ContactId);

impl<V: View> Turn<'_, V> {
    /// Shuts a contact out.
    pub(crate) fn block(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if contact.blocked.is_none() {
            for route in self.routes_of(chat)? {
                self.revoke(route)?;
            }
            self.revoke_key_packages(chat, &mut contact)?;
            self.forget_askings_of(chat)?;
            contact.blocked = Some(self.now);
            self.moment.forget(chat);
            self.receipts.remove(&chat);
            self.put(&chat, &contact);
        }
        Ok(Ok(Reply::Contact(chat)))
    }

    /// Lets a contact in again, under a permission that it is told of in the session that both still have.
    pub(crate) fn unblock(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if contact.blocked.take().is_none() {
            return Ok(Ok(Reply::Contact(chat)));
        }
        let inbound = ContactId::random(self.rng);
        let ticket = self.account.contact_ticket(inbound, self.now);
        if let Err(error) = self.post(chat, &contact, Body::TokenRenewal(ticket))? {
            return Ok(Err(CommandError::Unsent(error)));
        }
        self.put(&inbound, &RouteRow(chat));
        self.put(&chat, &contact);
        let mut counters = self.chat_counters(chat)?;
        counters.received.let_in = true;
        self.put(&ChatCountersKey(chat), &ChatRow(counters));
        Ok(Ok(Reply::Contact(chat)))
    }

    /// Key packages that a contact has and no group uses yet: each has a permission of its own.
    pub(crate) fn revoke_key_packages(
        &mut self,
        chat: ChatId,
        contact: &mut ContactRecord,
    ) -> StoreResult<(), V> {
        for card in std::mem::take(&mut contact.given) {
            self.revoke(card)?;
        }
        self.take_back_key_packages(chat)
    }

    /// The permissions under which a contact writes.
    pub(crate) fn routes_of(&self, chat: ChatId) -> StoreResult<Vec<ContactId>, V> {
        let routes = self.scan::<RouteRow>(&Range::all(), SWEEP_ROWS)?;
        Ok(routes.into_iter().filter(|(_, route)| route.0 == chat).map(|(id, _)| id).collect())
    }

    /// Refuses a permission from here on. The relay hears of so many; what comes under others is dropped here.
    pub(crate) fn revoke(&mut self, route: ContactId) -> StoreResult<(), V> {
        if self.get::<RevokedRecord>(&RevokedKey(route))?.is_some() {
            return Ok(());
        }
        let until = self.now.after(CONTACT_TOKEN_VALIDITY);
        let at = self.get::<CardRecord>(&CardKey(route))?.and_then(|card| card.at).map(|place| place.guest);
        let rows = self.scan::<RevokedRecord>(&Range::all(), SWEEP_ROWS)?;
        // What one relay does not confirm takes no room at another.
        let there = rows.into_iter().filter(|(_, row)| row.at == at).count();
        let pending = there < at.map_or(REVOCATIONS, |_| GUEST_REVOCATIONS);
        self.put(&RevokedKey(route), &RevokedRecord { until, pending, at });
        self.effects.push(Effect::Revocations);
        Ok(())
    }

    /// The same of a card that is in a mailbox at another relay.
    pub(crate) fn revoke_at_guest(&mut self, card: ContactId) -> StoreResult<(), V> {
        let record: Option<CardRecord> = self.get(&CardKey(card))?;
        match record.and_then(|record| record.at) {
            Some(_) => self.revoke(card),
            None => Ok(()),
        }
    }

    /// A mailbox at another relay is given up: nobody hears any more what may not come into it.
    pub(crate) fn forget_revocations_at(&mut self, guest: GuestId) -> StoreResult<(), V> {
        for (key, record) in self.scan::<RevokedRecord>(&Range::all(), SWEEP_ROWS)? {
            if record.at == Some(guest) {
                self.delete::<RevokedRecord>(&key);
            }
        }
        Ok(())
    }

    pub(crate) fn is_revoked(&self, route: ContactId) -> StoreResult<bool, V> {
        Ok(self.get::<RevokedRecord>(&RevokedKey(route))?.is_some())
    }

    /// The relay refuses the permission from here on, to this mailbox.
    pub(crate) fn revoked_at(&mut self, route: ContactId, at: Option<GuestId>) -> StoreResult<(), V> {
        let record = self.get::<RevokedRecord>(&RevokedKey(route))?;
        let Some(record) = record.filter(|record| record.at == at) else { return Ok(()) };
        match at {
            None => self.put(&RevokedKey(route), &RevokedRecord { pending: false, ..record }),
            // What such a relay brings after that counts against it, whatever it is under.
            Some(_) => self.delete::<RevokedRecord>(&RevokedKey(route)),
        }
        Ok(())
    }

    pub(crate) fn forget_old_revocations(&mut self) -> StoreResult<(), V> {
        for (key, record) in self.scan::<RevokedRecord>(&Range::all(), SWEEP_ROWS)? {
            if self.counters.drained > record.until {
                self.delete::<RevokedRecord>(&key);
            }
        }
        Ok(())
    }
}

impl Key for RevokedKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[16]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (route, rest) = bytes.split_first_chunk()?;
        (rest == [16]).then_some(Self(ContactId(*route)))
    }
}
