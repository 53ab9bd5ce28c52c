//! Keys: locking, unlocking, keeping them in another way.

use axum::extract::{Path, State};
use hermes_api::{ChangeKeys, ErrorCode, KeyKind, KeysChanged, Unlock, V1};

use super::{
    Daemon,
    accounts::{locked_status, status_of},
    reply::{Asked, Document, Refused, Reply},
};
use crate::daemon::NewKeys;

pub(super) async fn lock(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<KeysChanged> {
    let name = daemon.lock(&account).await.map_err(Refused)?;
    Ok(Document(KeysChanged { v: V1, account: locked_status(&daemon, &name) }))
}

pub(super) async fn unlock(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<Unlock>,
) -> Reply<KeysChanged> {
    let account = daemon.unlock(&account, asked.passphrase).await.map_err(Refused)?;
    Ok(Document(KeysChanged { v: V1, account: status_of(&daemon, &account).await? }))
}

pub(super) async fn change(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<ChangeKeys>,
) -> Reply<KeysChanged> {
    let new = NewKeys { kind: known(asked.kind)?, passphrase: asked.passphrase };
    let account = daemon.change_keys(&account, asked.current, new).await.map_err(Refused)?;
    Ok(Document(KeysChanged { v: V1, account: status_of(&daemon, &account).await? }))
}

/// A kind that a newer program knows is not guessed at.
pub(super) fn known(kind: KeyKind) -> Result<KeyKind, Refused> {
    match kind {
        KeyKind::Other => Err(Refused::new(
            ErrorCode::Usage,
            "this hermesd does not know that kind of key",
            "start a newer one",
        )),
        kind => Ok(kind),
    }
}
