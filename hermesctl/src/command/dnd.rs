//! `hermesctl dnd`

use hermes_api::{Dnd, Exit, SetDnd, UnixMillis, V1};
use jiff::tz::TimeZone;

use super::{chat::FOR_EVER, now};
use crate::{
    cli::{self, Quiet},
    invocation::Invocation,
    output::{Format, GOOD, Line},
    render::{account::is_endless, message::local_time},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Dnd, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let Some(wanted) = args.time else { return show(&account, invocation).await };
    let seconds = match wanted {
        Quiet::On => Some(FOR_EVER.as_secs()),
        Quiet::Off => None,
        Quiet::For(time) => Some(time.as_secs()),
    };
    let dnd = SetDnd { seconds };
    let settled = invocation.daemon.repeatable(async |client| client.set_dnd(&account, dnd).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&settled)?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&Line::default().styled(GOOD, "✓ ").plain(words(settled.until)));
    Ok(Exit::Ok)
}

/// Looking changes nothing.
async fn show(account: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    let until = status.accounts.iter().find(|known| known.name == account).and_then(|known| known.dnd_until);
    if invocation.output.format == Format::Json {
        invocation.output.json(&Dnd { v: V1, until })?;
        return Ok(Exit::Ok);
    }
    invocation.output.line(&Line::new(words(until)));
    Ok(Exit::Ok)
}

fn words(until: Option<UnixMillis>) -> String {
    match until {
        None => "you can be disturbed".to_owned(),
        Some(until) if is_endless(until, now()) => "you are left alone, until hermesctl dnd off".to_owned(),
        Some(until) => format!(
            "you are left alone until {}, or hermesctl dnd off",
            local_time(until, &TimeZone::system())
        ),
    }
}
