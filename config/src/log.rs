//! How much the daemon writes to its log.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The least important line that is still written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs a person.
    Error,
    /// What a person should look at.
    Warn,
    /// Starts, stops, connections.
    #[default]
    Info,
    /// Each request and each message, without names, text or keys.
    Debug,
    /// Everything.
    Trace,
}

/// The word is no log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log level is one of error, warn, info, debug, trace")]
pub struct LogLevelError;

impl LogLevel {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word that names the level in files and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(LogLevelError)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_in_flags_and_files() {
        for level in LogLevel::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            let value = level.serialize(toml_edit::ser::ValueSerializer::new()).unwrap();
            assert_eq!(value.as_str(), Some(level.as_str()));
        }
        assert_eq!("verbose".parse::<LogLevel>(), Err(LogLevelError));
    }
}
