//! `hermesctl contact`

use hermes_api::{Exit, RenameContact, SetKeyPolicy};
use jiff::tz::TimeZone;

use super::{block, verify};
use crate::{
    cli,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME, WARN},
    render::{account, contact as render},
    stop::Stop,
};

pub(crate) async fn run(command: cli::Contact, invocation: &mut Invocation) -> Result<Exit, Stop> {
    match command {
        cli::Contact::Rm(args) => block::remove(args, invocation).await,
        cli::Contact::Ls => list(invocation).await,
        cli::Contact::Show { name } => show(&name, invocation).await,
        cli::Contact::Verify(args) => verify::run(args, invocation).await,
        cli::Contact::AcceptKey { name } => accept_key(&name, invocation).await,
        cli::Contact::RefuseKey { name } => refuse_key(&name, invocation).await,
        cli::Contact::Rename { old, new } => rename(&old, new, invocation).await,
        cli::Contact::Policy { name, policy } => set_policy(&name, policy, invocation).await,
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

async fn show(name: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let details = invocation.daemon.repeatable(async |client| client.contact(&account, name).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    let zone = TimeZone::system();
    render::details(&details, &zone).iter().for_each(|line| invocation.output.line(line));
    invocation.output.flush()?;
    if details.key_change.is_some() {
        let advice = format!(
            "Ask {name} for the number that {name} sees, over another channel. Is it the new one: hermesctl \
             contact accept-key {name}. Is it the other: hermesctl contact refuse-key {name}"
        );
        invocation.notes.say(&Line::new(advice));
    }
    Ok(Exit::Ok)
}

async fn accept_key(name: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    // Not repeated: the second time there is nothing to accept.
    let details = invocation.daemon.keyed(async |client| client.accept_key(&account, name).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &details.contact.name);
    invocation.output.line(&line.plain(format!(" has the key {}", details.contact.fingerprint)));
    invocation.output.flush()?;
    let notes = &invocation.notes;
    notes.say(&Line::default().styled(WARN, "Nobody has checked it yet: ").plain(format!(
        "hermesctl contact verify {name}. What was held is in the inbox; messages that had not left have failed."
    )));
    Ok(Exit::Ok)
}

async fn refuse_key(name: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let details = invocation.daemon.keyed(async |client| client.refuse_key(&account, name).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &details.contact.name);
    invocation.output.line(&line.plain(format!(" keeps the key {}", details.contact.fingerprint)));
    Ok(Exit::Ok)
}

async fn rename(old: &str, name: String, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let rename = RenameContact { name };
    let details = invocation.daemon.keyed(async |client| client.rename(&account, old, &rename).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    let line = Line::default().styled(GOOD, "✓ ").plain(format!("{old} is called "));
    invocation.output.line(&line.styled(NAME, &details.contact.name));
    Ok(Exit::Ok)
}

async fn set_policy(name: &str, policy: cli::KeyPolicy, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let policy = SetKeyPolicy {
        key_policy: match policy {
            cli::KeyPolicy::Stop => hermes_api::KeyPolicy::Stop,
            cli::KeyPolicy::Accept => hermes_api::KeyPolicy::Accept,
        },
    };
    let set = async |client: &hermes_api::Client| client.set_key_policy(&account, name, policy).await;
    let details = invocation.daemon.repeatable(set).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&details)?;
        return Ok(Exit::Ok);
    }
    let line =
        Line::default().styled(GOOD, "✓ ").plain("when the key of ").styled(NAME, &details.contact.name);
    invocation.output.line(&line.plain(format!(" changes: {}", render::policy(details.key_policy))));
    invocation.output.flush()?;
    if details.key_change.is_some() {
        let waits = format!("The key that waits already is not touched: hermesctl contact show {name}");
        invocation.notes.say(&Line::new(waits));
    }
    Ok(Exit::Ok)
}
