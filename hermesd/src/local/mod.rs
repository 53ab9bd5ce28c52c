//! The local HTTP API over the Unix socket, for the user's own programs.
//!
//! Handlers only translate: a request becomes a command to the account's thread or a query of a snapshot, the answer
//! becomes a document. Deliberately absent: any TCP listener, any state, and any decision.

mod accounts;
mod audit;
mod backup;
mod chat;
mod config;
mod contact;
mod events;
mod group;
mod introduction;
mod keys;
mod mark;
mod messages;
mod once;
mod openapi;
mod outbox;
mod pairing;
mod peer;
mod problem;
mod reply;
mod request;
mod search;
mod show;
mod socket;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use hermes_api::{ErrorCode, limits, routes};

use self::reply::Refused;
pub(crate) use self::{
    problem::{ToProblem, stopping},
    socket::{LocalSocket, SocketError},
};
pub(crate) use crate::daemon::Daemon;

/// Answers requests until the daemon stops; those under way are finished.
pub(crate) async fn serve(socket: LocalSocket, daemon: Daemon) {
    let mut stop = daemon.stop_signal();
    let stopped = async move {
        // An error means that the daemon is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    // A `Router` by itself is made anew, route by route, for each connection.
    let routes = router(daemon).into_make_service();
    let served = axum::serve(socket, routes).with_graceful_shutdown(stopped).await;
    if let Err(error) = served {
        tracing::error!(%error, "the local API ended");
    }
}

fn router(daemon: Daemon) -> Router {
    Router::new()
        .route(routes::STATUS, get(accounts::status))
        .route(routes::DIAGNOSIS, get(config::diagnosis))
        .route(routes::CONFIG, get(config::show))
        .route(routes::CONFIG_RELOAD, post(config::reload))
        .route(routes::OPENAPI, get(openapi::openapi))
        .route(routes::ACCOUNTS, post(accounts::create))
        .route(routes::REMOVE_ACCOUNT, post(accounts::remove))
        .route(routes::RECOVER, post(accounts::recover))
        .route(routes::BACKUP, post(backup::make))
        .route(routes::RESTORE, post(backup::restore))
        .route(routes::LOCK, post(keys::lock))
        .route(routes::UNLOCK, post(keys::unlock))
        .route(routes::KEYS, post(keys::change))
        .route(routes::SHUTDOWN, post(accounts::shutdown))
        .route(routes::PROFILE, get(accounts::profile).post(accounts::set_profile))
        .route(routes::INVITES, post(pairing::invite))
        .route(routes::ACCEPT, post(pairing::accept))
        .route(routes::CONTACTS, get(pairing::contacts))
        .route(routes::REQUESTS, get(request::list))
        .route(routes::REQUESTS_CLOSE, post(request::close))
        .route(routes::REQUEST_ACCEPT, post(request::accept))
        .route(routes::REQUEST_REJECT, post(request::reject))
        .route(routes::PEERS, get(peer::peers))
        .route(routes::PING, post(peer::ping))
        .route(routes::CONTACT, get(contact::show))
        .route(routes::VERIFY, post(contact::verify))
        .route(routes::UNVERIFY, post(contact::unverify))
        .route(routes::ACCEPT_KEY, post(contact::accept_key))
        .route(routes::REFUSE_KEY, post(contact::refuse_key))
        .route(routes::RENAME, post(contact::rename))
        .route(routes::BLOCK, post(contact::block))
        .route(routes::UNBLOCK, post(contact::unblock))
        .route(routes::REMOVE, post(contact::remove))
        .route(routes::KEY_POLICY, post(contact::key_policy))
        .route(routes::CHATS, get(chat::list))
        .route(routes::CHAT, get(chat::show))
        .route(routes::ARCHIVE, post(chat::archive))
        .route(routes::UNARCHIVE, post(chat::unarchive))
        .route(routes::DND, post(chat::dnd))
        .route(routes::SEARCH, get(search::search))
        .route(routes::OUTBOX, get(outbox::list))
        .route(routes::OUTBOX_RETRY, post(outbox::retry))
        .route(routes::MUTE, post(chat::mute))
        .route(routes::TTL, post(chat::set_ttl))
        .route(routes::GROUPS, get(group::list).post(group::create))
        .route(routes::GROUP, get(group::show))
        .route(routes::GROUP_ADD, post(group::add))
        .route(routes::GROUP_REMOVE, post(group::remove))
        .route(routes::GROUP_RENAME, post(group::rename))
        .route(routes::GROUP_ROLE, post(group::role))
        .route(routes::GROUP_REBUILD, post(group::rebuild))
        .route(routes::GROUP_FORGET, post(group::forget))
        .route(routes::GROUP_LEAVE, post(group::leave))
        .route(routes::MESSAGE, get(messages::show))
        .route(routes::REACT, post(mark::react))
        .route(routes::EDIT, post(mark::edit))
        .route(routes::UNSEND, post(mark::unsend))
        .route(routes::CANCEL, post(mark::cancel))
        .route(routes::MESSAGES, post(messages::send))
        .route(routes::INBOX, get(messages::inbox))
        .route(routes::READ, post(messages::read))
        .route(routes::LOG, get(messages::log))
        .route(routes::AUDIT, get(audit::audit))
        .route(routes::EVENTS, get(events::events))
        .route(routes::EVENTS_ACK, post(events::ack))
        .route(routes::CONSUMERS, get(events::consumers))
        .route(routes::FORGET_CONSUMER, post(events::forget))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(axum::middleware::from_fn(once::under_key))
        .layer(DefaultBodyLimit::max(limits::REQUEST_BYTES))
        .layer(axum::middleware::map_response(name_build))
        .with_state(daemon)
}

/// So that a program notices that it was made with another API.
async fn name_build<B>(mut response: axum::http::Response<B>) -> axum::http::Response<B> {
    let build = axum::http::HeaderValue::from_static(hermes_api::BUILD);
    response.headers_mut().insert(axum::http::HeaderName::from_static(routes::BUILD), build);
    response
}

async fn no_method() -> Refused {
    Refused::new(
        ErrorCode::MethodNotAllowed,
        "this route of hermesd is not for that method",
        "what reads is a GET, what changes something a POST; GET /v1/openapi.json has them all",
    )
}

async fn no_route() -> Refused {
    Refused::new(
        ErrorCode::UnknownRoute,
        "this hermesd has no such route",
        "GET /v1/openapi.json has them all; a route of a newer version is there once hermesd is: hermesctl daemon restart",
    )
}
