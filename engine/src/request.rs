//! Contact requests: an invite that many may use, and those who have used it and wait for the user's word.
//!
//! Such an invite is published, so its secret proves nothing about who holds it, and whoever holds it may be hostile. Until
//! the user accepts, somebody who used it is no contact: nothing is sent to it, not even a receipt; its name is claimed
//! from nobody; what it says is held, and little of it. What is refused is counted with the invite and nowhere else, so
//! that strangers can push nothing out of this account's own records.

mod arrival;
mod decision;

use hermes_protocol::{handshake::ReplayId, identity::Fingerprint, ticket::Ticket};
use hermes_wire::{ContactId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    account::Lookup,
    contact::contact_name,
    id::ChatId,
    limits::{self, INVITES, REJECTED, REQUEST_BYTES, REQUEST_MESSAGES, REQUESTS},
    row::{ChatRecord, ContactRecord, HeldRecord, InviteRecord, UnreadableCause},
    rows::{Hash, HeldKey, Key, NameRow, StoreResult, rows, wrapped_rows},
    store::{Range, View},
    turn::Turn,
};

/// Somebody who asked, and waits.
#[derive(Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    /// What the contact will be, under the name by which the user calls it until then. No name is claimed for it.
    pub(crate) next: ContactRecord,
    /// What it calls itself.
    pub(crate) profile_name: String,
    /// Under which invite.
    pub(crate) invite: ContactId,
    /// When it was first heard.
    pub(crate) at: Timestamp,
    /// The handshake that began its newest session: should that be lost here, it has to be told so.
    pub(crate) initiation: ReplayId,
    /// What it has said, in rows of their own.
    pub(crate) held: u64,
    /// Messages of it that were tried to be opened, whatever they turned out to be.
    #[serde(default)]
    pub(crate) tried: u64,
}

/// What an invite for requests has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// When the rate of handshakes would allow the whole burst again (the generic cell rate algorithm).
    pub(crate) rested: Timestamp,
    /// Envelopes that were refused.
    pub(crate) refused: u64,
    /// The last of them.
    pub(crate) last: Option<(UnreadableCause, Timestamp)>,
    /// Whether it is withdrawn: it makes no request any more, and those that it made go on.
    #[serde(default)]
    pub(crate) closed: bool,
}

rows! {
    RequestRecord: Invite by RequestKey;
}

wrapped_rows! {
    /// Until when an identity is not heard by an invite for requests.
    RejectedRow(Timestamp): Invite by RejectedKey;
}

/// Stands among the invites.
#[derive(Clone, Copy)]
pub(crate) struct RequestKey(pub(crate) ChatId);

/// An identity that was rejected, as a keyed hash of its fingerprint.
#[derive(Clone, Copy)]
pub(crate) struct RejectedKey(pub(crate) Hash);

impl<V: View> Turn<'_, V> {
    pub(crate) fn requests(&self) -> StoreResult<Vec<(ChatId, RequestRecord)>, V> {
        let rows = self.scan::<RequestRecord>(&Range::all(), REQUESTS)?;
        Ok(rows.into_iter().map(|(RequestKey(chat), request)| (chat, request)).collect())
    }

    /// The request of an identity.
    pub(crate) fn request_of(
        &self,
        fingerprint: &Fingerprint,
    ) -> StoreResult<Option<(ChatId, RequestRecord)>, V> {
        let of = |(_, request): &(_, RequestRecord)| request.next.fingerprint == *fingerprint;
        Ok(self.requests()?.into_iter().find(of))
    }

    /// A name by which the user can call a request: near what it calls itself, no contact's, no group's and no other
    /// request's. It stays as it is for as long as the request waits, so that it means the one whom the user saw.
    fn request_name(&self, wish: &str) -> StoreResult<String, V> {
        let requests = self.requests()?;
        let base = contact_name(wish);
        let mut name = base.clone();
        // Whatever names are taken, one more number is free.
        for suffix in 2..=limits::CONTACTS.saturating_add(REQUESTS as u64).saturating_add(2) {
            let taken = requests.iter().any(|(_, request)| request.next.name == name);
            let key = self.account.lookup(Lookup::Name, &[name.as_bytes()]);
            if !taken && self.get::<NameRow>(&key)?.is_none() {
                break;
            }
            name = format!("{base}-{suffix}");
        }
        Ok(name)
    }

    fn rejected_key(&self, fingerprint: &Fingerprint) -> RejectedKey {
        RejectedKey(self.account.lookup(Lookup::Rejected, &[&fingerprint.0]))
    }

    pub(crate) fn forget_old_rejections(&mut self) -> StoreResult<(), V> {
        for (key, RejectedRow(until)) in self.scan::<RejectedRow>(&Range::all(), REJECTED)? {
            if self.counters.drained > until {
                self.delete::<RejectedRow>(&key);
            }
        }
        Ok(())
    }

    /// Sessions of this store are not to be used any more: what waits is kept, and whoever is accepted is told in a new one.
    pub(crate) fn lose_request_sessions(&mut self) -> StoreResult<(), V> {
        for (chat, mut request) in self.requests()? {
            self.drop_sessions(&request.next)?;
            (request.next.active, request.next.retired) = (None, Vec::new());
            self.put(&RequestKey(chat), &request);
        }
        Ok(())
    }

    /// Open invites for requests.
    pub(crate) fn published(&self) -> StoreResult<Vec<(ContactId, InviteRecord)>, V> {
        let invites = self.scan::<InviteRecord>(&Range::all(), INVITES)?;
        Ok(invites.into_iter().filter(|(_, invite)| invite.is_open_to_all()).collect())
    }

    /// Forgets a request, and what it has said.
    pub(crate) fn forget_request(&mut self, chat: ChatId, request: &RequestRecord) -> StoreResult<(), V> {
        self.drop_sessions(&request.next)?;
        self.delete_held(chat, request.held);
        self.delete::<RequestRecord>(&RequestKey(chat));
        Ok(())
    }

    /// Removes what a request has said.
    fn delete_held(&mut self, chat: ChatId, held: u64) {
        for number in 0..held {
            self.delete::<HeldRecord>(&HeldKey { chat, number });
        }
    }
}

/// Whether an invite is one for requests: it is good for more than one bundle.
pub(crate) fn is_for_requests(ticket: &Ticket) -> bool {
    ticket.token.unverified().is_ok_and(|token| token.uses.is_some_and(|uses| uses > 1))
}

impl InviteRecord {
    /// Whether it is one for requests, and not withdrawn.
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.published.as_ref().is_some_and(|published| !published.closed)
    }
}

impl ContactRecord {
    /// Whether this account has asked it to be a contact, and has no answer.
    pub(crate) fn waits_to_be_accepted(&self) -> bool {
        !self.answered && self.active.is_some() && is_for_requests(&self.ticket)
    }

    /// Whether another content of so many bytes has to wait until this account is accepted, as no more is kept before.
    pub(crate) fn has_said_enough(&self, counters: &ChatRecord, bytes: usize) -> bool {
        self.waits_to_be_accepted()
            && (counters.held.is_some() || counters.sent >= REQUEST_MESSAGES || bytes > REQUEST_BYTES)
    }
}

impl Key for RequestKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[1]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, rest) = bytes.split_first_chunk()?;
        (rest == [1]).then_some(Self(ChatId(*chat)))
    }
}

impl Key for RejectedKey {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Hash::from_bytes(bytes).map(Self)
    }
}
