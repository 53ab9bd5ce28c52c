//! Who has a message to a group.

use std::collections::BTreeSet;

use hermes_protocol::content::MessageId;

use super::person::{People, PersonView};
use crate::{
    group::{ConfirmedRow, DeliveredKey, DeliveredRow, GroupRecord, MemberRecord, ReadKey, ReadRow},
    id::ChatId,
    limits::GROUP_ROWS,
    row::{Author, ContactRecord, Direction, MessageRecord, MessageState},
    rows::{self, IndexRow, Key, Place, StoreResult},
    store::{Order, Range, View},
};

/// A member that a message went to.
#[derive(Debug, Clone)]
pub struct RecipientView {
    /// Who.
    pub person: PersonView,
    /// How far it has come.
    pub state: MessageState,
}

/// How many of those who confirm have confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// Members who have it.
    pub by: u32,
    /// Members who were contacts at the time; none in a group too large to confirm.
    pub of: u32,
}

/// How far a message to a group has come with each of its present members, and with those who had it and are none any
/// more; empty when it is no such message.
pub fn recipients<V: View>(view: &V, id: &MessageId) -> StoreResult<Vec<RecipientView>, V> {
    let Some(IndexRow(place)) = rows::get(view, id)? else { return Ok(Vec::new()) };
    let message: Option<MessageRecord> = rows::get(view, &place)?;
    let Some(MessageRecord { direction: Direction::Sent(state), stored, .. }) = message else {
        return Ok(Vec::new());
    };
    if rows::get::<GroupRecord, _>(view, &place.chat)?.is_none() {
        return Ok(Vec::new());
    }
    let mut have = contacts_that_have(view, place)?;
    let unconfirmed = match state {
        MessageState::Delivered | MessageState::Read => MessageState::Relayed,
        state => state,
    };
    let read = |chat: ChatId| {
        let read = rows::get::<ReadRow, _>(view, &ReadKey(DeliveredKey(place, chat)))?;
        Ok(if read.is_some() { MessageState::Read } else { MessageState::Delivered })
    };
    let people = People::read(view)?;
    let mut recipients = Vec::new();
    let members = Range::prefix(&place.chat.0);
    for (_, member) in rows::scan::<MemberRecord, _>(view, &members, Order::Ascending, GROUP_ROWS)? {
        let MemberRecord { fingerprint, profile_name, since } = member;
        let contact = people.contact(view, &fingerprint)?;
        let has = contact.as_ref().is_some_and(|(chat, _)| have.remove(chat));
        // Whoever came later was not written to, unless the message waited for it.
        if fingerprint == *people.own() || (since > stored && !has) {
            continue;
        }
        let state = match &contact {
            Some((chat, _)) if has => read(*chat)?,
            _ => unconfirmed.clone(),
        };
        let contact = contact.map(|(_, contact)| contact.name);
        let person = PersonView { contact, profile_name, fingerprint, me: false };
        recipients.push(RecipientView { person, state });
    }
    for former in have {
        let Some(contact) = rows::get::<ContactRecord, _>(view, &former)? else { continue };
        let author = Author { fingerprint: contact.fingerprint, profile_name: contact.name };
        let person = people.show(view, author)?;
        recipients.push(RecipientView { person, state: read(former)? });
    }
    Ok(recipients)
}

fn contacts_that_have<V: View>(view: &V, place: Place) -> StoreResult<BTreeSet<ChatId>, V> {
    let mut range = Range::prefix(&place.to_bytes());
    // Past the row that says how many.
    range.from.push(0);
    let rows = rows::scan::<DeliveredRow, _>(view, &range, Order::Ascending, GROUP_ROWS)?;
    Ok(rows.into_iter().map(|(DeliveredKey(_, contact), _)| contact).collect())
}

pub(super) fn confirmed<V: View>(view: &V, place: Place, of: u32) -> StoreResult<Confirmed, V> {
    let ConfirmedRow((by, of)) = rows::get(view, &place)?.unwrap_or(ConfirmedRow((0, of)));
    Ok(Confirmed { by, of })
}
