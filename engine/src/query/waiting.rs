//! What waits to leave, and what for.

use hermes_wire::Timestamp;

use super::{MessageView, all_chats, chat_named, history::Chats};
use crate::{
    id::ChatId,
    limits::WAITING_ROWS,
    reference::Reference,
    row::{ChatRecord, ContactRecord, Direction, MessageRecord, MessageState, OutboxRecord, SentRecord},
    rows::{self, ChatCountersKey, ChatRow, Key, Place, SentKey, StoreResult},
    store::{Order, Range, View},
};

/// Something that waits to leave.
#[derive(Debug, Clone)]
pub struct WaitingView {
    /// The chat that it is for.
    pub chat: ChatId,
    /// Its name.
    pub name: String,
    /// The message; nothing for what programs tell each other, such as receipts and changes of groups.
    pub message: Option<MessageView>,
    /// Since when.
    pub since: Timestamp,
    /// Bytes that are sealed; nothing while it waits for what will seal it, a session or the group's next epoch.
    pub sealed: Option<usize>,
    /// Whether it waits for this account to be accepted as a contact.
    pub until_accepted: bool,
}

/// What waits in all chats, or in one, in the order in which each chat's will leave; and whether there is more than
/// [`WAITING_ROWS`]. `None` when there is no such chat.
pub fn waiting<V: View>(view: &V, chat: Option<&str>) -> StoreResult<Option<(Vec<WaitingView>, bool)>, V> {
    let wanted = match chat {
        None => all_chats(view)?,
        Some(name) => match chat_named(view, name)? {
            Some(id) => vec![(id, name.to_owned())],
            None => return Ok(None),
        },
    };
    let mut chats = Chats::default();
    let mut waiting = Vec::new();
    for (chat, name) in wanted {
        let room = WAITING_ROWS.saturating_add(1).saturating_sub(waiting.len());
        if room == 0 {
            break;
        }
        waiting.extend(sealed(view, &mut chats, chat, &name, room)?);
        let room = WAITING_ROWS.saturating_add(1).saturating_sub(waiting.len());
        waiting.extend(held(view, &mut chats, chat, &name, room)?);
    }
    let more = waiting.len() > WAITING_ROWS;
    waiting.truncate(WAITING_ROWS);
    Ok(Some((waiting, more)))
}

fn sealed<V: View>(
    view: &V,
    chats: &mut Chats,
    chat: ChatId,
    name: &str,
    limit: usize,
) -> StoreResult<Vec<WaitingView>, V> {
    let rows = rows::scan::<OutboxRecord, _>(view, &Range::prefix(&chat.0), Order::Ascending, limit)?;
    let mut waiting = Vec::with_capacity(rows.len());
    for (_, row) in rows {
        let message = match row.message {
            Some(number) => message(view, chats, Place { chat, number })?,
            None => None,
        };
        let (name, sealed) = (name.to_owned(), Some(row.body.len()));
        waiting.push(WaitingView { chat, name, message, since: row.queued, sealed, until_accepted: false });
    }
    Ok(waiting)
}

fn held<V: View>(
    view: &V,
    chats: &mut Chats,
    chat: ChatId,
    name: &str,
    limit: usize,
) -> StoreResult<Vec<WaitingView>, V> {
    let row: Option<ChatRow> = rows::get(view, &ChatCountersKey(chat))?;
    let Some(ChatRow(ChatRecord { held: Some(first), .. })) = row else { return Ok(Vec::new()) };
    let contact: Option<ContactRecord> = rows::get(view, &chat)?;
    let until_accepted = contact.is_some_and(|contact| contact.waits_to_be_accepted());
    let mut range = Range::prefix(&chat.0);
    range.from = SentKey { chat, counter: first }.to_bytes();
    let mut waiting = Vec::new();
    for (_, sent) in rows::scan::<SentRecord, _>(view, &range, Order::Ascending, limit)? {
        let record: Option<MessageRecord> = rows::get(view, &Place { chat, number: sent.number })?;
        let Some(record) = record.filter(|record| record.direction == Direction::Sent(MessageState::Queued))
        else {
            continue;
        };
        if sent.sealed.is_none() {
            let since = record.stored;
            let message = Some(chats.show(view, Place { chat, number: sent.number }, record)?);
            let name = name.to_owned();
            waiting.push(WaitingView { chat, name, message, since, sealed: None, until_accepted });
        }
    }
    Ok(waiting)
}

fn message<V: View>(view: &V, chats: &mut Chats, place: Place) -> StoreResult<Option<MessageView>, V> {
    let record: Option<MessageRecord> = rows::get(view, &place)?;
    record.map(|record| chats.show(view, place, record)).transpose()
}

/// Names of the messages that wait in all chats, or in one, and could be kept from leaving. `None` when there is no such
/// chat.
pub fn cancellable<V: View>(view: &V, chat: &str) -> StoreResult<Option<Vec<Reference>>, V> {
    let Some((waiting, _)) = waiting(view, Some(chat))? else { return Ok(None) };
    let messages = waiting.into_iter().filter_map(|waiting| waiting.message);
    Ok(Some(messages.filter(|message| message.about.is_none()).map(|message| message.reference).collect()))
}
