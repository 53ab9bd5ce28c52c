//! The program's arguments.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use hermes_relay::Registration;

/// A token that is not used within a month was lost.
pub const FIRST_TOKEN_DAYS: u32 = 30;

/// Stores and forwards messages that it cannot read.
///
/// Without a command it runs the relay: the first start makes its key and its store, and prints its address.
#[derive(Parser)]
#[command(name = "hermes-relay", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Subcommand)]
pub enum Command {
    /// How the running relay fares.
    Status(Place),
    /// Registration tokens, with which new accounts are made.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Single mailboxes, by their ids.
    #[command(subcommand)]
    Mailbox(MailboxCommand),
    /// Asks all clients to come back later, and stops the running relay.
    Drain(Place),
    /// Writes the relay's key and store into one file, while the relay runs or not.
    ///
    /// The file opens no message, but whoever has it can pass for the relay: keep it as you keep keys.
    Backup {
        /// The file to write.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Reads the whole store, or a backup, and says what does not fit.
    Verify {
        /// A backup; without it, the store.
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Makes a relay of a backup, in a state directory that has none.
    Restore {
        /// The backup.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Says whether a configuration can be used.
    CheckConfig {
        /// The TOML file.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Prints a new registration token, whether the relay runs or not.
    New(NewToken),
    /// Lists the tokens: how many accounts each is still good for, and until when.
    Ls(Place),
    /// Makes a token worthless.
    Revoke {
        /// The token, or its id from `token ls`.
        token: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
pub enum MailboxCommand {
    /// What a mailbox holds.
    Show {
        /// Its id: 64 hexadecimal digits, which its owner finds with `hermesctl status --json`.
        mailbox: String,
        #[command(flatten)]
        place: Place,
    },
    /// Closes a mailbox for good, with all that waits in it.
    Delete {
        /// Its id.
        mailbox: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub struct Place {
    /// Where the relay keeps its key and its store.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub place: Place,
    /// Where to listen (UDP); port 0 takes any free one [default: 0.0.0.0:4433].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The name that clients reach it under, HOST or HOST:PORT [default: this machine's own address].
    #[arg(long, value_name = "NAME")]
    pub public_address: Option<String>,
    /// A TOML file with the relay's settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Who may make an account: token, open or closed [default: token].
    #[arg(long, value_name = "WHO", value_parser = registration)]
    pub registration: Option<Registration>,
}

#[derive(Args)]
pub struct NewToken {
    #[command(flatten)]
    pub place: Place,
    /// How many accounts it is good for.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
    /// How many days it is good for.
    #[arg(long, value_name = "DAYS", default_value_t = FIRST_TOKEN_DAYS)]
    pub days: u32,
}

fn registration(text: &str) -> Result<Registration, String> {
    match text {
        "token" => Ok(Registration::Token),
        "open" => Ok(Registration::Open),
        "closed" => Ok(Registration::Closed),
        _ => Err("say token, open or closed".to_owned()),
    }
}
