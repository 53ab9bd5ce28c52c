//! What waits to leave.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use hermes_api::{ErrorCode, Outbox, OutboxQuery, Problem, Quote, V1, Waiting, WaitingKind};
use hermes_engine::{
    ChatId, CommandError, Text,
    query::{self, MessageView, WaitingView},
};

use super::{
    Daemon,
    problem::ToProblem,
    reply::{Document, Filter, Refused, Reply},
    show,
};
use crate::{
    account::Account,
    link::{MailboxState, Reason},
};

pub(super) async fn list(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Filter(asked): Filter<OutboxQuery>,
) -> Reply<Outbox> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    outbox(&account, asked.chat).await
}

pub(super) async fn retry(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Outbox> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    account.reconnect();
    outbox(&account, None).await
}

async fn outbox(account: &Account, chat: Option<String>) -> Reply<Outbox> {
    let wanted = chat.clone();
    let found = account.query(move |view| query::waiting(view, wanted.as_deref())).await?;
    let Some((waiting, more)) = found else {
        return Err(account.refusal(CommandError::UnknownChat(chat.unwrap_or_default())).await.into());
    };
    let delays = account.board().delays().borrow().clone();
    let connection = match &account.board().mailbox().borrow().state {
        MailboxState::Waiting(reason) | MailboxState::Stopped(reason) => Some(reason.problem()),
        MailboxState::Connecting(Some(reason)) => Some(reason.problem()),
        MailboxState::Connecting(None) => Some(connecting()),
        MailboxState::Connected => None,
    };
    let name = account.name().as_str();
    let show = |waiting| shown(waiting, name, &delays, connection.as_ref());
    Ok(Document(Outbox { v: V1, waiting: waiting.into_iter().map(show).collect(), more }))
}

fn shown(
    waiting: WaitingView,
    account: &str,
    delays: &BTreeMap<ChatId, Reason>,
    connection: Option<&Problem>,
) -> Waiting {
    let reason = match waiting.sealed {
        None if waiting.until_accepted => Some(asked(&waiting)),
        None => Some(unsealed(&waiting)),
        Some(_) => delays.get(&waiting.chat).map(ToProblem::problem).or_else(|| connection.cloned()),
    };
    let kind = match &waiting.message {
        None => WaitingKind::Protocol,
        Some(message) if message.about.is_some() => WaitingKind::Change,
        Some(_) => WaitingKind::Message,
    };
    Waiting {
        kind,
        message: waiting.message.map(|message| quote(message, account)),
        chat: waiting.name,
        since: show::time(waiting.since),
        bytes: waiting.sealed.map(|bytes| bytes as u64),
        reason,
    }
}

/// The messages themselves are listed elsewhere; here they are to be known by.
fn quote(message: MessageView, account: &str) -> Quote {
    let text = match message.text {
        Text::Plain(text) => Some(text.chars().take(hermes_engine::limits::QUOTE_CHARS).collect()),
        _ => None,
    };
    Quote {
        id: message.id.to_string(),
        reference: Some(message.reference.to_string()),
        from: Some(account.to_owned()),
        text,
    }
}

fn connecting() -> Problem {
    let hint = "it leaves by itself; how it stands: hermesctl status";
    Problem::new(ErrorCode::RelayUnreachable, "the relay has not answered yet", hint)
}

fn asked(waiting: &WaitingView) -> Problem {
    let message = format!("{} has been asked to be a contact, and has not said yes", waiting.name);
    let hint = "it leaves when you are accepted";
    Problem::new(ErrorCode::ContactPending, message, hint)
}

fn unsealed(waiting: &WaitingView) -> Problem {
    let message =
        "it waits for a new session with the contact, or for a change of the group that is under way";
    let hint = format!("it leaves by itself; how it stands: hermesctl chat show {}", waiting.name);
    Problem::new(ErrorCode::ContactPending, message, hint)
}
