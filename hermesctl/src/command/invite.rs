//! `hermesctl invite`

use std::time::Duration;

use hermes_api::{CreateInvite, Exit};
use jiff::tz::TimeZone;

use super::show_qr;
use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::message::local_time,
    stop::Stop,
};

/// How long an invite can be accepted unless told otherwise.
const VALIDITY: Duration = Duration::from_secs(86_400);

/// The same of one that is published.
const VALIDITY_OF_REQUESTS: Duration = Duration::from_secs(30 * 86_400);

pub(crate) async fn run(args: cli::Invite, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let requests = args.requests;
    let usual = if requests { VALIDITY_OF_REQUESTS } else { VALIDITY };
    let expires_seconds = args.expires.unwrap_or(usual).as_secs();
    let invite = CreateInvite { expires_seconds, requests };
    let created =
        invocation.daemon.keyed(async |client| client.create_invite(&account, invite).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&created)?;
        return Ok(Exit::Ok);
    }
    if args.qr {
        show_qr(&created.invite, invocation);
    }
    invocation.output.line(&Line::new(&created.invite));
    // First the link, then what to do with it, also when both go to one terminal.
    invocation.output.flush()?;
    let until = local_time(created.expires_at, &TimeZone::system());
    let notes = &invocation.notes;
    if requests {
        let note = format!("Publish it. Whoever uses it, until {until}, asks and waits for your answer.");
        notes.say(&Line::new(note));
        notes.say(&Line::new("Who has asked: hermesctl requests ls"));
        return Ok(Exit::Ok);
    }
    notes.say(&Line::new(format!(
        "Hand it to one person, over a channel you trust. It works once, until {until}."
    )));
    notes.say(&Line::new("On the other side: hermesctl accept 'LINK'"));
    Ok(Exit::Ok)
}
