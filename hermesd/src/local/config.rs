//! The configuration that the daemon works with, and how it runs.

use axum::extract::State;
use hermes_api::{AccountDiagnosis, ConfigInForce, Diagnosis, V1};

use super::{
    Daemon,
    reply::{Document, Refused, Reply},
};
use crate::{settings::problem, supervisor};

pub(super) async fn show(State(daemon): State<Daemon>) -> Reply<ConfigInForce> {
    Ok(Document(daemon.settings().in_force()))
}

pub(super) async fn reload(State(daemon): State<Daemon>) -> Reply<ConfigInForce> {
    daemon.settings().reload().map_err(|error| Refused(problem(&error)))?;
    Ok(Document(daemon.settings().in_force()))
}

pub(super) async fn diagnosis(State(daemon): State<Daemon>) -> Reply<Diagnosis> {
    let mut accounts = Vec::new();
    for name in daemon.account_names() {
        let relay_clock = match daemon.account(name.as_str()).await {
            Ok(account) => account.board().relay_clock(),
            Err(_) => None,
        };
        accounts.push(AccountDiagnosis { name: name.to_string(), relay_clock });
    }
    let measures = daemon.measures().to_vec();
    Ok(Document(Diagnosis { v: V1, supervised: supervisor::is_supervised(), measures, accounts }))
}
