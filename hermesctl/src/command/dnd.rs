//! `hermesctl dnd`

use hermes_api::{Exit, SetDnd};
use jiff::tz::TimeZone;

use super::chat::FOR_EVER;
use crate::{
    cli::{self, OffOr},
    invocation::Invocation,
    output::{Format, GOOD, Line},
    render::message::local_time,
    stop::Stop,
};

pub(crate) async fn run(args: cli::Dnd, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let seconds = match args.time {
        None => Some(FOR_EVER.as_secs()),
        Some(OffOr::Off) => None,
        Some(OffOr::For(time)) => Some(time.as_secs()),
    };
    let dnd = SetDnd { seconds };
    let settled = invocation.daemon.repeatable(async |client| client.set_dnd(&account, dnd).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&settled)?;
        return Ok(Exit::Ok);
    }
    let text = match (settled.until, args.time) {
        (None, _) => "you can be disturbed".to_owned(),
        (Some(_), None) => "you are left alone, until hermesctl dnd off".to_owned(),
        (Some(until), Some(_)) => {
            format!("you are left alone until {}", local_time(until, &TimeZone::system()))
        }
    };
    invocation.output.line(&Line::default().styled(GOOD, "✓ ").plain(text));
    Ok(Exit::Ok)
}
