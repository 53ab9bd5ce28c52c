//! `hermesctl contact ls`

use hermes_api::Exit;
use jiff::tz::TimeZone;

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::account,
    stop::Stop,
};

pub(crate) async fn run(command: cli::Contact, invocation: &mut Invocation) -> Result<Exit, Stop> {
    match command {
        cli::Contact::Ls => list(invocation).await,
    }
}

async fn list(invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let contacts = invocation.daemon.repeatable(async |client| client.contacts(&account).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&contacts)?;
        return Ok(Exit::Ok);
    }
    if contacts.contacts.is_empty() {
        invocation.notes.say(&Line::new("No contacts yet. hermesctl invite prints a link for someone."));
        return Ok(Exit::Ok);
    }
    let zone = TimeZone::system();
    let rows: Vec<_> = contacts.contacts.iter().map(|contact| account::contact(contact, &zone)).collect();
    invocation.output.table(&account::CONTACT_HEADER, &rows);
    Ok(Exit::Ok)
}
