//! What is said about messages.

use axum::extract::{Path, State};
use hermes_api::{EditMessage, MessageChanged, React, V1};
use hermes_engine::{Command, MessageChange, Reply as EngineReply, query};

use super::{
    Daemon,
    messages::{named, unexpected, unknown},
    reply::{Asked, Document, Refused, Reply},
    show,
};

/// Account and message of a route.
type Names = Path<(String, String)>;

pub(super) async fn react(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<React>,
) -> Reply<MessageChanged> {
    change(&daemon, names, MessageChange::React(asked.emoji)).await
}

pub(super) async fn edit(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<EditMessage>,
) -> Reply<MessageChanged> {
    change(&daemon, names, MessageChange::Edit(asked.text)).await
}

pub(super) async fn unsend(State(daemon): State<Daemon>, names: Names) -> Reply<MessageChanged> {
    change(&daemon, names, MessageChange::Unsend).await
}

pub(super) async fn cancel(State(daemon): State<Daemon>, names: Names) -> Reply<MessageChanged> {
    change(&daemon, names, MessageChange::Cancel).await
}

async fn change(
    daemon: &Daemon,
    Path((account, name)): Names,
    change: MessageChange,
) -> Reply<MessageChanged> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let reference = named(&account, &name).await?;
    let EngineReply::Marked { message, said } = account.command(Command::Message(reference, change)).await?
    else {
        return Err(unexpected());
    };
    let found = account.query(move |view| query::message(view, &message)).await?;
    let message = show::message(found.ok_or_else(|| unknown(&name))?, account.name().as_str());
    let (id, state) = match said {
        Some(said) => (Some(said.id.to_string()), Some(show::state(&said.state).0)),
        None => (None, None),
    };
    Ok(Document(MessageChanged { v: V1, message, id, state }))
}
