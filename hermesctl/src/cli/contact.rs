//! `hermesctl contact` and `ping`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::duration;

/// How long `ping` waits unless told otherwise: as long as what is ephemeral may take there and back.
const PING_WAIT: &str = "10s";

#[derive(Debug, Subcommand)]
pub(crate) enum Contact {
    /// List contacts
    #[command(alias = "list")]
    Ls,
    /// Show a contact: its identity key, its safety number, how it stands
    Show {
        /// The contact
        name: String,
    },
    /// Compare safety numbers and mark a contact verified
    #[command(after_help = VERIFY_HELP)]
    Verify(Verify),
    /// Take a changed identity key as the contact's
    AcceptKey {
        /// The contact
        name: String,
    },
    /// Stay with the identity key that the contact had
    RefuseKey {
        /// The contact
        name: String,
    },
    /// Give a contact another name
    Rename {
        /// The name it has
        old: String,
        /// The name it gets: a-z, 0-9, '-', '_' and '.', at most 32
        new: String,
    },
    /// Remove a contact, with its messages or without
    #[command(alias = "remove")]
    Rm(RemoveContact),
    /// Say what happens when a contact's identity key changes
    Policy {
        /// The contact
        name: String,
        /// What happens
        policy: KeyPolicy,
    },
}

const VERIFY_HELP: &str = "\
Both of you see the same number, unless somebody stands between you. Compare it over another \
channel, in person or by telephone, or pass on what the other side sees:

  hermesctl contact verify bob
  hermesctl contact verify bob --number '12345 67890 ...'
  zbarcam --raw -1 | hermesctl contact verify bob";

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The contact
    pub(crate) name: String,
    /// What the other side sees: its 60 digits, or the text of its QR code; `-` reads it from standard input
    #[arg(long, value_name = "NUMBER", conflicts_with = "yes")]
    pub(crate) number: Option<String>,
    /// Confirm without a question, after showing the number
    #[arg(long)]
    pub(crate) yes: bool,
    /// Show the QR code too
    #[arg(long)]
    pub(crate) qr: bool,
    /// Take back that the contact is verified
    #[arg(long, conflicts_with_all = ["number", "yes", "qr"])]
    pub(crate) unverify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveContact {
    /// The contact
    pub(crate) name: String,
    /// Keep the messages; without either of these it is asked
    #[arg(long, conflicts_with = "delete_history")]
    pub(crate) keep_history: bool,
    /// Delete the messages here; what the other side has, stays there
    #[arg(long)]
    pub(crate) delete_history: bool,
}

pub(super) const PING_HELP: &str = "\
The question and its answer are kept nowhere: a daemon that is not connected never hears of it.

Exit code: 0 when it answered, 8 when it did not in time. It may be offline, or have presence set \
to nobody in its configuration.";

#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// The contact
    pub(crate) contact: String,
    /// How long to wait, like 10s
    #[arg(long, value_name = "DURATION", default_value = PING_WAIT, value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyPolicy {
    /// Nothing is sent until you accept the new key
    Stop,
    /// The new key is taken at once, unverified: for senders that nobody watches
    Accept,
}
