//! Where Hermes keeps things and what its configuration file may say.
//!
//! [`Paths`] answers every "where", [`Config`] every "how" that a file decides, [`AccountName`] and [`SocketPath`]
//! are the two values that must be right before they become part of a path. [`KEYS`] lists every key that a
//! file or a `HERMES_*` variable may set, [`Layers`] says where each value comes from. Deliberately absent: the list of
//! accounts, which is what lies in the data directory.

pub mod account;
pub mod audience;
pub mod file;
pub mod keys;
pub mod layers;
pub mod limits;
pub mod log;
pub mod paths;
pub mod preview;
pub mod socket;
pub mod unit;
pub mod write;

pub use account::{AccountName, AccountNameError};
pub use audience::Audience;
pub use file::{ConfigError, EXAMPLE};
pub use keys::{Config, KEYS, Key, Notifications, Privacy, TakesEffect};
pub use layers::{Layers, Origin};
pub use log::{LogLevel, LogLevelError};
pub use paths::{Paths, PathsError};
pub use preview::Preview;
pub use socket::{SocketPath, SocketPathError};
pub use write::WriteError;
