//! `hermesctl peers` and `hermesctl ping`

use hermes_api::{Exit, PingContact};

use super::now;
use crate::{
    cli,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    render::peer,
    stop::Stop,
};

/// Microseconds in a millisecond.
const MILLI: u64 = 1_000;

pub(crate) async fn list(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let peers = invocation.daemon.repeatable(async |client| client.peers(&account).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&peers)?;
        return Ok(Exit::Ok);
    }
    if peers.peers.is_empty() {
        invocation.notes.say(&Line::new("No contacts yet. hermesctl invite prints a link for someone."));
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = peers.peers.iter().map(|peer| peer::row(peer, now())).collect();
    invocation.output.table(&peer::HEADER, &rows);
    Ok(Exit::Ok)
}

pub(crate) async fn ping(args: cli::Ping, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let ping = PingContact { timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX) };
    let asked = async |client: &hermes_api::Client| client.ping(&account, &args.contact, ping).await;
    let pong = invocation.daemon.repeatable(asked).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&pong)?;
        return Ok(Exit::Ok);
    }
    let took = format!("{}.{} ms", pong.round_trip_us / MILLI, pong.round_trip_us % MILLI / 100);
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &pong.contact);
    invocation.output.line(&line.plain(format!(" is there ({took})")));
    Ok(Exit::Ok)
}
