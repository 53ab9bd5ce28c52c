//! Contacts as one looks at them before writing: when they were heard, how their sessions stand, what is unread.

use std::collections::BTreeMap;

use hermes_wire::Timestamp;

use super::ContactView;
use crate::{
    id::ChatId,
    limits::{CONTACTS, QUERY_ROWS},
    presence::SeenKey,
    row::{ContactRecord, FetchPurpose, SessionRecord, Standing},
    rows::{self, ReadError, SeenRow, StoreResult, UnreadRow},
    store::{Order, Range, Table, View},
};

/// A contact and how it stands.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// The contact.
    pub contact: ContactView,
    /// When something of it was last heard, to a minute.
    pub seen: Option<Timestamp>,
    /// Whether its session works.
    pub session: SessionHealth,
    /// Unread messages of it, of the 10,000 that arrived first.
    pub unread: u64,
}

/// Whether a contact's session works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionHealth {
    /// There is none yet.
    None,
    /// It was begun here, and the contact has not been heard in it.
    Unanswered,
    /// Both sides have written in it.
    Established,
    /// It did not work, and another is being made.
    Renewing,
}

/// Every contact, by name.
pub fn peers<V: View>(view: &V) -> StoreResult<Vec<PeerView>, V> {
    let limit = usize::try_from(CONTACTS).unwrap_or(usize::MAX);
    let mut unread: BTreeMap<ChatId, u64> = BTreeMap::new();
    for (_, UnreadRow(place)) in rows::scan(view, &Range::all(), Order::Ascending, QUERY_ROWS)? {
        let count = unread.entry(place.chat).or_default();
        *count = count.saturating_add(1);
    }
    let mut peers = Vec::new();
    for (chat, row) in rows::scan::<ContactRecord, _>(view, &Range::all(), Order::Ascending, limit)? {
        if row.removed.is_some() {
            continue;
        }
        peers.push(PeerView {
            contact: ContactView::new(chat, &row),
            seen: rows::get::<SeenRow, _>(view, &SeenKey(chat))?.map(|SeenRow(at)| at),
            session: health(view, &row)?,
            unread: unread.remove(&chat).unwrap_or(0),
        });
    }
    peers.sort_by(|a, b| a.contact.name.cmp(&b.contact.name));
    Ok(peers)
}

fn health<V: View>(view: &V, contact: &ContactRecord) -> StoreResult<SessionHealth, V> {
    let fetching = contact.fetching.as_ref();
    let renews = fetching.is_some_and(|fetching| matches!(fetching.purpose, FetchPurpose::Renew(_)));
    if renews || contact.renewal.wanted.is_some() {
        return Ok(SessionHealth::Renewing);
    }
    let Some(id) = &contact.active else { return Ok(SessionHealth::None) };
    let active: SessionRecord = rows::get(view, id)?.ok_or(ReadError::Corrupt(Table::Session))?;
    Ok(match active.standing {
        Standing::Established => SessionHealth::Established,
        Standing::Initiated(_) | Standing::Retired(_) => SessionHealth::Unanswered,
    })
}
