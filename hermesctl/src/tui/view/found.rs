//! A search: what is looked for, and what was found, the newest first.

use hermes_api::{Body, Direction, Message};
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};

use super::{
    super::model::{Model, Run, Search},
    paint::{self, Paint},
};
use crate::{
    output::{DIM, Line, NAME},
    render::{fold, group::person, message::local_time},
};

/// Rows above what was found: the query, and a rule.
const ABOVE: u16 = 2;

/// Says where the cursor stands.
pub(super) fn draw(search: &Search, model: &Model, buffer: &mut Buffer, paint: Paint) -> Option<Position> {
    let place = model.places.history;
    let scope = search.chat.as_deref().map_or_else(|| "all chats".to_owned(), |chat| chat.to_owned());
    let head = format!("search {}: ", paint::cut(&scope, usize::from(place.width / 3)));
    let column = fold::width(&head);
    let room = usize::from(place.width).saturating_sub(column + 1).max(1);
    // A query that is too long for its row shows the row that the cursor is in.
    let (row, at) = search.query.cursor_at(room);
    let query = search.query.rows(room).get(row).cloned().unwrap_or_default();
    let line = Line::default().styled(NAME, head).plain(&search.query.text()[query]);
    paint.line(buffer, place, 0, &line);
    paint.line(buffer, place, 1, &Line::default().styled(DIM, "─".repeat(place.width.into())));
    let place = Rect { y: place.y + ABOVE, height: place.height.saturating_sub(ABOVE), ..place };
    hits(search, model, buffer, paint, place);
    Some(Position::new(place.x + paint::columns(column + at), place.y - ABOVE))
}

fn hits(search: &Search, model: &Model, buffer: &mut Buffer, paint: Paint, place: Rect) {
    // The last row says how far it has come.
    let height = usize::from(place.height).saturating_sub(1);
    let first = (search.chosen + 1).saturating_sub(height);
    for (row, (at, hit)) in search.hits.iter().enumerate().skip(first).take(height).enumerate() {
        paint.line(buffer, place, row, &entry(hit, search, model));
        if at == search.chosen {
            let row = Rect { y: place.y + paint::columns(row), height: 1, ..place };
            buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    let row = search.hits.len().saturating_sub(first).min(height);
    paint.line(buffer, place, row, &Line::default().styled(DIM, progress(search)));
}

/// When, who, and what, from a little before the words that were looked for.
fn entry(hit: &Message, search: &Search, model: &Model) -> Line {
    let time = local_time(hit.received_at.unwrap_or(hit.sent_at), &model.zone);
    let from = match hit.direction {
        Direction::In => hit.author.as_ref().map_or_else(|| hit.from.clone(), person),
        Direction::Out | Direction::Note => "you".to_owned(),
    };
    let chat =
        if search.chat.is_none() && hit.chat != from { format!("{}  ", hit.chat) } else { String::new() };
    let text = match &hit.body {
        Body::Text { text } => around(text, search.query.text()),
        _ => String::new(),
    };
    Line::default().styled(DIM, format!("{time}  {chat}")).styled(NAME, from).plain(format!(": {text}"))
}

/// Characters before the words that were found.
const BEFORE: usize = 12;

/// A text on one line, from a little before the words that it was found by.
fn around(text: &str, query: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let query = query.to_lowercase();
    // Lower case may have another length, so that the place is counted in characters.
    let lower = line.to_lowercase();
    let found = lower.find(query.trim()).map_or(0, |at| lower[..at].chars().count());
    match found.checked_sub(BEFORE) {
        None | Some(0) => line,
        Some(skipped) => format!("…{}", line.chars().skip(skipped).collect::<String>()),
    }
}

fn progress(search: &Search) -> String {
    let read = search.read;
    match (&search.run, search.hits.len()) {
        (Run::No, _) => "Enter looks for it, Tab changes where".to_owned(),
        (Run::Running(_), _) => format!("… {read} messages looked through"),
        (Run::Paused(_), _) => "↓ finds older ones".to_owned(),
        (Run::Done, 0) => format!("nothing found in {read} messages"),
        (Run::Done, 1) => "1 found".to_owned(),
        (Run::Done, found) if found >= crate::limits::TUI_HITS => format!("the newest {found}"),
        (Run::Done, found) => format!("{found} found"),
    }
}
