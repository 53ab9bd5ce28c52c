//! `hermesctl react`, `edit` and `unsend`: each can be repeated, for what is as asked is not sent again.

use hermes_api::{EditMessage, Exit, MessageChanged, MessageState, React};

use super::send;
use crate::{
    cli,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    stop::Stop,
};

pub(crate) async fn react(args: cli::React, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let (message, react) = (&args.message, React { emoji: args.emoji });
    let changed =
        invocation.daemon.repeatable(async |client| client.react(&account, message, &react).await).await?;
    let done = match &react.emoji {
        Some(emoji) => format!(": your reaction is {emoji}"),
        None => ": you do not react".to_owned(),
    };
    report(&changed, &done, invocation)
}

pub(crate) async fn edit(args: cli::Edit, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let text = send::read(args.text.into(), invocation).await?;
    let account = invocation.account().await?;
    let (message, edit) = (&args.message, EditMessage { text });
    let changed =
        invocation.daemon.repeatable(async |client| client.edit(&account, message, &edit).await).await?;
    report(&changed, " edited", invocation)
}

pub(crate) async fn unsend(args: cli::Unsend, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    for message in &args.messages {
        let changed =
            invocation.daemon.repeatable(async |client| client.unsend(&account, message).await).await?;
        report(&changed, " withdrawn", invocation)?;
    }
    Ok(Exit::Ok)
}

fn report(changed: &MessageChanged, done: &str, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if invocation.output.format == Format::Json {
        invocation.output.json(changed)?;
        return Ok(Exit::Ok);
    }
    let state = match changed.state {
        Some(MessageState::Queued) => " (queued)",
        Some(_) => "",
        None => " (nothing to tell anybody)",
    };
    let name = Line::default().styled(GOOD, "✓ ").styled(NAME, &changed.message.reference);
    invocation.output.line(&name.plain(format!("{done}{state}")));
    Ok(Exit::Ok)
}
