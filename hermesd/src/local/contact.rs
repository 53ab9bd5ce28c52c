//! One contact: what is known of it, and what its user says of it.

use axum::extract::{Path, State};
use hermes_api::{
    ContactDetails, ErrorCode, KeyPolicy, RemoveContact, RemovedContact, RenameContact, SetKeyPolicy, V1,
    VerifyContact, limits,
};
use hermes_engine::{
    ChangePolicy, ChatId, Command, CommandError, Compared, ContactChange, History, Reply as EngineReply,
    SafetyNumberError, query,
};

use super::{
    Daemon,
    messages::unexpected,
    reply::{Asked, Document, Refused, Reply},
    show,
};
use crate::account::Account;

/// Account and contact of a route.
type Names = Path<(String, String)>;

pub(super) async fn show(
    State(daemon): State<Daemon>,
    Path((account, name)): Names,
) -> Reply<ContactDetails> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let wanted = name.clone();
    let found = account.query(move |view| query::contact_named(view, &wanted)).await?;
    match found {
        Some(found) => Ok(Document(show::details(found))),
        None => Err(account.refusal(CommandError::UnknownContact(name)).await.into()),
    }
}

pub(super) async fn verify(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<VerifyContact>,
) -> Reply<ContactDetails> {
    if asked.safety_number.len() > limits::SAFETY_NUMBER_BYTES {
        return Err(Refused::from(SafetyNumberError::Digits));
    }
    let compared: Compared = asked.safety_number.parse()?;
    change(&daemon, names, ContactChange::Verify(compared)).await
}

pub(super) async fn unverify(State(daemon): State<Daemon>, names: Names) -> Reply<ContactDetails> {
    change(&daemon, names, ContactChange::Unverify).await
}

pub(super) async fn accept_key(State(daemon): State<Daemon>, names: Names) -> Reply<ContactDetails> {
    change(&daemon, names, ContactChange::AcceptKey).await
}

pub(super) async fn refuse_key(State(daemon): State<Daemon>, names: Names) -> Reply<ContactDetails> {
    change(&daemon, names, ContactChange::RefuseKey).await
}

pub(super) async fn block(State(daemon): State<Daemon>, names: Names) -> Reply<ContactDetails> {
    change(&daemon, names, ContactChange::Block).await
}

pub(super) async fn unblock(State(daemon): State<Daemon>, names: Names) -> Reply<ContactDetails> {
    change(&daemon, names, ContactChange::Unblock).await
}

pub(super) async fn remove(
    State(daemon): State<Daemon>,
    Path((account, name)): Names,
    Asked(asked): Asked<RemoveContact>,
) -> Reply<RemovedContact> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let history = match asked.history {
        hermes_api::History::Keep => History::Kept,
        hermes_api::History::Delete => History::Deleted,
    };
    match account.command(Command::Contact(name.clone(), ContactChange::Remove(history))).await? {
        EngineReply::Contact(_) => Ok(Document(RemovedContact { v: V1, removed: name })),
        _ => Err(unexpected()),
    }
}

pub(super) async fn rename(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<RenameContact>,
) -> Reply<ContactDetails> {
    change(&daemon, names, ContactChange::Rename(asked.name)).await
}

pub(super) async fn key_policy(
    State(daemon): State<Daemon>,
    names: Names,
    Asked(asked): Asked<SetKeyPolicy>,
) -> Reply<ContactDetails> {
    let policy = match asked.key_policy {
        KeyPolicy::Stop => ChangePolicy::Stop,
        KeyPolicy::Accept => ChangePolicy::Accept,
    };
    change(&daemon, names, ContactChange::Policy(policy)).await
}

async fn change(
    daemon: &Daemon,
    Path((account, name)): Names,
    change: ContactChange,
) -> Reply<ContactDetails> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::Contact(name, change)).await? {
        EngineReply::Contact(chat) => details(&account, chat).await,
        _ => Err(unexpected()),
    }
}

pub(super) async fn details(account: &Account, chat: ChatId) -> Reply<ContactDetails> {
    let found = account.query(move |view| query::contact_at(view, chat)).await?;
    found.map(show::details).map(Document).ok_or_else(|| {
        Refused::new(ErrorCode::ContactNotFound, "the contact is gone", "hermesctl contact ls names them all")
    })
}
