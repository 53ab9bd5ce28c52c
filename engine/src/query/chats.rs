//! Every chat at a glance.

use std::{cmp::Reverse, collections::BTreeMap};

use hermes_wire::Timestamp;

use super::{contacts, groups};
use crate::{
    id::ChatId,
    limits::QUERY_ROWS,
    row::MessageRecord,
    rows::{self, ChatCountersKey, ChatRow, SettingsKey, SettingsRow, StoreResult, UnreadRow},
    store::{Order, Range, View},
};

/// A chat with a contact or in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatView {
    /// Its chat.
    pub chat: ChatId,
    /// Its name.
    pub name: String,
    /// Whom it is with.
    pub with: ChatWith,
    /// Whether the user has put it away.
    pub archived: bool,
    /// Unread messages in it, of the [`QUERY_ROWS`] that arrived first.
    pub unread: u64,
    /// When its newest message was stored; `None` when there is none.
    pub last: Option<Timestamp>,
    /// It is quiet until then.
    pub muted: Option<Timestamp>,
}

/// Whom a chat is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatWith {
    /// A contact.
    Contact,
    /// The members of a group.
    Group,
}

/// Every chat, the one with the newest message first.
pub fn chats<V: View>(view: &V) -> StoreResult<Vec<ChatView>, V> {
    let mut unread: BTreeMap<ChatId, u64> = BTreeMap::new();
    for (_, UnreadRow(place)) in rows::scan(view, &Range::all(), Order::Ascending, QUERY_ROWS)? {
        let count = unread.entry(place.chat).or_default();
        *count = count.saturating_add(1);
    }
    let contacts = contacts(view)?.into_iter().map(|contact| (contact.chat, contact.name, ChatWith::Contact));
    let groups = groups(view)?.into_iter().map(|group| (group.chat, group.name, ChatWith::Group));
    let mut chats = Vec::new();
    for (chat, name, with) in contacts.chain(groups) {
        let newest = Range::prefix(&chat.0);
        let newest = rows::scan::<MessageRecord, _>(view, &newest, Order::Descending, 1)?.pop();
        let counters: Option<ChatRow> = rows::get(view, &ChatCountersKey(chat))?;
        let settings: Option<SettingsRow> = rows::get(view, &SettingsKey(chat))?;
        chats.push(ChatView {
            chat,
            name,
            with,
            archived: counters.is_some_and(|row| row.0.archived),
            unread: unread.get(&chat).copied().unwrap_or(0),
            last: newest.map(|(_, message)| message.stored),
            muted: settings.and_then(|row| row.0.muted),
        });
    }
    chats.sort_by(|a, b| (Reverse(a.last), &a.name).cmp(&(Reverse(b.last), &b.name)));
    Ok(chats)
}
