//! Who is there.

use std::time::Duration;

use axum::extract::{Path, State};
use hermes_api::{ErrorCode, Peer, Peers, PingContact, Pong, Problem, SessionHealth, V1, limits};
use hermes_engine::{Command, Event, MessageId, Reply as EngineReply, query};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, timeout},
};

use super::{
    Daemon,
    messages::unexpected,
    problem::ToProblem,
    reply::{Asked, Document, Refused, Reply},
    show,
};
use crate::{account::Account, clock::now, link::MailboxState};

pub(super) async fn peers(State(daemon): State<Daemon>, Path(account): Path<String>) -> Reply<Peers> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let peers = account.query(query::peers).await?;
    let peers = peers.into_iter().map(|peer| show_peer(&account, peer)).collect();
    Ok(Document(Peers { v: V1, peers }))
}

fn show_peer(account: &Account, peer: query::PeerView) -> Peer {
    let said = account.presences().said(peer.contact.chat, now());
    let contact = show::contact(peer.contact);
    Peer {
        name: contact.name,
        online: said.is_some(),
        last_seen_at: peer.seen.max(said).map(show::time),
        state: contact.state,
        trust: contact.trust,
        verified_by: contact.verified_by,
        session: match peer.session {
            query::SessionHealth::None => SessionHealth::None,
            query::SessionHealth::Unanswered => SessionHealth::Unanswered,
            query::SessionHealth::Established => SessionHealth::Established,
            query::SessionHealth::Renewing => SessionHealth::Renewing,
        },
        unread: peer.unread,
        refuses: contact.refused_since.is_some(),
        blocked: contact.blocked_since.is_some(),
    }
}

pub(super) async fn ping(
    State(daemon): State<Daemon>,
    Path((account, name)): Path<(String, String)>,
    Asked(asked): Asked<PingContact>,
) -> Reply<Pong> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    if let Some(reason) = not_connected(&account) {
        let message = format!("{name} was not asked: not connected to your relay ({})", reason.message);
        return Err(Refused::new(ErrorCode::RelayUnreachable, message, reason.hint));
    }
    // Before the command, so that no answer is missed.
    let mut events = account.events();
    let began = Instant::now();
    let EngineReply::Pinged(ping) = account.command(Command::Ping(name.clone())).await? else {
        return Err(unexpected());
    };
    let patience = Duration::from_millis(asked.timeout_ms).min(limits::WAIT);
    let mut stop = daemon.stop_signal();
    let answered = tokio::select! {
        answered = timeout(patience, answer(ping, &mut events)) => answered.is_ok(),
        _ = stop.wait_for(|stop| *stop) => false,
    };
    if !answered {
        return Err(Refused::new(
            ErrorCode::WaitTimedOut,
            format!("{name} did not answer within {patience:?}"),
            format!("{name} may be offline, or tell nobody: hermesctl peers says when it was last seen"),
        ));
    }
    let round_trip_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Document(Pong { v: V1, contact: name, round_trip_us }))
}

/// Why nothing can arrive at the moment. While it is not known yet, an answer may still come.
fn not_connected(account: &Account) -> Option<Problem> {
    let state = account.board().mailbox().borrow().state.clone();
    match state {
        MailboxState::Connected | MailboxState::Connecting(None) => None,
        MailboxState::Connecting(Some(reason))
        | MailboxState::Waiting(reason)
        | MailboxState::Stopped(reason) => Some(reason.problem()),
    }
}

/// Waits for the answer. One that was missed among too many events is waited for in vain: it is asked for again.
async fn answer(asked: MessageId, events: &mut Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Pong { ping, .. }) if ping == asked => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
