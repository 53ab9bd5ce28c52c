//! `hermesctl requests`

use hermes_api::{AcceptRequest, CloseRequests, Exit};
use jiff::tz::TimeZone;

use super::now;
use crate::{
    cli,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME, WARN},
    render::{audit::counted, request as render},
    stop::Stop,
};

pub(crate) async fn run(command: cli::Requests, invocation: &mut Invocation) -> Result<Exit, Stop> {
    match command {
        cli::Requests::Ls => list(invocation).await,
        cli::Requests::Accept { name, wish } => accept(&name, wish, invocation).await,
        cli::Requests::Reject { name } => reject(&name, invocation).await,
        cli::Requests::Close { invite } => close(invite, invocation).await,
    }
}

async fn list(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let found = invocation.daemon.repeatable(async |client| client.requests(&account).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&found)?;
        return Ok(Exit::Ok);
    }
    let (width, now) = (invocation.output.width, now());
    for request in &found.requests {
        render::request(request, now, width).iter().for_each(|line| invocation.output.line(line));
    }
    invocation.output.flush()?;
    let notes = &invocation.notes;
    if found.requests.is_empty() {
        let hint = match found.invites.is_empty() {
            true => " hermesctl invite --requests prints a link that can be published.",
            false => "",
        };
        notes.say(&Line::new(format!("Nobody waits for an answer.{hint}")));
    }
    for invite in &found.invites {
        notes.say(&render::invite(invite, now, &TimeZone::system()));
    }
    Ok(Exit::Ok)
}

async fn accept(name: &str, wish: Option<String>, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let accept = AcceptRequest { name: wish };
    // Under a key: the second time there is no such request.
    let accepted = async |client: &hermes_api::Client| client.accept_request(&account, name, &accept).await;
    let details = invocation.daemon.keyed(async |client| accepted(client).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    let contact = &details.contact;
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &contact.name);
    invocation.output.line(&line.plain(" is a contact; what they have written is in the inbox"));
    invocation.output.flush()?;
    invocation.notes.say(
        &Line::default()
            .styled(WARN, "Nobody has checked who it is: ")
            .plain(format!("hermesctl contact verify {}", contact.name)),
    );
    Ok(Exit::Ok)
}

async fn reject(name: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let rejected =
        invocation.daemon.keyed(async |client| client.reject_request(&account, name).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&rejected)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &rejected.rejected);
    invocation.output.line(&line.plain(" is forgotten, and is not told"));
    invocation.output.flush()?;
    let note =
        "The same identity is not heard again by a public link; an invite of its own still lets it in.";
    invocation.notes.say(&Line::new(note));
    Ok(Exit::Ok)
}

async fn close(invite: Option<String>, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let close = CloseRequests { invite };
    let closed = async |client: &hermes_api::Client| client.close_requests(&account, &close).await;
    let closed = invocation.daemon.keyed(async |client| closed(client).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&closed)?;
        return Ok(Exit::Ok);
    }
    let links = counted(closed.closed, "public link");
    invocation.output.line(&Line::default().styled(GOOD, "✓ ").plain(format!("{links} withdrawn")));
    invocation.output.flush()?;
    invocation.notes.say(&Line::new("Those who wait go on waiting: hermesctl requests ls"));
    Ok(Exit::Ok)
}
