//! `hermesctl chat`

use std::time::Duration;

use hermes_api::{Chat, ChatSettings, ChatWith, Exit, MuteChat, SetTtl};
use jiff::tz::TimeZone;

use crate::{
    cli::{self, OffOr},
    duration,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    render::{audit::counted, message::local_time},
    stop::Stop,
};

/// What `chat mute` means without a time.
pub(super) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(crate) async fn run(command: cli::Chat, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let which = match command {
        cli::Chat::Ls { .. } | cli::Chat::Show { .. } => 0..3,
        cli::Chat::Mute { .. } => 0..1,
        cli::Chat::Ttl { .. } => 1..2,
        cli::Chat::Archive { .. } | cli::Chat::Unarchive { .. } => 2..3,
    };
    let mut typed = None;
    let settings = match command {
        cli::Chat::Ls { all } => return list(&account, all, invocation).await,
        cli::Chat::Archive { chat } => {
            invocation.daemon.repeatable(async |client| client.archive(&account, &chat).await).await?
        }
        cli::Chat::Unarchive { chat } => {
            invocation.daemon.repeatable(async |client| client.unarchive(&account, &chat).await).await?
        }
        cli::Chat::Show { chat } => {
            invocation.daemon.repeatable(async |client| client.chat(&account, &chat).await).await?
        }
        cli::Chat::Mute { chat, time } => {
            let seconds = match time {
                None => Some(FOR_EVER.as_secs()),
                Some(OffOr::Off) => None,
                Some(OffOr::For(time, _)) => Some(time.as_secs()),
            };
            let mute = MuteChat { seconds };
            invocation.daemon.repeatable(async |client| client.mute(&account, &chat, mute).await).await?
        }
        cli::Chat::Ttl { chat, time } => {
            let seconds = match time {
                OffOr::Off => None,
                OffOr::For(time, text) => {
                    typed = Some(text);
                    Some(time.as_secs())
                }
            };
            let ttl = SetTtl { seconds };
            invocation.daemon.repeatable(async |client| client.set_ttl(&account, &chat, ttl).await).await?
        }
    };
    if invocation.output.format == Format::Json {
        invocation.output.json(&settings)?;
        return Ok(Exit::Ok);
    }
    lines(&settings, typed)[which].iter().for_each(|line| invocation.output.line(line));
    Ok(Exit::Ok)
}

const HEADER: [&str; 4] = ["name", "kind", "unread", "last"];

async fn list(account: &str, all: bool, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let mut chats = invocation.daemon.repeatable(async |client| client.chats(account).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&chats)?;
        return Ok(Exit::Ok);
    }
    let before = chats.chats.len();
    chats.chats.retain(|chat| all || !chat.archived);
    let hidden = before - chats.chats.len();
    let rows: Vec<_> = chats.chats.iter().map(row).collect();
    if !rows.is_empty() {
        invocation.output.table(&HEADER, &rows);
    } else if hidden == 0 {
        invocation.notes.say(&Line::new("No chats yet. hermesctl invite makes a contact."));
    }
    if hidden > 0 {
        invocation
            .notes
            .say(&Line::new(format!("{} archived: hermesctl chat ls --all", counted(hidden as u64, "chat"))));
    }
    Ok(Exit::Ok)
}

fn row(chat: &Chat) -> Vec<String> {
    let kind = match chat.with {
        ChatWith::Contact => "contact",
        ChatWith::Group => "group",
        ChatWith::Other => "",
    };
    let muted = if chat.muted_until.is_some() { ", muted" } else { "" };
    let archived = if chat.archived { ", archived" } else { "" };
    vec![
        chat.name.clone(),
        format!("{kind}{muted}{archived}"),
        chat.unread.to_string(),
        chat.last_at.map_or_else(String::new, |at| duration::short(at.before(super::now()))),
    ]
}

/// How a chat stands: its sound, how long its messages stay, its place. `typed` is what that time was given as just now.
fn lines(settings: &ChatSettings, typed: Option<String>) -> [Line; 3] {
    let name = || Line::default().styled(GOOD, "✓ ").styled(NAME, &settings.chat);
    let sound = match settings.muted_until {
        None => " is not muted".to_owned(),
        Some(until) if until.0 > crate::command::now().0.saturating_add(FOR_EVER.as_secs() * 500) => {
            " is muted".to_owned()
        }
        Some(until) => format!(" is muted until {}", local_time(until, &TimeZone::system())),
    };
    let texts = match settings.ttl_seconds {
        None => ": messages stay".to_owned(),
        Some(seconds) => {
            let time = typed.unwrap_or_else(|| duration::exact(Duration::from_secs(u64::from(seconds))));
            format!(": messages are deleted {time} after they are read, at both ends")
        }
    };
    let place = match (settings.archived, settings.muted_until) {
        (false, _) => " is not archived",
        (true, None) => " is archived, until a message comes in it",
        (true, Some(_)) => " is archived, and stays so as long as it is muted, whatever comes in it",
    };
    [name().plain(sound), name().plain(texts), name().plain(place)]
}
