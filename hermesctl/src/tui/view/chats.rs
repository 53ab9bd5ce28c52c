//! The list of chats: what is unread stands behind a name, and who is there has a dot before it.

use hermes_api::{Chat, ChatWith, Peer, Trust};
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};

use super::{
    super::model::{Focus, Model},
    paint::{self, Paint},
};
use crate::{
    output::{BAD, DIM, GOOD, Line, NAME, WARN},
    render::fold,
};

pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint) {
    let place = model.places.list;
    let visible = model.chats.iter().enumerate().skip(first(model)).take(place.height.into());
    for (row, (at, chat)) in visible.enumerate() {
        paint.line(buffer, place, row, &entry(model, chat, place.width.into()));
        if at == model.selected && model.focus == Focus::Chats {
            let row = Rect { y: place.y + paint::columns(row), height: 1, ..place };
            buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    if model.chats.is_empty() && !place.is_empty() {
        paint.line(buffer, place, 0, &Line::default().styled(DIM, "no chats yet:"));
        paint.line(buffer, place, 1, &Line::default().styled(DIM, "hermesctl invite"));
    }
    for row in 0..model.places.edge.height.into() {
        paint.line(buffer, model.places.edge, row, &Line::default().styled(DIM, "│"));
    }
}

/// The chat that stands at a place of the screen.
pub(in crate::tui) fn chat_at(model: &Model, at: Position) -> Option<&Chat> {
    let row = at.y.checked_sub(model.places.list.y)?;
    model.chats.get(first(model) + usize::from(row))
}

/// The first chat on the screen: the one that the list stands on has to be there.
fn first(model: &Model) -> usize {
    (model.selected + 1).saturating_sub(model.places.list.height.into())
}

fn entry(model: &Model, chat: &Chat, width: usize) -> Line {
    let count = match chat.unread {
        0 => String::new(),
        unread if chat.muted_until.is_some() => format!(" ({unread})"),
        unread => format!(" {unread}"),
    };
    let is_open = model.open.as_ref().is_some_and(|open| open.chat == chat.name);
    let peer = model.peers.get(&chat.name).filter(|_| chat.with != ChatWith::Group);
    let (mark_style, mark) = mark(peer);
    let room = width.saturating_sub(2 + fold::width(&count));
    let name = paint::cut(&chat.name, room);
    let gap = " ".repeat(room.saturating_sub(fold::width(&name)));
    let style = match peer {
        Some(peer) if peer.blocked => DIM,
        _ if chat.unread > 0 && chat.muted_until.is_none() => NAME,
        _ => anstyle::Style::new(),
    };
    Line::new(if is_open { "▌" } else { " " })
        .styled(mark_style, mark)
        .styled(style, name)
        .plain(gap)
        .styled(WARN, count)
}

fn mark(peer: Option<&Peer>) -> (anstyle::Style, &'static str) {
    match peer {
        Some(peer) if peer.blocked => (DIM, "x"),
        Some(peer) if peer.trust == Trust::Changed => (BAD, "!"),
        Some(peer) if peer.online => (GOOD, "●"),
        _ => (DIM, " "),
    }
}
