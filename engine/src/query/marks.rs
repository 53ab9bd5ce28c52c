//! What stands beside a message: the one that it answers, and what others think of it.

use std::{cmp::Reverse, collections::BTreeMap};

use hermes_protocol::content::MessageId;

use super::person::{People, PersonView};
use crate::{
    id::ChatId,
    limits::{GROUP_ROWS, QUOTE_CHARS, REACTION_NAMES, REACTIONS_SHOWN},
    reference::Reference,
    row::{Direction, MarkKey, MarkRecord, MessageRecord, Text},
    rows::{self, IndexRow, StoreResult},
    store::{Order, Range, View},
};

/// A message that another one is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Its id.
    pub id: MessageId,
    /// Its short name; nothing when it is not here.
    pub reference: Option<Reference>,
    /// Who wrote it; nothing when it is not here.
    pub from: Option<QuotedFrom>,
    /// Its first words; nothing when they are not here, or no more. Not cleaned.
    pub text: Option<String>,
}

/// Who wrote what is quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotedFrom {
    /// This account.
    Me,
    /// The contact.
    Contact,
    /// A member of the group.
    Member(PersonView),
}

/// A reaction, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionView {
    /// The emoji. Not cleaned.
    pub emoji: String,
    /// How many have it.
    pub count: u32,
    /// Whether this account has.
    pub me: bool,
    /// Some of them, at most [`REACTION_NAMES`].
    pub by: Vec<PersonView>,
}

/// A message of the same chat. One of another chat is not told of: whoever names it may only guess.
pub(super) fn quote<V: View>(
    view: &V,
    people: &People,
    (chat, name): (ChatId, &str),
    id: MessageId,
) -> StoreResult<Quote, V> {
    let unknown = Quote { id, reference: None, from: None, text: None };
    let Some(IndexRow(place)) = rows::get(view, &id)?.filter(|IndexRow(place)| place.chat == chat) else {
        return Ok(unknown);
    };
    // A withdrawn message that never came has its withdrawal in its place.
    let record: Option<MessageRecord> = rows::get(view, &place)?;
    let Some(record) = record.filter(|record| record.id == id) else { return Ok(unknown) };
    let from = match (record.direction, record.author) {
        (Direction::Sent(_), _) => Some(QuotedFrom::Me),
        (Direction::Received { .. }, Some(author)) => Some(QuotedFrom::Member(people.show(view, author)?)),
        (Direction::Received { .. }, None) => Some(QuotedFrom::Contact),
        (Direction::Noted, _) => None,
    };
    let text = match record.text {
        Text::Plain(text) => Some(text.chars().take(QUOTE_CHARS).collect()),
        _ => None,
    };
    let reference = Reference::of(name.to_owned(), place.number);
    Ok(Quote { reference: Some(reference), from, text, ..unknown })
}

/// What people think of a message.
pub(super) fn reactions<V: View>(
    view: &V,
    people: &People,
    chat: ChatId,
    message: MessageId,
) -> StoreResult<Vec<ReactionView>, V> {
    let range = Range::prefix(&MarkKey::of(chat, message));
    let mut found: BTreeMap<String, ReactionView> = BTreeMap::new();
    for (_, mark) in rows::scan::<MarkRecord, _>(view, &range, Order::Ascending, GROUP_ROWS)? {
        let Some(emoji) = mark.reaction.and_then(|reaction| reaction.emoji) else { continue };
        let empty = ReactionView { emoji: emoji.clone(), count: 0, me: false, by: Vec::new() };
        let shown = found.entry(emoji).or_insert(empty);
        shown.count = shown.count.saturating_add(1);
        shown.me |= mark.by.fingerprint == *people.own();
        if shown.by.len() < REACTION_NAMES {
            shown.by.push(people.show(view, mark.by)?);
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|reaction| Reverse(reaction.count));
    found.truncate(REACTIONS_SHOWN);
    Ok(found)
}
