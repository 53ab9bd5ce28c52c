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
    id::ChatId,
    limits::{REVOCATIONS, SWEEP_ROWS},
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
        let pending = self.scan::<RevokedRecord>(&Range::all(), REVOCATIONS)?.len() < REVOCATIONS;
        let until = self.now.after(CONTACT_TOKEN_VALIDITY);
        self.put(&RevokedKey(route), &RevokedRecord { until, pending });
        self.effects.push(Effect::Revocations);
        Ok(())
    }

    pub(crate) fn is_revoked(&self, route: ContactId) -> StoreResult<bool, V> {
        Ok(self.get::<RevokedRecord>(&RevokedKey(route))?.is_some())
    }

    /// The relay refuses the permission from here on.
    pub(crate) fn revoked(&mut self, route: ContactId) -> StoreResult<(), V> {
        if let Some(record) = self.get::<RevokedRecord>(&RevokedKey(route))? {
            self.put(&RevokedKey(route), &RevokedRecord { pending: false, ..record });
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
