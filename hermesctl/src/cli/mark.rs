//! `hermesctl react`, `edit` and `unsend`

use clap::Args;

pub(crate) const REF_HELP: &str = "\
A message is named like bob#42, as inbox and log show it, by its id (--json), or as @last, the one that
arrived last.";

pub(crate) const UNSEND_HELP: &str = "\
Both sides see that a message was withdrawn. It is a promise among friends: whoever has read it has
read it, and a program without scruples keeps it.";

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
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// One of your messages, like bob#42
    #[arg(value_name = "REF")]
    pub(crate) message: String,
    /// What it is to say; `-` or nothing reads it from standard input
    pub(crate) text: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Unsend {
    /// Your messages, like bob#42
    #[arg(value_name = "REF", required = true)]
    pub(crate) messages: Vec<String>,
}
