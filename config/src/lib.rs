//! Where Hermes keeps things and what its configuration file may say.
//!
//! [`Paths`] answers every "where", [`Config`] every "how" that a file decides, [`AccountName`] and [`SocketPath`]
//! are the two values that must be right before they become part of a path. Flags and `HERMES_*` variables stand
//! above the files and belong to the programs that read them. Deliberately absent: writing a configuration file
//! (programs never do), and the list of accounts, which is what lies in the data directory.

pub mod account;
pub mod file;
pub mod limits;
pub mod log;
pub mod paths;
pub mod socket;

pub use account::{AccountName, AccountNameError};
pub use file::{Config, ConfigError};
pub use log::{LogLevel, LogLevelError};
pub use paths::{Paths, PathsError};
pub use socket::{SocketPath, SocketPathError};
