//! Contact requests: who asks, and what the user says to that.

use axum::extract::{Path, State};
use hermes_api::{
    AcceptRequest, CloseRequests, ClosedRequests, ContactDetails, RejectedRequest, Request, Requests, V1,
};
use hermes_engine::{Command, Fingerprint, Reply as EngineReply, RequestDecision, query};

use super::{
    Daemon, contact,
    messages::unexpected,
    reply::{Asked, Document, Reply},
    show,
};
use crate::{account::Account, local::reply::Refused};

/// Account and request of a route.
type Names = Path<(String, String)>;

pub(super) async fn list(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Requests> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let (requests, invites) = account.query(query::requests).await?;
    Ok(Document(Requests {
        v: V1,
        requests: requests.into_iter().map(show::request).collect(),
        invites: invites.into_iter().map(show::open_invite).collect(),
    }))
}

pub(super) async fn accept(
    State(daemon): State<Daemon>,
    Path((account, name)): Names,
    Asked(asked): Asked<AcceptRequest>,
) -> Reply<ContactDetails> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::Request(name, RequestDecision::Accept(asked.name))).await? {
        EngineReply::Contact(chat) => contact::details(&account, chat).await,
        _ => Err(unexpected()),
    }
}

pub(super) async fn reject(
    State(daemon): State<Daemon>,
    Path((account, name)): Names,
) -> Reply<RejectedRequest> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::Request(name.clone(), RequestDecision::Reject)).await? {
        EngineReply::Rejected => Ok(Document(RejectedRequest { v: V1, rejected: name })),
        _ => Err(unexpected()),
    }
}

pub(super) async fn close(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<CloseRequests>,
) -> Reply<ClosedRequests> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    match account.command(Command::CloseRequests(asked.invite)).await? {
        EngineReply::Closed(closed) => Ok(Document(ClosedRequests { v: V1, closed: closed as u64 })),
        _ => Err(unexpected()),
    }
}

/// The request of an identity, for an event.
pub(super) async fn request_of(account: &Account, fingerprint: Fingerprint) -> Option<Request> {
    let (requests, _) = account.query(query::requests).await.ok()?;
    requests.into_iter().find(|request| request.fingerprint == fingerprint).map(show::request)
}
