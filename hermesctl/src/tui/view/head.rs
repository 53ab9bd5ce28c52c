//! The bar on top: who this is, how it is connected, which chat is open, and what is to be known of it.

use hermes_api::{ChatWith, ConnectionState, Peer, Trust, UnixMillis};
use ratatui_core::{
    buffer::Buffer,
    style::{Modifier, Style},
};

use super::{
    super::{courier::Reach, model::Model},
    paint::Paint,
};
use crate::{
    duration::short,
    output::{Line, NAME},
};

const CONNECTED: &str = "connected";

/// Without colours, which would stand reversed.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint, now: UnixMillis) {
    let place = model.places.head;
    let mut line = Line::new(" ").styled(NAME, &model.account);
    let connection = connection(model);
    // Beside a list there is room to say that all is well; elsewhere only for what is not.
    if model.open.is_none() || !model.places.list.is_empty() || connection != CONNECTED {
        line = line.plain(format!(" {connection}"));
    }
    if let Some(open) = &model.open {
        line = line.plain("  │ ").styled(NAME, &open.chat);
        let chat = model.chat(&open.chat);
        if chat.is_some_and(|chat| chat.with == ChatWith::Group) {
            line = line.plain(" (group)");
        }
        if let Some(peer) = model.peers.get(&open.chat) {
            line = line.plain(standing(peer)).plain(presence(peer, now));
        }
        if chat.is_some_and(|chat| chat.muted_until.is_some()) {
            line = line.plain(", muted");
        }
    }
    paint.line(buffer, place, 0, &line);
    buffer.set_style(place, Style::new().add_modifier(Modifier::REVERSED));
}

fn connection(model: &Model) -> &'static str {
    match (&model.daemon, model.relay) {
        (Reach::Gone, _) => "hermesd is away",
        (Reach::Refused(_), _) if model.is_locked() => "is locked",
        (Reach::Refused(_), _) => "cannot be used",
        (Reach::Listening, Some(ConnectionState::Connected)) => CONNECTED,
        (Reach::Listening, Some(_)) => "not connected to the relay",
        (Reach::Listening, None) => "",
    }
}

/// What speaks against taking what stands there for what the contact says.
fn standing(peer: &Peer) -> &'static str {
    match (peer.blocked, peer.trust) {
        (true, _) => " is blocked",
        (false, Trust::Changed) => " HAS ANOTHER KEY",
        (false, Trust::Unverified) => " (unverified)",
        (false, Trust::Verified) => "",
    }
}

/// Whether a contact is there, as far as it tells.
fn presence(peer: &Peer, now: UnixMillis) -> String {
    match (peer.online, peer.last_seen_at) {
        (true, _) => " is there".to_owned(),
        (false, Some(seen)) => format!(" was there {} ago", short(seen.before(now))),
        (false, None) => String::new(),
    }
}
