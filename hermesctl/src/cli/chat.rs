//! `hermesctl chat`

use std::time::Duration;

use clap::Subcommand;

use crate::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Chat {
    /// Show what is settled for a chat
    Show {
        /// The contact or the group
        chat: String,
    },
    /// Be left alone by a chat: its messages arrive and wait in the inbox
    Mute {
        /// The contact or the group
        chat: String,
        /// For how long, like 8h, or `off`; without it for good
        #[arg(value_name = "TIME", value_parser = off_or)]
        time: Option<OffOr>,
    },
    /// List chats, with what was said last
    #[command(alias = "list")]
    Ls {
        /// Archived ones too
        #[arg(long)]
        all: bool,
    },
    /// Put a chat away: it is left out of lists until a message comes in it; a muted one stays away
    Archive {
        /// The contact or the group
        chat: String,
    },
    /// Bring an archived chat back
    Unarchive {
        /// The contact or the group
        chat: String,
    },
    /// Have messages from here on deleted some time after they are read, at both ends
    #[command(after_help = TTL_HELP)]
    Ttl {
        /// The contact or the group
        chat: String,
        /// The time, like 1h or 7d, or `off`
        #[arg(value_name = "TIME", value_parser = off_or)]
        time: OffOr,
    },
}

const TTL_HELP: &str = "\
With the author the time begins when a message has left, with a reader when it was read. The other \
side is told and does the same. It is a promise among friends: whoever can read can keep.";

/// A time, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OffOr {
    Off,
    /// A time, and how it was written.
    For(Duration, String),
}

pub(super) fn off_or(text: &str) -> Result<OffOr, String> {
    match text {
        "off" => Ok(OffOr::Off),
        text => duration::parse(text).map(|time| OffOr::For(time, text.to_owned())),
    }
}
