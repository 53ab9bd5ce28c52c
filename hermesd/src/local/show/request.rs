//! Contact requests as documents of the API.

use hermes_api::{OpenInvite, Request, RequestMessage, Unreadable};
use hermes_engine::query::{OpenInviteView, RequestView};

use super::time;

pub(in crate::local) fn request(view: RequestView) -> Request {
    let message =
        |said: hermes_engine::query::Said| RequestMessage { text: said.text, sent_at: time(said.sent) };
    Request {
        name: view.name,
        profile_name: view.profile_name,
        namesake: view.namesake,
        fingerprint: view.fingerprint.to_string(),
        since: time(view.at),
        invite: view.invite.to_string(),
        messages: view.said.into_iter().map(message).collect(),
        held: view.held,
    }
}

pub(in crate::local) fn open_invite(view: OpenInviteView) -> OpenInvite {
    OpenInvite {
        id: view.id.to_string(),
        expires_at: time(view.expiry),
        refused: view.refused,
        last_refused: view
            .last_refused
            .map(|(cause, at)| Unreadable { at: time(at), cause: cause.to_string() }),
    }
}
