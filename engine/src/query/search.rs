//! Finding texts. The history is sealed row by row, so that a search reads it from end to end; it decodes only what has the
//! words in it, and stops after a while, with a place to go on from.

use std::{ops::ControlFlow, str::FromStr};

use hermes_wire::Timestamp;
use memchr::{memchr2_iter, memmem};

use super::{MessageView, history::Chats};
use crate::{
    chat,
    id::ChatId,
    limits::{QUERY_ROWS, SEARCH_ROWS, SEARCH_TEXT_BYTES},
    row::{MessageRecord, Text},
    rows::{self, Key, Place, ReadError, StoreResult},
    store::{Order, Range, Table, View},
};

/// What is looked for.
#[derive(Debug, Clone)]
pub struct SearchFilter {
    /// Words as they stand in the text, in upper or lower case.
    pub text: String,
    /// Only in this chat.
    pub chat: Option<ChatId>,
    /// At most this many, the newest of the stretch that is read.
    pub limit: usize,
    /// Where an earlier search stopped.
    pub from: Option<SearchPlace>,
}

/// What was found in a stretch of the history.
#[derive(Debug, Clone)]
pub struct Found {
    /// Messages, the one that was stored first at the beginning.
    pub messages: Vec<MessageView>,
    /// Rows that were read.
    pub read: u64,
    /// Where to go on; nothing at the end.
    pub next: Option<SearchPlace>,
}

/// A place in the history of a store. As text it says nothing outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchPlace(Place);

/// Not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no place to go on from")]
pub struct SearchPlaceError;

impl std::fmt::Display for SearchPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:x}", self.0.chat, self.0.number)
    }
}

impl FromStr for SearchPlace {
    type Err = SearchPlaceError;

    fn from_str(text: &str) -> Result<Self, SearchPlaceError> {
        let (chat, number) = text.split_once('-').ok_or(SearchPlaceError)?;
        let number = u64::from_str_radix(number, 16).map_err(|_| SearchPlaceError)?;
        let id = u128::from_str_radix(chat, 16).map_err(|_| SearchPlaceError)?;
        Ok(Self(Place { chat: ChatId(id.to_be_bytes()), number }))
    }
}

/// Looks through a stretch of the history, from the newest message of a chat to the oldest, chat by chat.
pub fn search<V: View>(view: &V, filter: &SearchFilter) -> StoreResult<Found, V> {
    let needle = Needle::new(&filter.text);
    let limit = filter.limit.clamp(1, QUERY_ROWS);
    let mut range = filter.chat.map_or_else(Range::all, |chat| Range::prefix(&chat.to_bytes()));
    if let Some(SearchPlace(place)) = filter.from {
        range.to = Some(place.to_bytes());
    }
    let (mut found, mut failure, mut next) = (Vec::new(), None, None);
    let mut read = 0_u64;
    let wanted = |row: &[u8]| needle.may_be_in(row);
    let scanned = view.sift(Table::Message, &range, Order::Descending, &wanted, &mut |key, value| {
        read = read.saturating_add(1);
        let Some(place) = Place::from_bytes(key) else { return ControlFlow::Continue(()) };
        if let Some(value) = value {
            match rows::read::<MessageRecord, V::Error>(&value) {
                Ok(record) if needle.is_in(&record.text) => {
                    keep(&mut found, (record.stored, place, record), limit)
                }
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        // Within a chat the newest come first.
        let enough = filter.chat.is_some() && found.len() >= limit;
        if enough || read >= SEARCH_ROWS {
            next = Some(SearchPlace(place));
        }
        if failure.is_some() || next.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    scanned.map_err(ReadError::Store)?;
    if let Some(error) = failure {
        return Err(error);
    }
    newest(&mut found, limit);
    let mut chats = Chats::default();
    let mut messages = Vec::with_capacity(found.len());
    for (_, place, record) in found {
        // One of a group that is being forgotten belongs to nobody.
        let of = chat::find(view, &place.chat)?;
        if of.is_some_and(|chat| !matches!(chat, chat::Chat::Group(group) if group.forgotten)) {
            messages.push(chats.show(view, place, record)?);
        }
    }
    Ok(Found { messages, read, next })
}

type Hit = (Timestamp, Place, MessageRecord);

/// Keeps a hit, and of many the newest.
fn keep(found: &mut Vec<Hit>, hit: Hit, limit: usize) {
    found.push(hit);
    if found.len() >= limit.saturating_mul(2) {
        newest(found, limit);
    }
}

fn newest(found: &mut Vec<Hit>, limit: usize) {
    found.sort_by_key(|(stored, place, _)| (*stored, *place));
    found.drain(..found.len().saturating_sub(limit));
}

/// What is looked for, in lower case.
struct Needle {
    text: String,
    probe: Probe,
}

/// What the bytes of a row have to contain, at the least.
enum Probe {
    /// ASCII letters, in any case.
    Ascii(Vec<u8>),
    /// One of these: the first letter, in lower and in upper case.
    Letter([String; 2]),
}

impl Needle {
    fn new(text: &str) -> Self {
        let text = text.to_lowercase();
        let runs = text.split(|c: char| !c.is_ascii());
        let longest = runs.max_by_key(|run| run.len()).filter(|run| !run.is_empty());
        let probe = match longest {
            Some(run) => Probe::Ascii(run.as_bytes().to_vec()),
            None => {
                let first: String = text.chars().take(1).collect();
                Probe::Letter([first.to_uppercase(), first])
            }
        };
        Self { text, probe }
    }

    /// Whether a row is worth decoding. Text stands in it as it is.
    fn may_be_in(&self, row: &[u8]) -> bool {
        match &self.probe {
            Probe::Ascii(run) => {
                let Some(first) = run.first() else { return true };
                memchr2_iter(*first, first.to_ascii_uppercase(), row).any(|at| {
                    let here = row.get(at..at.saturating_add(run.len()));
                    here.is_some_and(|here| here.eq_ignore_ascii_case(run))
                })
            }
            Probe::Letter(cases) => cases.iter().any(|case| memmem::find(row, case.as_bytes()).is_some()),
        }
    }

    fn is_in(&self, text: &Text) -> bool {
        matches!(text, Text::Plain(text) if text.to_lowercase().contains(&self.text))
    }
}

/// Whether something can be looked for.
pub fn is_searchable(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= SEARCH_TEXT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_script() {
        for (text, query) in [
            ("Deploy DONE", "done"),
            ("deploy done", "Y DO"),
            ("Привет, мир", "привет"),
            ("ПРИВЕТ", "Привет"),
            ("Über uns", "über"),
            ("日本語", "本"),
            ("naïve café", "CAFÉ"),
        ] {
            let needle = Needle::new(query);
            let record = Text::Plain(text.to_owned());
            assert!(needle.may_be_in(text.as_bytes()) && needle.is_in(&record), "{query} in {text}");
        }
        let needle = Needle::new("done");
        assert!(!needle.may_be_in(b"don") && !needle.is_in(&Text::Plain("undo".into())));
        assert!(!needle.is_in(&Text::Withdrawn));
    }

    #[test]
    fn a_place_survives_as_text() {
        let place = SearchPlace(Place { chat: ChatId([9; 16]), number: 300 });
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "-", "zz-1", "09-"] {
            assert_eq!(bad.parse::<SearchPlace>(), Err(SearchPlaceError), "{bad}");
        }
    }
}
