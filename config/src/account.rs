//! Names of accounts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::ACCOUNT_NAME_CHARS;

/// The local label of an account: 1 to 32 of `a-z`, `0-9`, `_` and `-`, starting with a letter or digit.
/// It becomes a directory and a file name, so nothing else may pass for one; a leading `-` would read as a flag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

/// What is wrong with an account name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    /// Nothing, or more than 32 characters.
    #[error("an account name has 1 to {ACCOUNT_NAME_CHARS} characters")]
    Length,
    /// A character that no account name has.
    #[error("an account name has only a-z, 0-9, _ and -, and starts with a letter or a digit")]
    Character,
}

impl AccountName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if !text.chars().all(allowed) || text.starts_with(['_', '-']) {
            return Err(AccountNameError::Character);
        }
        if text.is_empty() || text.len() > ACCOUNT_NAME_CHARS {
            return Err(AccountNameError::Length);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for AccountName {
    type Error = AccountNameError;

    fn try_from(text: String) -> Result<Self, AccountNameError> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_nothing_that_leaves_its_directory() {
        for name in ["a", "alice", "ci-bot_2", "0", &"x".repeat(32)] {
            assert_eq!(name.parse::<AccountName>().unwrap().as_str(), name);
        }
        for name in ["", &"x".repeat(33)] {
            assert_eq!(name.parse::<AccountName>(), Err(AccountNameError::Length));
        }
        for name in ["..", "a/b", "Alice", "-a", "_a", "a b", "é", "a\0", "."] {
            assert_eq!(name.parse::<AccountName>(), Err(AccountNameError::Character), "{name:?}");
        }
    }
}
