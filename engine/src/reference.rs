//! Short local references to messages, like `alice#42`.

use std::{fmt, str::FromStr};

/// A message by the name of its chat and its number there. Stable for the life of the store, local to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The chat's name.
    pub chat: String,
    /// Counts from 1 in each chat, in order of display.
    pub number: u64,
}

/// Not a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is named like alice#42")]
pub struct ReferenceError;

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.chat, self.number)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (chat, number) = text.rsplit_once('#').ok_or(ReferenceError)?;
        if chat.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ReferenceError);
        }
        Ok(Self { chat: chat.to_owned(), number: number.parse().map_err(|_| ReferenceError)? })
    }
}
