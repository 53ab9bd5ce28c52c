//! What is settled for a chat.

use std::time::Duration;

use axum::extract::{Path, State};
use hermes_api::{Chat, ChatSettings, ChatWith, Chats, Dnd, ErrorCode, MuteChat, SetDnd, SetTtl, V1};
use hermes_engine::{ChatChange, ChatId, Command, CommandError, Reply as EngineReply, query};
use hermes_wire::Timestamp;

use super::{
    Daemon,
    messages::unexpected,
    reply::{Asked, Document, Refused, Reply},
    show,
};
use crate::{account::Account, clock::now};

/// Account and chat of a route.
type Names = Path<(String, String)>;

pub(super) async fn list(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Chats> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let chats = account.query(query::chats).await?;
    let chat = |chat: query::ChatView| Chat {
        name: chat.name,
        with: match chat.with {
            query::ChatWith::Contact => ChatWith::Contact,
            query::ChatWith::Group => ChatWith::Group,
        },
        unread: chat.unread,
        last_at: chat.last.map(show::time),
        archived: chat.archived,
        muted_until: chat.muted.filter(|until| *until > now()).map(show::time),
    };
    Ok(Document(Chats { v: V1, chats: chats.into_iter().map(chat).collect() }))
}

pub(super) async fn show(State(daemon): State<Daemon>, Path((account, name)): Names) -> Reply<ChatSettings> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let wanted = name.clone();
    match account.query(move |view| query::chat_named(view, &wanted)).await? {
        Some(chat) => settings(&account, chat).await,
        None => Err(account.refusal(CommandError::UnknownChat(name)).await.into()),
    }
}

pub(super) async fn mute(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<MuteChat>,
) -> Reply<ChatSettings> {
    change(&daemon, names, ChatChange::Mute(silence(asked.seconds)?)).await
}

pub(super) async fn archive(State(daemon): State<Daemon>, names: Names) -> Reply<ChatSettings> {
    change(&daemon, names, ChatChange::Archive).await
}

pub(super) async fn unarchive(State(daemon): State<Daemon>, names: Names) -> Reply<ChatSettings> {
    change(&daemon, names, ChatChange::Unarchive).await
}

pub(super) async fn dnd(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<SetDnd>,
) -> Reply<Dnd> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let until = silence(asked.seconds)?;
    match account.command(Command::Quiet(until)).await? {
        EngineReply::Quiet => Ok(Document(Dnd { v: V1, until: until.map(show::time) })),
        _ => Err(unexpected()),
    }
}

/// When a silence ends.
fn silence(seconds: Option<u64>) -> Result<Option<Timestamp>, Refused> {
    if seconds == Some(0) {
        let hint = "give it some time, or none to end it";
        return Err(Refused::new(ErrorCode::Usage, "this silence would be over at once", hint));
    }
    Ok(seconds.map(|seconds| now().after(Duration::from_secs(seconds))))
}

pub(super) async fn set_ttl(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<SetTtl>,
) -> Reply<ChatSettings> {
    change(&daemon, names, ChatChange::Ttl(asked.seconds.map(Duration::from_secs))).await
}

async fn change(daemon: &Daemon, Path((account, chat)): Names, change: ChatChange) -> Reply<ChatSettings> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::Chat(chat, change)).await? {
        EngineReply::Chat(chat) => settings(&account, chat).await,
        _ => Err(unexpected()),
    }
}

async fn settings(account: &Account, chat: ChatId) -> Reply<ChatSettings> {
    let found = account.query(move |view| query::settings(view, chat)).await?;
    Ok(Document(ChatSettings {
        v: V1,
        chat: found.name,
        muted_until: found.muted.filter(|until| *until > now()).map(show::time),
        ttl_seconds: found.ttl,
        archived: found.archived,
    }))
}
