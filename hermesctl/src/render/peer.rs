//! Contacts as one looks at them before writing.

use hermes_api::{ContactState, Peer, SessionHealth, UnixMillis};

use super::account::{REFUSES, trust};
use crate::duration;

pub(crate) const HEADER: [&str; 5] = ["name", "seen", "trust", "session", "unread"];

/// A contact as a row under [`HEADER`].
pub(crate) fn row(peer: &Peer, now: UnixMillis) -> Vec<String> {
    let seen = match (peer.online, peer.last_seen_at) {
        (true, _) => "online".to_owned(),
        (false, Some(at)) => format!("{} ago", duration::short(at.before(now))),
        (false, None) => "never".to_owned(),
    };
    let session = match (peer.state, peer.session) {
        _ if peer.blocked => "blocked",
        _ if peer.refuses => REFUSES,
        (ContactState::Pending, _) => "pairing",
        (ContactState::Asked, _) => "asked",
        (ContactState::Ready, SessionHealth::None) => "none yet",
        (ContactState::Ready, SessionHealth::Unanswered) => "not answered yet",
        (ContactState::Ready, SessionHealth::Established) => "ok",
        (ContactState::Ready, SessionHealth::Renewing) => "being renewed",
        (ContactState::Ready, SessionHealth::Other) => "unknown",
    };
    let trust = trust(peer.trust, peer.verified_by);
    vec![peer.name.clone(), seen, trust, session.to_owned(), peer.unread.to_string()]
}
