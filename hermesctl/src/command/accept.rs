//! `hermesctl accept`

use hermes_api::{AcceptInvite, ContactState, ErrorCode, Exit, Problem, limits::INVITE_BYTES};

use crate::{
    cli, input,
    input::Questions,
    invocation::Invocation,
    limits,
    output::{Format, GOOD, Line, NAME, WARN},
    render::account::trust,
    stop::Stop,
};

pub(crate) async fn run(args: cli::Accept, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let invite = link(args.link, invocation.questions).await?;
    let account = invocation.account().await?;
    let timeout_ms = u64::try_from(limits::HANDSHAKE.as_millis()).unwrap_or(u64::MAX);
    let accept = AcceptInvite { invite, timeout_ms };
    let accepted = invocation.daemon.keyed(async |client| client.accept(&account, &accept).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&accepted)?;
        return Ok(Exit::Ok);
    }
    let contact = &accepted.contact;
    invocation.output.line(&match contact.state {
        ContactState::Ready => {
            let line = Line::default().styled(GOOD, "✓ ").styled(NAME, &contact.name);
            line.plain(format!(" is a contact ({})", trust(contact.trust, contact.verified_by)))
        }
        ContactState::Pending => {
            let line = Line::default().styled(WARN, "… ").styled(NAME, &contact.name);
            line.plain(" becomes a contact as soon as the other side is online")
        }
        ContactState::Asked => {
            let line = Line::default().styled(WARN, "… ").styled(NAME, &contact.name);
            line.plain(" has been asked, and becomes a contact when its user says yes")
        }
    });
    invocation.output.flush()?;
    if contact.state == ContactState::Asked {
        let name = &contact.name;
        let note = format!(
            "Say who you are: hermesctl send {name} TEXT. Your own name for them: hermesctl contact rename {name} NAME"
        );
        invocation.notes.say(&Line::new(note));
    }
    Ok(Exit::Ok)
}

async fn link(given: Option<String>, questions: Questions) -> Result<String, Problem> {
    let link = match given.as_deref() {
        Some(link) if link != "-" => link.to_owned(),
        None if questions == Questions::Allowed => input::ask("Invite link:").await?,
        _ => input::text(INVITE_BYTES).await?,
    };
    // Mail programs and terminals break long lines.
    let link: String = link.split_whitespace().collect();
    match link.is_empty() {
        true => Err(Problem::new(
            ErrorCode::BadInvite,
            "there is no invite link",
            "pass the line that starts with hermes-invite: as the argument or on standard input",
        )),
        false => Ok(link),
    }
}
