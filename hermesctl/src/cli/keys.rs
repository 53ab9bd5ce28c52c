//! What protects an account, and copies of it: `hermesctl keys`, `backup`, `restore`, `export`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hermes_api::KeyKind;
use hermes_config::AccountName;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Have a key drawn and shown once, instead of a passphrase of your own
    #[arg(long)]
    pub(crate) recovery_key: bool,
}

pub(super) const BACKUP_HELP: &str = "\
It has who you are, whom you know, what was said and what you have settled, encrypted under a \
passphrase (asked for, or read from standard input). It has no sessions, prekeys or keys of groups, \
so it cannot be used to read what is on its way, and sessions begin anew with whoever restores it.";

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The label of the account that is made
    #[arg(long)]
    pub(crate) name: AccountName,
    /// What protects the keys: file, passphrase, command, credential or keyring; file when not said
    #[arg(long, value_name = "KIND")]
    pub(crate) keys: Option<KeyKind>,
}

pub(super) const RESTORE_HELP: &str = "\
The account goes on here: the store that the backup was made of stops when it next connects, and \
hermesctl recover on it would turn that around. What came after the backup, contacts say again as \
far as they still have it. Groups take the account back when one of their admins is online.";

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A new or empty directory; hermes-export-ACCOUNT when not said
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// What protects an account's keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Keep the keys in another way, or under another passphrase
    #[command(after_help = KEYS_HELP)]
    Change {
        /// What is to protect them: file, passphrase, command, credential or keyring
        #[arg(long, value_name = "KIND")]
        to: KeyKind,
    },
}

const KEYS_HELP: &str = "\
The kinds are:

  file        a file that only you can read, apart from the store
  passphrase  one that is typed for each start of hermesd: hermesctl unlock
  command     the passphrase that keys.passphrase_command in config.toml prints
  credential  what systemd hands over as hermes-NAME (LoadCredential=)
  keyring     a random secret in the desktop's keyring; needs secret-tool

The way that was used before opens nothing afterwards, as far as the disk forgets.";
