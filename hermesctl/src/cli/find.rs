//! `hermesctl search`, `outbox` and `dnd`

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::duration;

pub(crate) const SEARCH_HELP: &str = "\
Finds words as they stand in messages, in upper or lower case. Messages are stored encrypted, so \
that a search reads them all; in one chat it ends as soon as it has enough.";

pub(crate) const CANCEL_HELP: &str = "\
A message that has not left is not sent any more, and stays in your log as failed. Should the relay \
have it already, it is withdrawn: its reader is not shown it.";

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for
    #[arg(value_name = "QUERY")]
    pub(crate) text: String,
    /// Only in the chat with this contact, or in this group
    #[arg(long = "in", value_name = "CHAT")]
    pub(crate) chat: Option<String>,
    /// At most this many, the newest
    #[arg(short, long = "limit", value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) n: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Outbox {
    /// List what waits to leave, since when, and why
    #[command(alias = "list")]
    Ls {
        /// Only what is for this contact or group
        chat: Option<String>,
    },
    /// Try again at once
    Retry,
    /// Keep messages from leaving
    #[command(after_help = CANCEL_HELP)]
    Cancel {
        /// Messages, like bob#42
        #[arg(value_name = "REF", required = true)]
        messages: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Dnd {
    /// For how long, like 2h, `on` until you end it, or `off`; without it only shows how it is
    #[arg(value_name = "TIME", value_parser = quiet)]
    pub(crate) time: Option<Quiet>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Quiet {
    On,
    Off,
    For(Duration),
}

fn quiet(text: &str) -> Result<Quiet, String> {
    match text {
        "on" => Ok(Quiet::On),
        "off" => Ok(Quiet::Off),
        text => duration::parse(text).map(Quiet::For),
    }
}
