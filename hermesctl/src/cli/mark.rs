//! `hermesctl react`, `edit` and `unsend`

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::duration;

pub(crate) const REF_HELP: &str = "\
A message is named like bob#42, as inbox and log show it, by its id (--json), or as @last, the one that \
arrived last.";

pub(crate) const UNSEND_HELP: &str = "\
Both sides see that a message was withdrawn. It is a promise among friends: whoever has read it has \
read it, and a program without scruples keeps it.";

/// How long `--wait` waits unless told otherwise.
const WAIT: &str = "30s";

/// How far what is said about a message is waited for.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Patience {
    /// Wait until the relay, or with `delivered` (the default) the other side's daemon, has it on its disk
    #[arg(long, value_name = "STATE", num_args = 0..=1, require_equals = true, default_missing_value = "delivered")]
    pub(crate) wait: Option<Told>,
    /// How long to wait, like 30s or 5m
    #[arg(long, value_name = "DURATION", requires = "wait", default_value = WAIT, value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

/// On the relay's disk, or on the other side's. That somebody has seen it is told of messages only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Told {
    Relayed,
    Delivered,
}

#[derive(Debug, Args)]
pub(crate) struct React {
    /// The message, like bob#42
    #[arg(value_name = "REF")]
    pub(crate) message: String,
    /// An emoji; it takes the place of your last one
    #[arg(required_unless_present = "remove")]
    pub(crate) emoji: Option<String>,
    /// Take your reaction back
    #[arg(long, conflicts_with = "emoji")]
    pub(crate) remove: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// One of your messages, like bob#42
    #[arg(value_name = "REF")]
    pub(crate) message: String,
    /// What it is to say; `-` or nothing reads it from standard input
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct Unsend {
    /// Your messages, like bob#42
    #[arg(value_name = "REF", required = true)]
    pub(crate) messages: Vec<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
}
