//! Completion: a shell asks this program what could stand at a place of its line, and it asks the daemon for names.
//!
//! Whatever goes wrong, the user is typing: nothing is printed, nothing is started, and after a moment there are no names.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use clap::{Arg, CommandFactory};
use clap_complete::{
    ArgValueCompleter, CompletionCandidate,
    env::{CompleteEnv, Shells},
};
use hermes_api::{Body, Client, Direction, ErrorCode, KeyKind, LogQuery, Message, MessageState, Problem};
use hermes_config::KEYS;

use crate::{
    clean,
    cli::{Cli, Color, Global, Shell},
    invocation::{Basis, Invocation},
    limits,
    output::{Notes, Output},
    render::message::first_words,
    stop::Stop,
};

/// The variable in which a shell says that it asks.
const VARIABLE: &str = "HERMES_COMPLETE";

/// Answers a shell and ends the program, if one asks.
pub(crate) fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: Shell) -> Result<Vec<u8>, Stop> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Elvish => "elvish",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let shells = Shells::builtins();
    let unknown = || Problem::new(ErrorCode::Internal, format!("{name} is not supported"), "");
    let shell = shells.completer(name).ok_or_else(unknown)?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "hermesctl", "hermesctl", &program(), &mut script)?;
    Ok(script)
}

/// What the shell runs: this program, by its name where that is how it was found.
fn program() -> String {
    let named = std::env::args_os().next().map(PathBuf::from);
    match named {
        Some(path) if path.components().count() > 1 => {
            std::env::current_exe().map_or_else(|_| "hermesctl".to_owned(), |path| path.display().to_string())
        }
        _ => "hermesctl".to_owned(),
    }
}

/// The grammar, in which arguments that are names know where to ask for them.
fn command() -> clap::Command {
    with_names(Cli::command(), "")
}

/// The same for all commands below. Arguments are known by their names, so that a new command has its completion by
/// calling things what the others call them.
fn with_names(command: clap::Command, parent: &str) -> clap::Command {
    let parent = parent.to_owned();
    let command = command.mut_args(|arg| match names_of(&parent, arg.get_id().as_str()) {
        Some(names) => with(arg, names),
        None => arg,
    });
    command.mut_subcommands(|below| {
        let name = match parent.is_empty() {
            true => below.get_name().to_owned(),
            false => parent.clone(),
        };
        with_names(below, &name)
    })
}

fn with(arg: Arg, names: Names) -> Arg {
    arg.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(names, typed)))
}

/// Kinds of names.
#[derive(Clone, Copy, Debug)]
enum Names {
    Accounts,
    Contacts,
    Groups,
    Chats,
    Requests,
    /// Messages, like bob#42.
    Messages,
    /// Chats, and messages once a chat is named.
    ChatsAndMessages,
    /// Only those of the account itself.
    OwnMessages,
    /// Only those of them that have not left.
    WaitingMessages,
    /// Programs that listen to events.
    Consumers,
    /// A few words that are always the same.
    Words(fn() -> Vec<&'static str>),
}

/// What an argument of a top-level command, or of a command below it, names.
fn names_of(command: &str, argument: &str) -> Option<Names> {
    match (command, argument) {
        (_, "account" | "account_to_remove") => Some(Names::Accounts),
        ("read", "messages") => Some(Names::ChatsAndMessages),
        ("react", "message") | ("send", "reply") => Some(Names::Messages),
        ("edit" | "unsend", "message" | "messages") => Some(Names::OwnMessages),
        ("outbox", "messages") => Some(Names::WaitingMessages),
        ("events", "consumers") => Some(Names::Consumers),
        ("keys", "to") | ("init" | "restore", "keys") => {
            Some(Names::Words(|| KeyKind::ALL.iter().map(|kind| kind.as_str()).collect()))
        }
        ("config", "key") => Some(Names::Words(|| KEYS.iter().map(|key| key.name).collect())),
        ("chat", "time") => Some(Names::Words(|| vec!["off"])),
        ("dnd", "time") => Some(Names::Words(|| vec!["on", "off"])),
        (_, "chat" | "to" | "words" | "from") => Some(Names::Chats),
        ("contact", "name" | "old") | (_, "contact" | "contacts" | "member" | "members") => {
            Some(Names::Contacts)
        }
        ("requests", "name") => Some(Names::Requests),
        (_, "group") => Some(Names::Groups),
        _ => None,
    }
}

fn candidates(names: Names, typed: &OsStr) -> Vec<CompletionCandidate> {
    // zsh passes words on as they are typed, with what it put before a #; no name has one of these.
    let typed = typed.to_string_lossy().replace('\\', "");
    let mut found = match names {
        Names::Words(words) => words().into_iter().map(CompletionCandidate::new).collect(),
        names => asked(names, &typed),
    };
    found.retain(|candidate| candidate.get_value().to_string_lossy().starts_with(&typed));
    found
}

/// What the daemon knows, if it says so in time.
fn asked(names: Names, typed: &str) -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let asked = runtime.block_on(async { tokio::time::timeout(limits::COMPLETION, ask(names, typed)).await });
    asked.ok().and_then(Result::ok).unwrap_or_default()
}

async fn ask(names: Names, typed: &str) -> Result<Vec<CompletionCandidate>, Stop> {
    let global = global(std::env::args_os());
    let basis = Basis::new(&global, Output::new(&global), Notes::new(&global))?;
    let invocation = Invocation::new(&global, basis)?;
    let client = &invocation.daemon.client;
    let named = |names: Vec<String>| names.into_iter().map(CompletionCandidate::new).collect();
    if matches!(names, Names::Accounts) {
        return Ok(named(client.status().await?.accounts.into_iter().map(|it| it.name).collect()));
    }
    let account = invocation.account().await?;
    // Few requests: there is little time.
    Ok(match names {
        Names::Contacts => {
            named(client.contacts(&account).await?.contacts.into_iter().map(|it| it.name).collect())
        }
        Names::Groups => named(client.groups(&account).await?.groups.into_iter().map(|it| it.name).collect()),
        Names::Requests => {
            named(client.requests(&account).await?.requests.into_iter().map(|it| it.name).collect())
        }
        Names::ChatsAndMessages if typed.contains('#') => messages(client, &account, typed, |_| true).await?,
        Names::Messages => messages(client, &account, typed, |_| true).await?,
        Names::OwnMessages => {
            messages(client, &account, typed, |message| message.direction == Direction::Out).await?
        }
        Names::WaitingMessages => {
            let waits = |message: &Message| message.state == Some(MessageState::Queued);
            messages(client, &account, typed, waits).await?
        }
        Names::Consumers => {
            let consumers = client.consumers(&account).await?.consumers;
            named(consumers.into_iter().map(|it| it.name).collect())
        }
        Names::Words(words) => named(words().into_iter().map(str::to_owned).collect()),
        // The list of chats says more, and takes longer the more there is unread.
        Names::Chats | Names::ChatsAndMessages | Names::Accounts => {
            let (contacts, groups) = tokio::try_join!(client.contacts(&account), client.groups(&account))?;
            let groups = groups.groups.into_iter().map(|it| it.name);
            named(contacts.contacts.into_iter().map(|it| it.name).chain(groups).collect())
        }
    })
}

/// The newest texts of the chat whose name was typed, or of the chats that were written in last, each with its first words
/// for those shells that show them.
async fn messages(
    client: &Client,
    account: &str,
    typed: &str,
    is_wanted: impl Fn(&Message) -> bool,
) -> Result<Vec<CompletionCandidate>, Stop> {
    let chats = match typed.split_once('#') {
        Some((chat, _)) => vec![chat.to_owned()],
        None => {
            let chats = client.chats(account).await?.chats.into_iter().map(|chat| chat.name);
            chats.filter(|name| name.starts_with(typed)).take(limits::COMPLETION_CHATS).collect()
        }
    };
    let mut found = Vec::new();
    for chat in chats {
        let query = LogQuery { limit: Some(limits::COMPLETION_MESSAGES), ..LogQuery::default() };
        let page = client.log(account, &chat, &query).await?;
        found.extend(page.messages.iter().rev().filter(|message| is_wanted(message)).filter_map(candidate));
    }
    Ok(found)
}

fn candidate(message: &Message) -> Option<CompletionCandidate> {
    let Body::Text { text } = &message.body else { return None };
    let words = format!("{}: {}", message.from, first_words(text));
    let words = clean::line(&words).into_owned();
    Some(CompletionCandidate::new(&message.reference).help(Some(words.into())))
}

/// The options of every command, as far as they matter here, out of a line that is not finished.
fn global(words: impl Iterator<Item = OsString>) -> Global {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let value = |names: [&str; 2], variable: &str| {
        let at = words.iter().position(|word| names.contains(&word.as_str()));
        let behind = at.and_then(|at| words.get(at + 1)).cloned();
        let joined =
            words.iter().find_map(|word| word.strip_prefix(names[1])?.strip_prefix('=').map(str::to_owned));
        behind.or(joined).or_else(|| std::env::var(variable).ok())
    };
    Global {
        json: false,
        account: value(["-a", "--account"], "HERMES_ACCOUNT").and_then(|name| name.parse().ok()),
        socket: value(["--socket", "--socket"], "HERMES_SOCKET").map(PathBuf::from),
        color: Color::Never,
        quiet: true,
        verbose: false,
        no_input: true,
        no_autostart: true,
    }
}

/// The manual pages, one for each command; how many there are in the end.
pub(crate) fn manual(directory: &Path) -> Result<usize, Problem> {
    let write = || {
        std::fs::create_dir_all(directory)?;
        clap_mangen::generate_to(Cli::command(), directory)?;
        Ok(std::fs::read_dir(directory)?.filter_map(Result::ok).filter(is_page).count())
    };
    write().map_err(|error: io::Error| {
        let message = format!("cannot write manual pages into {}: {error}", directory.display());
        Problem::new(ErrorCode::Io, message, "name a directory that you may write to")
    })
}

fn is_page(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with("hermesctl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::message::tests::incoming;

    #[test]
    fn arguments_that_are_names_are_asked_for() {
        let command = command();
        let asks = |path: &[&str], argument: &str| {
            let mut at = &command;
            for name in path {
                at = at.find_subcommand(name).expect("a command");
            }
            let found = at.get_arguments().find(|arg| arg.get_id() == argument).expect("an argument");
            found.get::<ArgValueCompleter>().is_some()
        };
        assert!(asks(&["send"], "words") && asks(&["send"], "to") && asks(&["log"], "chat"));
        assert!(asks(&["contact", "show"], "name") && asks(&["contact", "rename"], "old"));
        assert!(asks(&["group", "show"], "group") && asks(&["group", "add"], "members"));
        assert!(asks(&["on"], "from") && !asks(&["init"], "name") && !asks(&["contact", "rename"], "new"));
        assert!(asks(&[], "account"));
        assert!(asks(&["react"], "message") && asks(&["edit"], "message") && asks(&["unsend"], "messages"));
        assert!(asks(&["read"], "messages") && asks(&["send"], "reply"));
        assert!(asks(&["outbox", "cancel"], "messages") && !asks(&["react"], "emoji"));
        assert!(asks(&["events", "forget"], "consumers"));
    }

    #[test]
    fn words_that_are_always_the_same_are_offered_without_a_daemon() {
        let offered = |command, argument, typed: &str| {
            let names = names_of(command, argument).expect("it has names");
            let found = candidates(names, OsStr::new(typed)).into_iter();
            found.map(|it| it.get_value().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(offered("keys", "to", "pass"), ["passphrase"]);
        assert_eq!(offered("init", "keys", ""), ["file", "passphrase", "command", "credential", "keyring"]);
        assert_eq!(offered("config", "key", "privacy."), ["privacy.presence", "privacy.read_receipts"]);
        assert_eq!(offered("dnd", "time", ""), ["on", "off"]);
        assert_eq!(offered("chat", "time", ""), ["off"]);
    }

    #[test]
    fn a_message_is_offered_with_words_that_do_nothing_to_a_terminal() {
        let message =
            incoming("bob#3", "red \u{1b}[31m\nalert\u{202e} and more words than there is room for");
        let candidate = candidate(&message).unwrap();
        assert_eq!(candidate.get_value(), "bob#3");
        let help = candidate.get_help().unwrap().to_string();
        assert_eq!(help, "bob: red ␛[31m alert\u{fffd} and mor…");
    }

    #[test]
    fn the_line_that_is_typed_says_whose_names() {
        let line = |line: &str| global(line.split(' ').map(OsString::from));
        assert_eq!(line("hermesctl -- hermesctl -a bob send").account, Some("bob".parse().unwrap()));
        assert_eq!(line("hermesctl -- hermesctl --account=bob s").account, Some("bob".parse().unwrap()));
        assert_eq!(line("hermesctl --socket /run/x s").socket, Some("/run/x".into()));
    }

    #[test]
    fn there_is_a_page_for_each_command() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("man1");
        manual(&directory).unwrap();
        for page in ["hermesctl.1", "hermesctl-send.1", "hermesctl-group-add.1", "hermesctl-on.1"] {
            let text = std::fs::read_to_string(directory.join(page)).unwrap();
            assert!(text.starts_with(".ie") || text.contains(".TH"), "{page}: {text}");
        }
    }

    #[test]
    fn every_shell_has_a_script() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::Powershell, Shell::Zsh] {
            let script = String::from_utf8(super::script(shell).unwrap()).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("hermesctl"), "{shell:?}");
        }
    }
}
