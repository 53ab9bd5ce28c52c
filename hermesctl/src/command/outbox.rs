//! `hermesctl outbox`

use hermes_api::{Exit, MessageState, Outbox, OutboxQuery, Waiting, WaitingKind};

use super::now;
use crate::{
    cli, duration,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME},
    render::message::first_words,
    stop::Stop,
};

const HEADER: [&str; 4] = ["what", "since", "text", "why"];

pub(crate) async fn run(command: cli::Outbox, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    match command {
        cli::Outbox::Ls { chat } => {
            let query = OutboxQuery { chat };
            let outbox =
                invocation.daemon.repeatable(async |client| client.outbox(&account, &query).await).await?;
            list(&outbox, invocation)
        }
        cli::Outbox::Retry => {
            let outbox =
                invocation.daemon.repeatable(async |client| client.retry_outbox(&account).await).await?;
            if invocation.output.format == Format::Json {
                invocation.output.json(&outbox)?;
                return Ok(Exit::Ok);
            }
            let text = match outbox.waiting.len() {
                0 => "nothing waits".to_owned(),
                waiting => format!("{waiting} waiting; every connection is tried at once"),
            };
            invocation.output.line(&Line::default().styled(GOOD, "✓ ").plain(text));
            Ok(Exit::Ok)
        }
        cli::Outbox::Cancel { messages } => {
            for message in &messages {
                cancel(&account, message, invocation).await?;
            }
            Ok(Exit::Ok)
        }
    }
}

fn list(outbox: &Outbox, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if invocation.output.format == Format::Json {
        invocation.output.json(outbox)?;
        return Ok(Exit::Ok);
    }
    if outbox.waiting.is_empty() {
        invocation.notes.say(&Line::new("Nothing waits to leave."));
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = outbox.waiting.iter().map(row).collect();
    invocation.output.table(&HEADER, &rows);
    if outbox.more {
        invocation.notes.say(&Line::new("There is more: hermesctl outbox ls CHAT"));
    }
    Ok(Exit::Ok)
}

fn row(waiting: &Waiting) -> Vec<String> {
    let quote = waiting.message.as_ref();
    let reference = quote.and_then(|quote| quote.reference.as_deref());
    let text = match waiting.kind {
        WaitingKind::Message => {
            quote.and_then(|quote| quote.text.as_deref()).map(first_words).unwrap_or_default()
        }
        WaitingKind::Change => "(a reaction, an edit or a withdrawal)".to_owned(),
        WaitingKind::Protocol | WaitingKind::Other => "(receipts, keys, changes of a group)".to_owned(),
    };
    let reason = waiting.reason.as_ref().map_or("about to leave", |reason| reason.message.as_str());
    vec![
        reference.unwrap_or(&waiting.chat).to_owned(),
        duration::short(waiting.since.before(now())),
        text,
        reason.to_owned(),
    ]
}

async fn cancel(account: &str, message: &str, invocation: &mut Invocation) -> Result<(), Stop> {
    let changed = invocation.daemon.repeatable(async |client| client.cancel(account, message).await).await?;
    if invocation.output.format == Format::Json {
        return Ok(invocation.output.json(&changed)?);
    }
    let name = Line::default().styled(GOOD, "✓ ").styled(NAME, &changed.message.reference);
    let done = match changed.state {
        Some(MessageState::Queued) => " cancelled; its reader's program is told, in case the relay has it",
        _ => " cancelled",
    };
    invocation.output.line(&name.plain(done));
    Ok(())
}
