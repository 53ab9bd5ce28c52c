//! `hermesctl chat`

use std::time::Duration;

use hermes_api::{ChatSettings, Exit, MuteChat, SetTtl};
use jiff::tz::TimeZone;

use crate::{
    cli::{self, OffOr},
    duration,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    render::message::local_time,
    stop::Stop,
};

/// What `chat mute` means without a time.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(crate) async fn run(command: cli::Chat, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let which = match command {
        cli::Chat::Show { .. } => 0..2,
        cli::Chat::Mute { .. } => 0..1,
        cli::Chat::Ttl { .. } => 1..2,
    };
    let settings = match command {
        cli::Chat::Show { chat } => {
            invocation.daemon.repeatable(async |client| client.chat(&account, &chat).await).await?
        }
        cli::Chat::Mute { chat, time } => {
            let seconds = match time {
                None => Some(FOR_EVER.as_secs()),
                Some(OffOr::Off) => None,
                Some(OffOr::For(time)) => Some(time.as_secs()),
            };
            let mute = MuteChat { seconds };
            invocation.daemon.repeatable(async |client| client.mute(&account, &chat, mute).await).await?
        }
        cli::Chat::Ttl { chat, time } => {
            let seconds = match time {
                OffOr::Off => None,
                OffOr::For(time) => Some(time.as_secs()),
            };
            let ttl = SetTtl { seconds };
            invocation.daemon.repeatable(async |client| client.set_ttl(&account, &chat, ttl).await).await?
        }
    };
    if invocation.output.format == Format::Json {
        invocation.output.json(&settings)?;
        return Ok(Exit::Ok);
    }
    lines(&settings)[which].iter().for_each(|line| invocation.output.line(line));
    Ok(Exit::Ok)
}

fn lines(settings: &ChatSettings) -> [Line; 2] {
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
            let time = duration::exact(Duration::from_secs(u64::from(seconds)));
            format!(": messages are deleted {time} after they are read, at both ends")
        }
    };
    [name().plain(sound), name().plain(texts)]
}
