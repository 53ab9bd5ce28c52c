//! `hermesctl on`, `events`, `api`, `completion` and `man`: for scripts, shells and packages.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use regex_lite::Regex;

pub(super) const ON_HELP: &str = "\
Runs CMD for each text that arrives, one after the other and in order. CMD reads the event as one \
line of JSON from its standard input. Its environment has what is safe to use in a shell:

  HERMES_ACCOUNT  HERMES_FROM  HERMES_CHAT  HERMES_REF  HERMES_ID
  HERMES_SEQ  HERMES_ATTEMPT

What others wrote, texts and names of people who are no contacts, is in the JSON alone.

A message is done with when CMD has ended with 0. Whatever is stopped or killed, each message is \
handed over at least once; CMD may see one again after a crash, with the same HERMES_ID. Messages \
that come while nothing runs wait for the same command, or for the same --as NAME, however long \
that takes; hermesctl events forget NAME ends the waiting.

  hermesctl on --from ops --match '^deploy ' -- ./deploy.sh
  hermesctl on -- sh -c 'jq -r .message.text | hermesctl send \"$HERMES_FROM\" -'";

#[derive(Debug, Args)]
pub(crate) struct On {
    /// Only messages from this contact, or in this group
    #[arg(long, value_name = "CHAT")]
    pub(crate) from: Option<String>,
    /// Only texts in which this regular expression is found
    #[arg(long = "match", value_name = "REGEX", value_parser = regex)]
    pub(crate) pattern: Option<Regex>,
    /// The name under which the place in the messages is kept; without it one that is made of the arguments
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) consumer: Option<String>,
    /// How often CMD is tried again for a message before that is skipped
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) retries: u32,
    /// Mark messages read once CMD has ended with 0
    #[arg(long)]
    pub(crate) read: bool,
    /// What to run, and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

pub(super) const EVENTS_HELP: &str = "\
What happens to an account is numbered. A program that reads it under a name, as hermesctl on does, \
says up to which number it is done, and goes on there whenever it comes back. Messages wait for as \
long as it takes, other events for 30 days: forget a name that will not come back.";

/// Programs that listen under a name.
#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// List them, and how far each has come
    #[command(alias = "list")]
    Ls,
    /// Let nothing wait for them any more
    Forget {
        /// Names, as ls shows them
        #[arg(value_name = "NAME", required = true)]
        consumers: Vec<String>,
    },
}

pub(super) const API_HELP: &str = "\
Prints the answer as it is, indented on a terminal. {account} in the path stands for the account in use.

  hermesctl api GET /v1/status
  hermesctl api GET '/v1/accounts/{account}/events?kind=received'
  hermesctl api POST '/v1/accounts/{account}/messages' \\
    -d '{\"to\":[\"bob\"],\"text\":\"hi\"}'
  hermesctl api GET /v1/openapi.json";

#[derive(Debug, Args)]
pub(crate) struct Api {
    /// GET or POST
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,
    /// The path, and the query if any
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// The body, JSON; `-` reads it from standard input
    #[arg(short, long, value_name = "BODY")]
    pub(crate) data: Option<String>,
    /// The idempotency key: the same request under the same key is carried out once
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

pub(super) const COMPLETION_HELP: &str = "\
Where it goes:

  bash:  echo 'source <(hermesctl completion bash)' >> ~/.bashrc
  zsh:   echo 'source <(hermesctl completion zsh)' >> ~/.zshrc
  fish:  hermesctl completion fish > ~/.config/fish/completions/hermesctl.fish

Names of contacts, groups and accounts are asked of the daemon as you type, if it runs.";

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The directory, which is made if it is not there: one page for each command
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}
