//! Who asks to be a contact, and by which invites.

use hermes_protocol::{
    content::{Body, Content},
    identity::Fingerprint,
};
use hermes_wire::{ContactId, Timestamp};

use super::chat_named;
use crate::{
    contact::contact_name,
    id::ChatId,
    limits::{INVITES, REQUEST_MESSAGES, REQUESTS},
    request::{RequestKey, RequestRecord},
    row::{HeldRecord, InviteRecord, UnreadableCause},
    rows::{self, StoreResult},
    store::{Order, Range, View},
};

/// Somebody who asks.
#[derive(Debug, Clone)]
pub struct RequestView {
    /// The name by which the user decides about it: nobody else's, and the same for as long as it waits.
    pub name: String,
    /// What it calls itself. Not cleaned, and nobody has vouched for it.
    pub profile_name: String,
    /// A contact or a group of the name that it calls itself by, which is somebody else.
    pub namesake: Option<String>,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// When it was first heard.
    pub at: Timestamp,
    /// The invite it used.
    pub invite: ContactId,
    /// The texts it has sent, in order.
    pub said: Vec<Said>,
    /// All that it has sent, texts and words about them: so many are held.
    pub held: u64,
}

/// A text of somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// By its author's clock.
    pub sent: Timestamp,
    /// As it was written: clean it before showing.
    pub text: String,
}

/// An invite for requests.
#[derive(Debug, Clone)]
pub struct OpenInviteView {
    /// Its id.
    pub id: ContactId,
    /// It cannot be used after this.
    pub expiry: Timestamp,
    /// Envelopes that were refused.
    pub refused: u64,
    /// The last of them.
    pub last_refused: Option<(UnreadableCause, Timestamp)>,
}

/// Everyone who asks, in the order in which they came, and the invites by which they can.
pub fn requests<V: View>(view: &V) -> StoreResult<(Vec<RequestView>, Vec<OpenInviteView>), V> {
    let mut requests = Vec::new();
    for (RequestKey(chat), row) in rows::scan(view, &Range::all(), Order::Ascending, REQUESTS)? {
        requests.push(show(view, chat, row)?);
    }
    requests.sort_by(|one, other| (one.at, &one.name).cmp(&(other.at, &other.name)));
    let invites = rows::scan::<InviteRecord, _>(view, &Range::all(), Order::Ascending, INVITES)?;
    let open = |(id, invite): (ContactId, InviteRecord)| {
        let published = invite.published.filter(|published| !published.closed)?;
        let (refused, last_refused) = (published.refused, published.last);
        Some(OpenInviteView { id, expiry: invite.expiry, refused, last_refused })
    };
    Ok((requests, invites.into_iter().filter_map(open).collect()))
}

fn show<V: View>(view: &V, chat: ChatId, row: RequestRecord) -> StoreResult<RequestView, V> {
    let limit = usize::try_from(REQUEST_MESSAGES).unwrap_or(usize::MAX);
    let held = rows::scan::<HeldRecord, _>(view, &Range::prefix(&chat.0), Order::Ascending, limit)?;
    let text = |(_, held): (_, HeldRecord)| match Content::decode(held.content.expose()) {
        Ok(Content { sent, body: Body::Text { text, .. }, .. }) => Some(Said { sent, text }),
        _ => None,
    };
    let known = contact_name(&row.profile_name);
    Ok(RequestView {
        namesake: chat_named(view, &known)?.filter(|named| *named != chat).map(|_| known),
        name: row.next.name,
        profile_name: row.profile_name,
        fingerprint: row.next.fingerprint,
        at: row.at,
        invite: row.invite,
        said: held.into_iter().filter_map(text).collect(),
        held: row.held,
    })
}

pub(super) fn count<V: View>(view: &V) -> StoreResult<u64, V> {
    let rows = rows::scan::<RequestRecord, _>(view, &Range::all(), Order::Ascending, REQUESTS)?;
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}
