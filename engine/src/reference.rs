//! Short local references to messages, like `alice#42`.
//!
//! Only what has a text of its own takes a number, so that numbers without a gap are messages without a gap. What is said
//! about messages, and notes, stand between them in the history: `alice#42.1` is the first behind `alice#42`.

use std::{fmt, str::FromStr};

use crate::{
    id::ChatId,
    row::{MessageRecord, Text},
    rows::{self, Place, StoreResult},
    store::View,
};

/// A message by the name of its chat and its number there. Stable for the life of the store, local to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The chat's name.
    pub chat: String,
    /// Counts messages from 1 in each chat, in order of display.
    pub number: u64,
    /// Counts from 1 what stands behind the message of that number and is none; 0 is the message itself.
    pub note: u64,
}

/// Not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is named like alice#42")]
pub struct ReferenceError;

/// Set in the key of a row that counts messages in its upper bits and what follows each of them in its lower ones. The rows
/// of older stores, where everything took a number, are counted through; newer rows stand behind them all.
const APART: u64 = 1 << 63;
/// Bits that count what follows a message; should they ever not suffice, it takes the next message's number.
const NOTE_BITS: u32 = 24;
const NOTE: u64 = (1 << NOTE_BITS) - 1;
/// The highest number of a message that a key has room for.
const HIGHEST: u64 = (1 << (63 - NOTE_BITS)) - 1;

/// The key of the row behind `last`, the last one of a chat's history.
pub(crate) fn row_behind(last: u64, text: &Text) -> u64 {
    let last = if last & APART == 0 { APART | last << NOTE_BITS } else { last };
    let before = if text.is_said() { last | NOTE } else { last };
    before.saturating_add(1)
}

/// The message that a reference names, and where it stands.
pub(crate) fn find<V: View>(
    view: &V,
    chat: ChatId,
    reference: &Reference,
) -> StoreResult<Option<(Place, MessageRecord)>, V> {
    for number in reference.rows().into_iter().flatten() {
        let place = Place { chat, number };
        if let Some(message) = rows::get(view, &place)? {
            return Ok(Some((place, message)));
        }
    }
    Ok(None)
}

impl Reference {
    /// A message by its number.
    pub fn new(chat: &str, number: u64) -> Self {
        Self { chat: chat.to_owned(), number, note: 0 }
    }

    /// What stands in a row of the history.
    pub(crate) fn of(chat: String, row: u64) -> Self {
        match row & APART {
            0 => Self { chat, number: row, note: 0 },
            _ => Self { chat, number: (row & !APART) >> NOTE_BITS, note: row & NOTE },
        }
    }

    /// The rows that it can name: of a store of today, and of an older one. Never are both there.
    fn rows(&self) -> [Option<u64>; 2] {
        let has_room = self.number <= HIGHEST && self.note <= NOTE;
        let apart = has_room.then_some(APART | self.number << NOTE_BITS | self.note);
        let through = (self.note == 0 && self.number & APART == 0).then_some(self.number);
        [apart, through]
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.chat, self.number)?;
        match self.note {
            0 => Ok(()),
            note => write!(f, ".{note}"),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (chat, number) = text.rsplit_once('#').ok_or(ReferenceError)?;
        let (number, note) = match number.split_once('.') {
            Some((number, note)) => (number, count(note).filter(|note| *note > 0).ok_or(ReferenceError)?),
            None => (number, 0),
        };
        if chat.is_empty() {
            return Err(ReferenceError);
        }
        Ok(Self { chat: chat.to_owned(), number: count(number).ok_or(ReferenceError)?, note })
    }
}

fn count(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(row: u64) -> String {
        Reference::of("bob".to_owned(), row).to_string()
    }

    #[test]
    fn messages_are_counted_and_the_rest_stands_between_them() {
        let (said, note) = (Text::Plain("hi".to_owned()), Text::TimerSet(None));
        let mut last = 0;
        let names = [&note, &said, &note, &note, &said, &said, &note].map(|text| {
            let row = row_behind(last, text);
            assert!(row > last, "the history is in order");
            last = row;
            named(row)
        });
        assert_eq!(names, ["bob#0.1", "bob#1", "bob#1.1", "bob#1.2", "bob#2", "bob#3", "bob#3.1"]);
        // Behind the rows of an older store, with the numbers that follow.
        assert_eq!(named(row_behind(57, &note)), "bob#57.1");
        assert_eq!(named(row_behind(57, &said)), "bob#58");
        assert_eq!(named(row_behind(APART | 5 << NOTE_BITS | NOTE, &note)), "bob#6");
    }

    #[test]
    fn a_reference_is_read_as_it_is_written() {
        for text in ["bob#0.1", "bob#1", "a#b#18446744073709551615", "bob#3.7"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for text in ["bob", "#1", "bob#", "bob#1.", "bob#1.0", "bob#.1", "bob#+1", "bob#1.1.1", "bob#-1"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        // What no row can have names none, instead of another one.
        assert_eq!(Reference::new("bob", u64::MAX).rows(), [None, None]);
        assert_eq!(Reference { note: NOTE + 1, ..Reference::new("bob", 1) }.rows(), [None, None]);
    }
}
