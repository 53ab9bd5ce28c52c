//! The daemon and its accounts.

use std::time::Duration;

use axum::extract::{Path, State};
use hermes_api::{
    AccountStatus, CreateAccount, CreatedAccount, DaemonStatus, ErrorCode, KeyKind, Problem, Profile,
    Recover, RecoverOutcome, Recovered, RemoveAccount, RemovedAccount, SetProfile, Shutdown, V1, limits,
};
use hermes_config::AccountName;
use hermes_engine::{
    Command, Event, NewAccount, Reply as EngineReply,
    query::{self, StoreState},
};
use hermes_wire::limits::REGISTRATION_TOKEN_CHARS;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    Daemon, introduction, keys,
    messages::unexpected,
    reply::{Asked, Document, Refused, Reply},
    show,
};
use crate::{
    account::Account,
    daemon::{NewKeys, locked},
    link::{MailboxState, Reason},
};

pub(super) async fn status(State(daemon): State<Daemon>) -> Reply<DaemonStatus> {
    let mut accounts = Vec::new();
    for name in daemon.account_names() {
        let shown = match daemon.account(name.as_str()).await {
            Ok(account) => status_of(&daemon, &account).await.map_err(|Refused(problem)| problem),
            Err(problem) => Err(problem),
        };
        accounts.push(shown.unwrap_or_else(|problem| failed_status(&daemon, &name, problem)));
    }
    Ok(Document(DaemonStatus {
        v: V1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: daemon.started(),
        capabilities: Vec::new(),
        accounts,
    }))
}

pub(super) async fn create(
    State(daemon): State<Daemon>,
    Asked(asked): Asked<CreateAccount>,
) -> Reply<CreatedAccount> {
    let name: AccountName = asked.name.parse().map_err(|error: hermes_config::AccountNameError| {
        Refused::new(ErrorCode::BadAccountName, error.to_string(), "choose another name")
    })?;
    let token = asked.registration_token.map(|token| token.expose().trim().to_owned());
    if token.as_ref().is_some_and(|token| token.chars().count() > REGISTRATION_TOKEN_CHARS) {
        return Err(Refused::new(
            ErrorCode::RegistrationRefused,
            "this is no registration token: it is too long",
            "copy the token that the relay's operator gave you",
        ));
    }
    let relay = introduction::relay(&asked.relay).await?;
    let new = NewAccount { name: name.to_string(), relay, registration_token: token };
    let kind = keys::known(asked.keys.unwrap_or(KeyKind::File))?;
    let new_keys = NewKeys { kind, passphrase: asked.passphrase };
    let account = daemon.create_account(name, new, new_keys).await.map_err(Refused)?;
    let patience = Duration::from_millis(asked.timeout_ms).min(limits::WAIT);
    let mut stop = daemon.stop_signal();
    tokio::select! {
        _ = timeout(patience, registration(&account)) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    Ok(Document(CreatedAccount { v: V1, account: status_of(&daemon, &account).await? }))
}

pub(super) async fn profile(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Profile> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    Ok(Document(Profile { v: V1, name: account.query(query::profile).await? }))
}

pub(super) async fn set_profile(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<SetProfile>,
) -> Reply<Profile> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::SetProfile(asked.name)).await? {
        EngineReply::Profile => Ok(Document(Profile { v: V1, name: account.query(query::profile).await? })),
        _ => Err(unexpected()),
    }
}

pub(super) async fn remove(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<RemoveAccount>,
) -> Reply<RemovedAccount> {
    if asked.account != account {
        return Err(Refused::new(
            ErrorCode::Usage,
            "an account is removed only if it is named twice",
            "name the same account in the path and in the body",
        ));
    }
    let name = daemon.remove_account(&account).await.map_err(Refused)?;
    Ok(Document(RemovedAccount { v: V1, removed: name.to_string() }))
}

pub(super) async fn recover(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<Recover>,
) -> Reply<Recovered> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let outcome = match account.command(Command::Recover).await? {
        EngineReply::TakingOver => RecoverOutcome::TookOver,
        EngineReply::AlarmEnded => RecoverOutcome::AlarmEnded,
        _ => return Err(unexpected()),
    };
    if outcome == RecoverOutcome::TookOver {
        let mut events = account.events();
        account.reconnect();
        let patience = Duration::from_millis(asked.timeout_ms).min(limits::WAIT);
        let mut stop = daemon.stop_signal();
        tokio::select! {
            _ = timeout(patience, recovery(&account, &mut events)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    Ok(Document(Recovered { v: V1, outcome, account: status_of(&daemon, &account).await? }))
}

/// Waits until the relay has taken the account's new epoch.
async fn recovery(account: &Account, events: &mut Receiver<Event>) -> Result<(), Refused> {
    while account.query(query::summary).await?.store.state == StoreState::Recovering {
        // Missed events and the end of the account are found in the store as well.
        if matches!(events.recv().await, Err(RecvError::Closed)) {
            return Ok(());
        }
    }
    Ok(())
}

pub(super) async fn shutdown(State(daemon): State<Daemon>) -> Reply<Shutdown> {
    daemon.request_stop();
    Ok(Document(Shutdown { v: V1, pid: std::process::id() }))
}

pub(super) async fn status_of(daemon: &Daemon, account: &Account) -> Result<AccountStatus, Refused> {
    let summary = account.query(query::summary).await?;
    let guests = account.query(query::guests).await?;
    Ok(show::account(account, summary, guests, daemon.key_status(account.name())))
}

/// What can be told of an account whose keys are locked away.
pub(super) fn locked_status(daemon: &Daemon, name: &AccountName) -> AccountStatus {
    failed_status(daemon, name, locked(name))
}

fn failed_status(daemon: &Daemon, name: &AccountName, problem: Problem) -> AccountStatus {
    show::failed_account(name.as_str(), problem, daemon.started(), daemon.key_status(name))
}

/// Waits until the relay has taken the account, or said something that waiting will not change.
pub(super) async fn registration(account: &Account) {
    let mut mailbox = account.board().mailbox();
    // An error means that the account is closed: nothing more will come.
    let _ = mailbox
        .wait_for(|status| match &status.state {
            MailboxState::Connected | MailboxState::Stopped(_) => true,
            MailboxState::Waiting(reason) => {
                matches!(reason, Reason::WrongPin | Reason::Misbehaved | Reason::Refused(_))
            }
            MailboxState::Connecting(_) => false,
        })
        .await;
}
