//! The end of the conversation, or what it is scrolled to.

use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};

use super::{
    super::model::{Beyond, Model, Open},
    history::{self, Row},
    paint::{self, Paint},
};
use crate::output::{DIM, Line, WARN};

/// Says which messages stand there whole.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint) -> Vec<usize> {
    let place = model.places.history;
    let Some(open) = &model.open else {
        welcome(model, buffer, paint);
        return Vec::new();
    };
    if place.is_empty() {
        return Vec::new();
    }
    let Visible { rows, top } = visible(model, open);
    if rows.is_empty() {
        let word = match open.older {
            _ if model.is_locked() => "The account is locked.",
            Beyond::Unknown => "…",
            _ => "No messages yet.",
        };
        paint.line(buffer, place, 0, &Line::default().styled(DIM, word));
    }
    for (at, row) in rows.iter().enumerate() {
        paint.line(buffer, place, top + at, &row.line);
        let message = row.message.and_then(|message| open.messages.get(message));
        if message.is_some_and(|message| Some(&message.id) == open.chosen.as_ref()) {
            let row = Rect { y: place.y + paint::columns(top + at), height: 1, ..place };
            buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    if open.scroll > 0 {
        let last = Rect { y: place.bottom() - 1, height: 1, ..place };
        paint.clear(buffer, last);
        paint.line(buffer, last, 0, &Line::default().styled(WARN, below(open)));
    }
    whole(&rows, open.scroll)
}

/// The message that stands at a place of the screen, by its id.
pub(in crate::tui) fn message_at(model: &Model, at: Position) -> Option<String> {
    let open = model.open.as_ref()?;
    let Visible { rows, top } = visible(model, open);
    let row = usize::from(at.y.checked_sub(model.places.history.y)?).checked_sub(top)?;
    let message = rows.get(row)?.message?;
    open.messages.get(message).map(|message| message.id.clone())
}

/// Up to `most` rows of the conversation from its end.
pub(super) fn rows(model: &Model, most: usize) -> Vec<Row> {
    // Whoever locks an account walks away from the screen.
    let Some(open) = model.open.as_ref().filter(|_| !model.is_locked()) else { return Vec::new() };
    let unsent: Vec<&str> = model.unsent(&open.chat).collect();
    history::rows(open, &unsent, model.places.history.width.into(), most, &model.zone)
}

/// What is on the screen.
struct Visible {
    rows: Vec<Row>,
    /// Empty rows above them: a short conversation stands at the bottom, where it is written.
    top: usize,
}

fn visible(model: &Model, open: &Open) -> Visible {
    let height = usize::from(model.places.history.height);
    let mut rows = rows(model, open.scroll.saturating_add(height));
    rows.truncate(rows.len().saturating_sub(open.scroll));
    rows.drain(..rows.len().saturating_sub(height));
    Visible { top: height.saturating_sub(rows.len()), rows }
}

fn below(open: &Open) -> String {
    let more = if open.newer == Beyond::None { "" } else { "+" };
    format!("↓ {}{more} more rows: Ctrl-End", open.scroll)
}

/// The messages of which the last row can be seen: whoever reads reads downwards.
fn whole(rows: &[Row], scroll: usize) -> Vec<usize> {
    // A last row that is covered, or goes on below the screen, ends nothing.
    let end = if scroll > 0 { rows.len().saturating_sub(1) } else { rows.len() };
    let ends = |at: usize| rows.get(at + 1).is_none_or(|next| next.message != rows[at].message);
    (0..end).filter(|at| ends(*at)).filter_map(|at| rows[at].message).collect()
}

fn welcome(model: &Model, buffer: &mut Buffer, paint: Paint) {
    let lines = match model.chats.is_empty() {
        true => ["There is nobody to write to yet.", "hermesctl invite prints a link that makes a contact."],
        false => ["↑ ↓ and Enter open a chat.", "F1 shows all keys."],
    };
    for (row, line) in lines.iter().enumerate() {
        let line = Line::default().styled(DIM, format!("  {line}"));
        paint.line(buffer, model.places.history, row + 1, &line);
    }
}
