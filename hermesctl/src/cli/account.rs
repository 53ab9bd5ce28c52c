//! `hermesctl account`

use clap::{Args, Subcommand};

pub(super) const ACCOUNT_HELP: &str = "\
`hermesctl init` makes an account, `restore` makes one of a backup.

What `rm` removes is gone: the keys, the contacts, the messages on this machine. Nobody is told. What \
contacts still send waits at the relay, where nobody can read it, until it expires. Other members of a \
group see a member who is never there: leave groups first.";

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// List the accounts of this machine
    #[command(alias = "list")]
    Ls,
    /// Remove an account and everything that it has
    #[command(alias = "remove")]
    Rm(RemoveAccount),
}

#[derive(Debug, Args)]
pub(crate) struct RemoveAccount {
    /// The account
    #[arg(value_name = "NAME")]
    pub(crate) account_to_remove: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

pub(super) const PROFILE_HELP: &str = "\
Contacts are told, and see it in `contact show`; what they call you in their own lists is theirs to say. \
Groups that you are in go on to show the name under which you joined.

  hermesctl profile
  hermesctl profile --name 'Alice at the fair'";

#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// What you are called from here on, at most 64 characters
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}
