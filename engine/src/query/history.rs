//! Messages as a user sees them.

use std::collections::{BTreeMap, btree_map::Entry};

use hermes_protocol::content::MessageId;
use hermes_wire::Timestamp;

use super::{
    chat_named,
    delivery::{self, Confirmed},
    marks::{self, Quote, ReactionView},
    person::{People, PersonView},
};
use crate::{
    chat, gap,
    group::{VoiceKey, VoiceRecord},
    id::ChatId,
    limits::{GROUP_ROWS, QUERY_ROWS},
    reference::{self, Reference},
    row::{Author, Direction, MessageRecord, MessageState, Text},
    rows::{self, IndexRow, Key, Place, ReadError, SettingsKey, SettingsRow, StoreResult, UnreadRow},
    store::{Order, Range, Table, View},
};

/// A message of the history.
#[derive(Debug, Clone)]
pub struct MessageView {
    /// Its short name; the chat's name is in it.
    pub reference: Reference,
    /// Its id, the same on both sides.
    pub id: MessageId,
    /// What it says. Not cleaned: a terminal must not see it raw.
    pub text: Text,
    /// When it was sent, by the sender's clock.
    pub sent: Timestamp,
    /// When it was stored here.
    pub stored: Timestamp,
    /// Which way it went.
    pub direction: MessageDirection,
    /// Which of the members wrote it, when it came in a group.
    pub author: Option<Author>,
    /// The message that it answers.
    pub reply_to: Option<Quote>,
    /// When it was edited last, by its author's clock.
    pub edited: Option<Timestamp>,
    /// What others think of it, the most frequent first; at most [`crate::limits::REACTIONS_SHOWN`].
    pub reactions: Vec<ReactionView>,
    /// The message that it is about, when it is no message itself.
    pub about: Option<Quote>,
    /// Whom it names: its author, and those whom a note is about.
    pub people: Vec<PersonView>,
    /// How many members have it, when it went to a group.
    pub confirmed: Option<Confirmed>,
    /// Seconds after which it is deleted, from when it was read or has left.
    pub ttl: Option<u32>,
    /// Whether its chat is muted until then.
    pub muted: Option<Timestamp>,
    /// Whether its session began without a one-time prekey.
    pub without_one_time_key: bool,
    /// Messages right before it, from the same sender, that have not arrived.
    pub missing_before: u64,
    /// Those that were refused because the sender was blocked.
    pub refused_before: u64,
}

/// Rows of a chat among which its last message is looked for at a time.
const LAST_ROWS: usize = 8;

/// Which way a message went, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageDirection {
    /// To this account.
    Received {
        /// Whether it is still unread.
        unread: bool,
    },
    /// From this account.
    Sent(MessageState),
    /// No message: a note for the user.
    Noted,
}

/// Which unread messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct InboxFilter {
    /// Only of this chat. A name that does not exist matches nothing.
    pub from: Option<String>,
    /// Only stored at or after this time.
    pub since: Option<Timestamp>,
    /// Only those that arrived after this one.
    pub after: Option<Reference>,
    /// At most this many, and at most [`QUERY_ROWS`].
    pub limit: usize,
}

/// Unread messages in order of arrival, the earliest first.
pub fn inbox<V: View>(view: &V, filter: &InboxFilter) -> StoreResult<Vec<MessageView>, V> {
    let from = match &filter.from {
        None => None,
        Some(name) => match chat_named(view, name)? {
            None => return Ok(Vec::new()),
            chat => chat,
        },
    };
    let limit = filter.limit.min(QUERY_ROWS);
    let mut chats = Chats::default();
    let mut found = Vec::new();
    let mut range = Range::all();
    if let Some(position) = position_of(view, filter.after.as_ref())? {
        range.from = position.saturating_add(1).to_bytes();
    }
    while found.len() < limit {
        let rows = rows::scan::<UnreadRow, _>(view, &range, Order::Ascending, limit)?;
        let Some((last, _)) = rows.last() else { break };
        range.from = last.saturating_add(1).to_bytes();
        for (_, UnreadRow(place)) in rows {
            if from.is_some_and(|chat| chat != place.chat) || found.len() >= limit {
                continue;
            }
            let message: Option<MessageRecord> = rows::get(view, &place)?;
            let message = message.ok_or(ReadError::Corrupt(Table::Message))?;
            if filter.since.is_none_or(|since| message.stored >= since) {
                found.push(chats.show(view, place, message)?);
            }
        }
    }
    Ok(found)
}

/// The newest `limit` messages of a chat, both ways, before the message `before` of it; the oldest of them first.
/// `None` when there is no such chat, or no such message in it.
pub fn log<V: View>(
    view: &V,
    chat: &str,
    before: Option<&Reference>,
    limit: usize,
) -> StoreResult<Option<Vec<MessageView>>, V> {
    let Some(chat) = chat_named(view, chat)? else { return Ok(None) };
    let mut range = Range::prefix(&chat.to_bytes());
    if let Some(before) = before {
        let Some((place, _)) = reference::find(view, chat, before)? else { return Ok(None) };
        range.to = Some(place.to_bytes());
    }
    let limit = limit.min(QUERY_ROWS);
    let mut found = Vec::new();
    while found.len() < limit {
        let rows = rows::scan::<MessageRecord, _>(
            view,
            &range,
            Order::Descending,
            limit.saturating_sub(found.len()),
        )?;
        let Some((last, _)) = rows.last() else { break };
        range.to = Some(last.to_bytes());
        found.extend(rows.into_iter().filter(|(_, row)| row.is_listed()));
    }
    let mut chats = Chats::default();
    let shown = found.into_iter().rev().map(|(place, row)| chats.show(view, place, row));
    shown.collect::<Result<_, _>>().map(Some)
}

/// The `limit` messages of a chat right behind the message `after` of it, both ways; the oldest of them first. `None` when
/// there is no such chat, or no such message in it.
pub fn log_after<V: View>(
    view: &V,
    chat: &str,
    after: &Reference,
    limit: usize,
) -> StoreResult<Option<Vec<MessageView>>, V> {
    let Some(chat) = chat_named(view, chat)? else { return Ok(None) };
    let Some((after, _)) = reference::find(view, chat, after)? else { return Ok(None) };
    let mut range = Range::prefix(&chat.to_bytes());
    let limit = limit.min(QUERY_ROWS);
    let mut chats = Chats::default();
    let mut found = Vec::new();
    let mut last = after.number;
    while found.len() < limit {
        let Some(number) = last.checked_add(1) else { break };
        range.from = Place { chat, number }.to_bytes();
        let wanted = limit.saturating_sub(found.len());
        let rows = rows::scan::<MessageRecord, _>(view, &range, Order::Ascending, wanted)?;
        let Some((place, _)) = rows.last() else { break };
        last = place.number;
        for (place, row) in rows.into_iter().filter(|(_, row)| row.is_listed()) {
            found.push(chats.show(view, place, row)?);
        }
    }
    Ok(Some(found))
}

impl MessageRecord {
    /// What is said about messages is seen at these; unless nobody else will ever see it.
    fn is_listed(&self) -> bool {
        let failed = matches!(self.direction, Direction::Sent(MessageState::Failed(_)));
        failed || !matches!(self.text, Text::Action(_))
    }
}

/// One message by its id.
pub fn message<V: View>(view: &V, id: &MessageId) -> StoreResult<Option<MessageView>, V> {
    match rows::get::<IndexRow, _>(view, id)? {
        Some(IndexRow(place)) => show_at(view, place),
        None => Ok(None),
    }
}

/// One message by its reference.
pub fn message_at<V: View>(view: &V, reference: &Reference) -> StoreResult<Option<MessageView>, V> {
    let found = find(view, reference)?;
    found.map(|(place, message)| Chats::default().show(view, place, message)).transpose()
}

/// Those of several messages that are there.
pub fn messages_at<V: View>(view: &V, references: &[Reference]) -> StoreResult<Vec<MessageView>, V> {
    let mut chats = Chats::default();
    let mut found = Vec::new();
    for reference in references.iter().take(QUERY_ROWS) {
        if let Some((place, message)) = find(view, reference)? {
            found.push(chats.show(view, place, message)?);
        }
    }
    Ok(found)
}

/// The message that arrived last, in whichever chat.
pub fn last_received<V: View>(view: &V) -> StoreResult<Option<Reference>, V> {
    let mut last: Option<(Timestamp, Place)> = None;
    for (chat, _) in super::all_chats(view)? {
        let is_received = |row: &MessageRecord| matches!(row.direction, Direction::Received { .. });
        if let Some((place, row)) = last_listed(view, chat, is_received)? {
            last = last.max(Some((row.stored, place)));
        }
    }
    let Some((_, place)) = last else { return Ok(None) };
    let chat = chat::chat(view, &place.chat)?.name().to_owned();
    Ok(Some(Reference::of(chat, place.number)))
}

/// The last message of a chat that a list would show and that is as wanted.
pub(super) fn last_listed<V: View>(
    view: &V,
    chat: ChatId,
    is_wanted: impl Fn(&MessageRecord) -> bool,
) -> StoreResult<Option<(Place, MessageRecord)>, V> {
    let mut range = Range::prefix(&chat.to_bytes());
    loop {
        let rows = rows::scan::<MessageRecord, _>(view, &range, Order::Descending, LAST_ROWS)?;
        let Some((before, _)) = rows.last() else { return Ok(None) };
        range.to = Some(before.to_bytes());
        let found = rows.into_iter().find(|(_, row)| row.is_listed() && is_wanted(row));
        if found.is_some() {
            return Ok(found);
        }
    }
}

fn show_at<V: View>(view: &V, place: Place) -> StoreResult<Option<MessageView>, V> {
    let message: Option<MessageRecord> = rows::get(view, &place)?;
    message.map(|message| Chats::default().show(view, place, message)).transpose()
}

fn position_of<V: View>(view: &V, reference: Option<&Reference>) -> StoreResult<Option<u64>, V> {
    let Some(reference) = reference else { return Ok(None) };
    Ok(match find(view, reference)?.map(|(_, message)| message.direction) {
        Some(Direction::Received { unread }) => unread,
        _ => None,
    })
}

fn find<V: View>(view: &V, reference: &Reference) -> StoreResult<Option<(Place, MessageRecord)>, V> {
    match chat_named(view, &reference.chat)? {
        Some(chat) => reference::find(view, chat, reference),
        None => Ok(None),
    }
}

/// What every message of a chat is shown with, read once a query.
#[derive(Default)]
pub(super) struct Chats {
    chats: BTreeMap<ChatId, Chat>,
    people: Option<People>,
}

struct Chat {
    name: String,
    /// How many members confirm what they receive; nothing when it is no group.
    confirming: Option<u32>,
    muted: Option<Timestamp>,
    /// How many are missing, and how many were refused, by the number of the message behind them.
    gaps: BTreeMap<u64, (u64, u64)>,
}

impl Chats {
    pub(super) fn show<V: View>(
        &mut self,
        view: &V,
        place: Place,
        message: MessageRecord,
    ) -> StoreResult<MessageView, V> {
        let chat = match self.chats.entry(place.chat) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Chat::read(view, place.chat)?),
        };
        let people = match &self.people {
            Some(people) => people,
            None => self.people.insert(People::read(view)?),
        };
        let confirmed = match (&message.direction, chat.confirming) {
            (Direction::Sent(_), Some(of)) => Some(delivery::confirmed(view, place, of)?),
            _ => None,
        };
        let reply_to = match message.marks.reply_to {
            Some(id) => Some(marks::quote(view, people, (place.chat, &chat.name), id)?),
            None => None,
        };
        let about = match &message.text {
            Text::Action(action) => {
                Some(marks::quote(view, people, (place.chat, &chat.name), action.about())?)
            }
            _ => None,
        };
        let reactions = match message.marks.reactions {
            0 => Vec::new(),
            _ => marks::reactions(view, people, place.chat, message.id)?,
        };
        let (missing_before, refused_before) = chat.gaps.get(&place.number).copied().unwrap_or_default();
        Ok(MessageView {
            reply_to,
            about,
            reactions,
            edited: message.marks.edited.map(|edited| edited.at),
            people: people.named_in(view, message.author.as_ref(), &message.text)?,
            confirmed,
            ttl: message.ttl,
            muted: chat.muted,
            reference: Reference::of(chat.name.clone(), place.number),
            missing_before,
            refused_before,
            id: message.id,
            text: message.text,
            sent: message.sent,
            stored: message.stored,
            direction: match message.direction {
                Direction::Received { unread } => MessageDirection::Received { unread: unread.is_some() },
                Direction::Sent(state) => MessageDirection::Sent(state),
                Direction::Noted => MessageDirection::Noted,
            },
            author: message.author,
            without_one_time_key: message.without_one_time_key,
        })
    }
}

impl Chat {
    fn read<V: View>(view: &V, id: ChatId) -> StoreResult<Self, V> {
        let mut gaps = gap::gaps(view, id, QUERY_ROWS)?;
        for (VoiceKey(_, voice), VoiceRecord { received, .. }) in
            rows::scan(view, &Range::prefix(&id.0), Order::Ascending, GROUP_ROWS)?
        {
            if received.missing > 0 {
                gaps.extend(gap::gaps(view, voice, QUERY_ROWS)?);
            }
        }
        let gaps = gaps.into_iter().map(|(first, gap)| {
            let length = gap::length(first, gap.last);
            (gap.after.number, if gap.while_blocked { (0, length) } else { (length, 0) })
        });
        let chat = chat::chat(view, &id)?;
        let confirming = match &chat {
            chat::Chat::Group(group) => Some(group.confirming),
            chat::Chat::Contact(_) => None,
        };
        let settings: Option<SettingsRow> = rows::get(view, &SettingsKey(id))?;
        let muted = settings.and_then(|row| row.0.muted);
        Ok(Self { name: chat.name().to_owned(), confirming, muted, gaps: gaps.collect() })
    }
}
