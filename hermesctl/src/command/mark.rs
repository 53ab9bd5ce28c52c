//! `hermesctl react`, `edit` and `unsend`: each can be repeated, for what is as asked is not sent again.

use std::time::Instant;

use hermes_api::{EditMessage, Exit, MessageChanged, MessageState, React, Wait, WaitQuery};

use super::{
    send,
    stuck::{self, Waited},
};
use crate::{
    cli::{self, Patience, Told},
    duration,
    invocation::Invocation,
    output::{Format, GOOD, Line, NAME, WARN},
    render::message::state,
    stop::Stop,
};

pub(crate) async fn react(args: cli::React, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let (message, react) = (&args.message, React { emoji: args.emoji });
    let began = Instant::now();
    let changed =
        invocation.daemon.repeatable(async |client| client.react(&account, message, &react).await).await?;
    let done = match &react.emoji {
        Some(emoji) => format!(": your reaction is {emoji}"),
        None => ": you do not react".to_owned(),
    };
    finish(&account, changed, &done, (args.patience, began), invocation).await
}

pub(crate) async fn edit(args: cli::Edit, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let source: send::Source = args.text.into();
    if source.is_typed() {
        // What is typed would be lost if there were no such message.
        invocation.daemon.repeatable(async |client| client.message(&account, &args.message).await).await?;
    }
    let text = send::read(source, invocation).await?;
    let (message, edit) = (&args.message, EditMessage { text });
    let began = Instant::now();
    let changed =
        invocation.daemon.repeatable(async |client| client.edit(&account, message, &edit).await).await?;
    finish(&account, changed, " edited", (args.patience, began), invocation).await
}

pub(crate) async fn unsend(args: cli::Unsend, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let began = Instant::now();
    let mut sum = Exit::Ok;
    for message in &args.messages {
        let changed =
            invocation.daemon.repeatable(async |client| client.unsend(&account, message).await).await?;
        let exit = finish(&account, changed, " withdrawn", (args.patience, began), invocation).await?;
        sum = if exit == Exit::Ok { sum } else { exit };
    }
    Ok(sum)
}

/// Waits as far as was asked, and reports. All of a command's messages share the time that it has.
async fn finish(
    account: &str,
    mut changed: MessageChanged,
    done: &str,
    (patience, began): (Patience, Instant),
    invocation: &mut Invocation,
) -> Result<Exit, Stop> {
    if let (Some(told), Some(id)) = (patience.wait, &changed.id) {
        let left = || u64::try_from(patience.timeout.saturating_sub(began.elapsed()).as_millis());
        let wait = match told {
            Told::Relayed => Wait::Relayed,
            Told::Delivered => Wait::Delivered,
        };
        let wait = || WaitQuery { wait: Some(wait), timeout_ms: Some(left().unwrap_or(u64::MAX)) };
        let waited = async |client: &hermes_api::Client| client.message_until(account, id, wait()).await;
        let said = invocation.daemon.repeatable(async |client| waited(client).await).await?.message;
        changed.state = said.state;
        if let Some(error) = said.error {
            return Err(error.into());
        }
    }
    let missed = patience.wait.filter(|told| !reached(changed.state, *told));
    if invocation.output.format == Format::Json {
        invocation.output.json(&changed)?;
    } else {
        invocation.output.line(&line(&changed, done, patience.wait, began));
    }
    invocation.output.flush()?;
    if changed.state == Some(MessageState::Queued) && invocation.output.format == Format::Text {
        let waited = patience.wait.map_or(Waited::No, |_| Waited::Yes);
        stuck::explain(account, waited, invocation).await;
    }
    Ok(if missed.is_some() { Exit::TimedOut } else { Exit::Ok })
}

fn line(changed: &MessageChanged, done: &str, waited: Option<Told>, began: Instant) -> Line {
    let name = &changed.message.reference;
    if let Some(told) = waited.filter(|told| !reached(changed.state, *told)) {
        let target = match told {
            Told::Relayed => "relayed",
            Told::Delivered => "delivered",
        };
        let late = format!("{done}, not {target} after {}", duration::taken(began.elapsed()));
        return Line::default().styled(WARN, "… ").styled(NAME, name).plain(late);
    }
    let so_far = match (changed.state, waited) {
        (None, _) => " (nothing to tell anybody)".to_owned(),
        (Some(reached), Some(_)) => format!(", {} ({})", state(reached), duration::taken(began.elapsed())),
        (Some(MessageState::Queued), None) => " (queued)".to_owned(),
        (Some(_), None) => String::new(),
    };
    Line::default().styled(GOOD, "✓ ").styled(NAME, name).plain(format!("{done}{so_far}"))
}

/// Whether what was said has come so far. What nobody has to hear of has nowhere to go.
fn reached(state: Option<MessageState>, told: Told) -> bool {
    match (state, told) {
        (None, _) => true,
        (Some(MessageState::Relayed), Told::Relayed) => true,
        (Some(state), _) => matches!(state, MessageState::Delivered | MessageState::Read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_reads_how_far_it_came() {
        let message = crate::render::message::tests::incoming("bob#1", "hi");
        let said = |state, waited| {
            let changed = MessageChanged { v: hermes_api::V1, message: message.clone(), id: None, state };
            line(&changed, " edited", waited, Instant::now()).text()
        };
        let delivered = said(Some(MessageState::Delivered), Some(Told::Delivered));
        assert!(delivered.starts_with("✓ bob#1 edited, delivered ("), "{delivered}");
        let late = said(Some(MessageState::Queued), Some(Told::Relayed));
        assert!(late.starts_with("… bob#1 edited, not relayed after "), "{late}");
        assert_eq!(said(Some(MessageState::Queued), None), "✓ bob#1 edited (queued)");
        assert_eq!(said(Some(MessageState::Delivered), None), "✓ bob#1 edited");
        assert_eq!(said(None, Some(Told::Delivered)), "✓ bob#1 edited (nothing to tell anybody)");
    }

    #[test]
    fn only_what_was_reached_counts() {
        assert!(reached(None, Told::Delivered));
        assert!(!reached(Some(MessageState::Queued), Told::Relayed));
        assert!(reached(Some(MessageState::Relayed), Told::Relayed));
        assert!(!reached(Some(MessageState::Relayed), Told::Delivered));
        assert!(reached(Some(MessageState::Delivered), Told::Relayed));
        assert!(!reached(Some(MessageState::Failed), Told::Relayed));
    }
}
