//! The command line's grammar.

mod account;
mod chat;
mod config;
mod contact;
mod daemon;
mod find;
mod group;
mod keys;
mod mark;
mod request;
mod scripts;
mod slip;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use hermes_api::KeyKind;
use hermes_config::AccountName;

use self::{
    account::{ACCOUNT_HELP, PROFILE_HELP},
    contact::PING_HELP,
    find::SEARCH_HELP,
    keys::{BACKUP_HELP, RESTORE_HELP},
    mark::{REF_HELP, UNSEND_HELP},
    request::REQUESTS_HELP,
};
pub(crate) use self::{
    account::{Account, Profile, RemoveAccount},
    chat::{Chat, OffOr},
    config::Config,
    contact::{Contact, KeyPolicy, Ping, RemoveContact, Verify},
    daemon::{Daemon, Logs},
    find::{Dnd, Outbox, Quiet, Search},
    group::Group,
    keys::{Backup, Export, Keys, Restore},
    mark::{Edit, Patience, React, Told, Unsend},
    request::Requests,
    scripts::{Api, Completion, Events, Man, On, Shell},
    slip::parse,
};
use crate::duration;

/// How long `send --wait` waits unless told otherwise.
const WAIT: &str = "30s";

/// Messages that `log` shows unless told otherwise.
const LOG_MESSAGES: &str = "20";

/// Send and receive end-to-end encrypted messages.
#[derive(Debug, Parser)]
#[command(name = "hermesctl", version, arg_required_else_help = true)]
#[command(after_help = "\
Exit codes:
  0 done or queued       1 failure            2 usage
  3 daemon unreachable   4 locked             5 not found
  6 identity changed     7 partial failure    8 wait timed out   130 interrupted")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Print JSON documents, versioned with "v":1
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The account to use [env: HERMES_ACCOUNT]
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) account: Option<AccountName>,
    /// The daemon's socket
    #[arg(long, global = true, value_name = "PATH", env = "HERMES_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Colour the output: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: Color,
    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say which account and which daemon are used
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Never ask: fail where input would be needed
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Do not start hermesd [env: HERMES_NO_AUTOSTART]
    #[arg(long, global = true)]
    pub(crate) no_autostart: bool,
}

/// Automatic means: on a terminal, unless NO_COLOR is set, and anywhere with CLICOLOR_FORCE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Client(ClientCommand),
    /// Show and change the configuration
    #[command(subcommand)]
    Config(Config),
    /// Look at all that has to be right, say what is not, what to do
    Doctor,
    /// Print what a helper has to know, without names and texts
    Bugreport(Bugreport),
    /// Watch a relay and three people at work, in about ten seconds
    Demo,
    /// Print a script that lets a shell complete commands and names
    #[command(after_help = scripts::COMPLETION_HELP)]
    Completion(Completion),
    /// Write the manual pages into a directory
    Man(Man),
}

/// What is done with things of one kind; where nothing is said, they are listed.
#[derive(Debug, Args)]
pub(crate) struct OrList<T: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: Option<T>,
}

/// What is asked of the user's daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Make an account: its keys, its store, its mailbox at a relay
    Init(Init),
    /// List accounts, remove one
    #[command(alias = "accounts", after_help = ACCOUNT_HELP)]
    Account(OrList<Account>),
    /// Show how you are called for others, or change it
    #[command(after_help = PROFILE_HELP)]
    Profile(Profile),
    /// Print a link that makes one person a contact, or one to publish
    Invite(Invite),
    /// Accept the link that someone else printed
    Accept(Accept),
    /// Show who asks to be a contact, accept or reject them
    #[command(alias = "request", after_help = REQUESTS_HELP)]
    Requests(OrList<Requests>),
    /// Show, verify and rename contacts
    #[command(alias = "contacts")]
    Contact(OrList<Contact>),
    /// Show who is online, when they were seen, how sessions stand
    Peers,
    /// Take nothing more of a contact, and have the relay refuse it
    Block {
        /// The contact
        contact: String,
    },
    /// Let a blocked contact write again
    Unblock {
        /// The contact
        contact: String,
    },
    /// Ask a contact's daemon for a sign of life
    #[command(after_help = PING_HELP)]
    Ping(Ping),
    /// Make groups, change them, see who is in them
    #[command(alias = "groups")]
    Group(OrList<Group>),
    /// List chats, mute, archive one, have its messages deleted in time
    #[command(alias = "chats")]
    Chat(OrList<Chat>),
    /// Send a message
    #[command(visible_alias = "s", after_help = SEND_HELP, override_usage = SEND_USAGE)]
    Send(Send),
    /// Show unread messages and mark them read
    #[command(visible_alias = "i", aliases = ["receive", "recv"])]
    Inbox(Inbox),
    /// React to a message with an emoji, or take it back
    #[command(after_help = REF_HELP)]
    React(React),
    /// Change what one of your messages says, for all who have it
    #[command(after_help = REF_HELP)]
    Edit(Edit),
    /// Withdraw one of your messages: it is deleted wherever it is
    #[command(after_help = UNSEND_HELP)]
    Unsend(Unsend),
    /// Show messages in full, or what is unread of a chat; marks read
    Read(Read),
    /// Show the messages of a chat, both ways
    Log(Log),
    /// Find messages
    #[command(after_help = SEARCH_HELP)]
    Search(Search),
    /// Show what waits to leave, try again, keep messages from leaving
    Outbox(OrList<Outbox>),
    /// Be left alone for a while: messages arrive and wait in the inbox
    Dnd(Dnd),
    /// Read and write on the whole screen
    Tui(Tui),
    /// Show which messages are missing, also those that a relay swallowed
    #[command(after_help = AUDIT_HELP)]
    Audit(Audit),
    /// Show how the daemon and its accounts are doing
    Status,
    /// Go on with this copy of an account's store instead of another
    #[command(after_help = RECOVER_HELP)]
    Recover(Recover),
    /// Write keys, contacts and messages into one encrypted file
    #[command(after_help = BACKUP_HELP)]
    Backup(Backup),
    /// Make an account of a backup
    #[command(after_help = RESTORE_HELP)]
    Restore(Restore),
    /// Write the messages of every chat as plain text, JSON lines
    Export(Export),
    /// Erase an account's keys from memory; messages wait at the relay
    Lock,
    /// Open an account that is locked
    #[command(after_help = "Where a passphrase is needed, it is asked for, or read from standard input.")]
    Unlock,
    /// Choose what protects an account's keys
    #[command(subcommand)]
    Keys(Keys),
    /// Run a command for each message that arrives
    #[command(after_help = scripts::ON_HELP)]
    On(On),
    /// Show which programs wait for the account's events, and let one go
    #[command(after_help = scripts::EVENTS_HELP)]
    Events(OrList<Events>),
    /// Ask the daemon's HTTP API, and print what it answers
    #[command(after_help = scripts::API_HELP)]
    Api(Api),
    /// Start, stop or install the daemon, read its log
    #[command(subcommand)]
    Daemon(Daemon),
}

const RECOVER_HELP: &str = "\
One store must not be used in two places. When it is, the relay lets one copy go on and the other \
one stops; on the stopped one this command takes over, begins a new session with every contact, \
and stops the other. On the copy that goes on, it ends the alarm that status shows.";

const SEND_USAGE: &str = "hermesctl send [OPTIONS] TO... [TEXT|-]";

const SEND_HELP: &str = "\
The last of several arguments is the text. With `-` in its place, or with a contact alone, the \
text comes from standard input, less one newline at its end. It has at most 16384 bytes.

  hermesctl send bob 'deploy done'
  hermesctl send bob carol 'deploy done' --wait
  journalctl -n 20 | hermesctl send bob carol -
  hermesctl send -r bob#42 'on my way'
  hermesctl send bob -- '-5 degrees'

With --wait, a group's message is delivered when all members who are contacts of yours have it; \
others confirm nothing.";

const AUDIT_HELP: &str = "\
Senders number their messages in each chat, so a missing one shows as soon as a later one is here. \
The last messages of a chat are missed by their sender only: as not confirmed. What a contact sent \
while you blocked it was refused; it is shown, and is not missing.

Exit code: 0 when nothing is missing and nothing contradicts anything, else 1. A message that is \
not confirmed may just be waiting for its recipient, and does not count.";

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The account's label here and its first name for others: a-z, 0-9, _ and -
    #[arg(long)]
    pub(crate) name: AccountName,
    /// The relay's address, as the relay printed it: hermes://HOST:PORT#PIN; or its name, hermes://HOST, if it has a certificate
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) relay: String,
    /// A file with the relay's registration token; without it the token is asked for when the relay wants one
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// What protects the keys: file, passphrase, command, credential or keyring; file when not said
    #[arg(long, value_name = "KIND")]
    pub(crate) keys: Option<KeyKind>,
}

#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// How long it can be accepted, like 30m, 24h or 7d; 24h when not said, 30d with --requests
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) expires: Option<Duration>,
    /// Make a link to publish: many can use it, and none is a contact before you accept them
    #[arg(long)]
    pub(crate) requests: bool,
    /// Show a QR code too
    #[arg(long)]
    pub(crate) qr: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// The link; `-` or nothing reads it from standard input
    #[arg(value_name = "LINK")]
    pub(crate) link: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Read {
    /// Messages, like bob#42; @last is the one that arrived last. A contact or a group means what is unread of it
    #[arg(value_name = "REF|CHAT", required = true)]
    pub(crate) messages: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Contacts or groups, and the text at the end
    #[arg(value_name = "TO|TEXT", required_unless_present = "to")]
    pub(crate) words: Vec<String>,
    /// The text; every argument is then a recipient
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// A contact or a group; may be repeated. With it, a single argument is the text
    #[arg(long, value_name = "TO")]
    pub(crate) to: Vec<String>,
    /// The message that this answers, like bob#42; a single word is then the text
    #[arg(long = "reply", short = 'r', value_name = "REF")]
    pub(crate) reply: Option<String>,
    /// Wait until the relay, or with `delivered` (the default) the recipient's daemon, has it on its disk; or with
    /// `read` until the recipient has seen it
    #[arg(long, value_name = "STATE", num_args = 0..=1, require_equals = true, default_missing_value = "delivered")]
    pub(crate) wait: Option<WaitFor>,
    /// How long to wait, like 30s or 5m
    #[arg(long, value_name = "DURATION", requires = "wait", default_value = WAIT, value_parser = duration::parse)]
    pub(crate) timeout: Duration,
    /// Delete it after this time at both ends, like 1h: yours once it has left, theirs once they have read it
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) ttl: Option<Duration>,
    /// The message's idempotency key: the same command with the same key sends once
    #[arg(long, value_name = "KEY", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) id: Option<String>,
}

/// On the relay's disk, on the recipient's, or seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    Relayed,
    Delivered,
    Read,
}

#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Only messages from this contact, or in this group
    #[arg(long, value_name = "CHAT")]
    pub(crate) from: Option<String>,
    /// Only messages that arrived within this time, like 2h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) since: Option<Duration>,
    /// At most this many, the oldest first
    #[arg(short, long = "limit", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n: Option<u32>,
    /// Leave them unread
    #[arg(long)]
    pub(crate) peek: bool,
    /// Stay and show messages as they arrive
    #[arg(long, short = 'F', conflicts_with = "n")]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The contact or the group
    pub(crate) chat: String,
    /// At most this many, the newest
    #[arg(short, long = "limit", value_name = "N", default_value = LOG_MESSAGES, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Tui {
    /// The contact or the group to begin with
    pub(crate) chat: Option<String>,
    /// Take the mouse: click on chats and messages, scroll with the wheel
    #[arg(long)]
    pub(crate) mouse: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Only this contact
    pub(crate) chat: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Bugreport {
    /// Write it into this file, which must not be there yet
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    /// What a page of help says, on a terminal of 80 columns; and what stands below it as it was written.
    fn pages(command: &mut clap::Command, pages: &mut Vec<String>) {
        pages.push(command.render_help().to_string());
        // A line of an example or a table that is folded is none any more.
        let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        pages.extend(below.lines().filter(|line| line.starts_with(' ')).map(str::to_owned));
        command.get_subcommands_mut().for_each(|below| self::pages(below, pages));
    }

    #[test]
    fn help_fits_on_80_columns() {
        let mut command = Cli::command().term_width(80);
        command.build();
        let mut found = Vec::new();
        pages(&mut command, &mut found);
        assert!(found.len() > 90, "{}", found.len());
        for line in found.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    /// The path of each command that has none below it.
    fn leaves(command: &clap::Command, path: &[&str], found: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let path = [path, &[below.get_name()]].concat();
            match below.has_subcommands() {
                true => leaves(below, &path, found),
                false => found.push(path.join(" ")),
            }
        }
    }

    #[test]
    fn the_list_of_commands_fits_on_80_columns() {
        let help = Cli::command().render_long_help().to_string();
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }

    #[test]
    fn every_command_is_in_a_transcript() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts");
        let mut typed = Vec::new();
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            let text = if path.is_file() { fs::read_to_string(path).unwrap() } else { String::new() };
            for line in text.lines().filter_map(|line| line.strip_prefix("$ hermesctl ")) {
                let words = line.strip_prefix("-a ").and_then(|rest| Some(rest.split_once(' ')?.1));
                typed.push(format!("{} ", words.unwrap_or(line)));
            }
        }
        let mut commands = Vec::new();
        leaves(&Cli::command(), &[], &mut commands);
        assert!(commands.len() > 50, "{commands:?}");
        let missing = |command: &String| !typed.iter().any(|line| line.starts_with(&format!("{command} ")));
        let missing: Vec<_> = commands.into_iter().filter(missing).collect();
        assert!(missing.is_empty(), "no transcript in tests/transcripts has what these print: {missing:?}");
    }

    #[test]
    fn wait_takes_its_state_only_with_an_equals_sign() {
        let wait = |line: &str| match parse(line).unwrap().command {
            Command::Client(ClientCommand::Send(send)) => (send.words, send.wait),
            other => panic!("{other:?}"),
        };
        let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        assert_eq!(wait("hermesctl send bob hi"), (words(&["bob", "hi"]), None));
        assert_eq!(wait("hermesctl s --wait bob hi"), (words(&["bob", "hi"]), Some(WaitFor::Delivered)));
        assert_eq!(
            wait("hermesctl s bob hi --wait=relayed"),
            (words(&["bob", "hi"]), Some(WaitFor::Relayed))
        );
        assert_eq!(wait("hermesctl s bob -- -hi"), (words(&["bob", "-hi"]), None));
        assert!(parse("hermesctl send bob hi --wait=seen").is_err());
        assert!(parse("hermesctl send").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "hermesctl init --name Alice --relay hermes://h:1#p",
            "hermesctl -a ../x status",
            "hermesctl send bob hi --timeout 5s",
            "hermesctl inbox -n 0",
            "hermesctl inbox -n 3 --follow",
            "hermesctl -q -v status",
            "hermesctl invite --expires soon",
            "hermesctl contact verify bob --number 1 --yes",
            "hermesctl contact verify bob --unverify --qr",
            "hermesctl contact policy bob maybe",
            "hermesctl contact rename bob",
            "hermesctl contact rm bob --keep-history --delete-history",
            "hermesctl frobnicate",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn global_flags_stand_anywhere() {
        for line in ["hermesctl --json -a alice inbox", "hermesctl inbox --json -a alice"] {
            let global = parse(line).unwrap().global;
            assert!(global.json && global.account == Some("alice".parse().unwrap()), "{line}");
        }
    }
}
