//! Reads for those who only look: the local API and the link. Pure functions over committed rows.

mod audit;
mod contact;
mod history;
mod link;

use hermes_protocol::identity::{Fingerprint, IdentityKeyPair};
use hermes_wire::{RelayAddress, Timestamp};

pub use audit::{
    Audit, Beside, ChatAudit, Confirmation, GapView, ReceivedAudit, SentAudit, UnreadableCount, audit,
    missing,
};
pub use contact::{ContactDetails, KeyChange, Safety, SessionFacts, contact_at, contact_named};
pub use history::{InboxFilter, MessageDirection, MessageView, inbox, log, message, message_at};
pub use link::{
    Destination, MailboxSettings, Outgoing, PendingFetch, destination, fetches, mailbox, outbox,
    outbox_chats, prekey_floor, prekeys_to_publish,
};

use crate::{
    account::{self, Lookup},
    id::ChatId,
    limits,
    row::{ContactRecord, RenewalReason, UnreadableCause, UnreadableRecord},
    rows::{self, NameRow, ReadError, StoreResult},
    store::{Order, Range, Table, View},
    trust::Trust,
};

/// An account at a glance.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The account's label.
    pub name: String,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Where its mailbox is.
    pub relay: RelayAddress,
    /// Whether the relay has accepted it.
    pub registered: bool,
    /// Unread messages.
    pub unread: u64,
    /// Envelopes waiting to leave.
    pub outbox: u64,
    /// Contacts, pending ones included.
    pub contacts: u64,
    /// Envelopes that could not be read, ever.
    pub unreadable: u64,
    /// Messages of all chats that were sent to this account and have not arrived, as far as later ones tell.
    pub missing: u64,
    /// The newest of the unreadable.
    pub last_unreadable: Option<(UnreadableCause, Timestamp)>,
    /// Sessions that gave way to others, ever.
    pub renewals: u64,
    /// The last of those: with whom, when, and why.
    pub last_renewal: Option<(String, Timestamp, RenewalReason)>,
}

/// A contact as a user sees it.
#[derive(Debug, Clone)]
pub struct ContactView {
    /// Its chat.
    pub chat: ChatId,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Whether the identity is known to be theirs.
    pub trust: Trust,
    /// How far the pairing has come.
    pub state: ContactState,
    /// When it was added.
    pub since: Timestamp,
}

/// How far a pairing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactState {
    /// The relay or the inviter has yet to answer.
    Pending,
    /// Paired.
    Ready,
}

impl ContactView {
    fn new(chat: ChatId, row: &ContactRecord) -> Self {
        Self {
            chat,
            state: if row.answered { ContactState::Ready } else { ContactState::Pending },
            name: row.name.clone(),
            fingerprint: row.fingerprint,
            trust: row.trust.view(),
            since: row.since,
        }
    }
}

/// The account at a glance.
pub fn summary<V: View>(view: &V) -> StoreResult<Summary, V> {
    let record = account::record(view)?;
    let counters = account::counters(view)?;
    let newest = rows::scan::<UnreadableRecord, _>(view, &Range::all(), Order::Descending, 1)?.pop();
    let last_renewal = match counters.last_renewal {
        Some((chat, at, reason)) => Some((contact(view, &chat)?.name, at, reason)),
        None => None,
    };
    Ok(Summary {
        renewals: counters.renewals,
        last_renewal,
        fingerprint: IdentityKeyPair::from_bytes(record.identity.expose()).identity().fingerprint(),
        name: record.name,
        relay: record.relay,
        registered: counters.registered,
        unread: counters.unread,
        outbox: counters.outbox,
        contacts: counters.contacts,
        unreadable: counters.unreadable,
        missing: counters.missing,
        last_unreadable: newest.map(|(_, row)| (row.cause, row.at)),
    })
}

/// Every contact, by name.
pub fn contacts<V: View>(view: &V) -> StoreResult<Vec<ContactView>, V> {
    let limit = usize::try_from(limits::CONTACTS).unwrap_or(usize::MAX);
    let rows = rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)?;
    let mut contacts: Vec<_> = rows.into_iter().map(|(chat, row)| ContactView::new(chat, &row)).collect();
    contacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(contacts)
}

/// The chat of a contact's name.
fn chat_named<V: View>(view: &V, name: &str) -> StoreResult<Option<ChatId>, V> {
    let key = account::record(view)?.lookup_key().hash(Lookup::Name, &[name.as_bytes()]);
    Ok(rows::get::<NameRow, _>(view, &key)?.map(|row| row.0))
}

/// A contact that another row points at.
fn contact<V: View>(view: &V, chat: &ChatId) -> StoreResult<ContactRecord, V> {
    rows::get(view, chat)?.ok_or(ReadError::Corrupt(Table::Contact))
}
