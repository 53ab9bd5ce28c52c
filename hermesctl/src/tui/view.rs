//! The state as cells of a screen. All text comes as [`Line`]s of the output layer, which cleans it.

use hermes_api::{Chat, ChatWith, ConnectionState, Peer, UnixMillis};
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};

use super::{
    courier::Reach,
    history::{self, Row},
    model::{Focus, Model, Notice, Older, Open, Sending, Size},
    overlay,
    paint::{self, Paint},
};
use crate::{
    duration::short,
    output::{BAD, DIM, GOOD, Line, NAME, WARN},
    render::fold,
};

/// Columns of the list of chats.
const LIST: u16 = 22;
/// On a narrower screen either the list or the conversation is shown.
const BOTH: u16 = 60;
/// Smaller than this there is nothing to be shown.
const LEAST: (u16, u16) = (20, 8);

/// Where the parts of the screen are.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    list: Option<Rect>,
    head: Rect,
    history: Rect,
    text: Rect,
    foot: Rect,
}

/// What a drawing has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Places of the messages that were on the screen whole.
    pub(super) messages: Vec<usize>,
    /// Where the cursor stands.
    pub(super) cursor: Option<Position>,
}

/// Brings the state into the bounds of the screen, before it is drawn there.
pub(super) fn fit(model: &mut Model, area: Rect) {
    let places = places(model, area);
    model.size = Size {
        history_width: places.history.width.into(),
        history_height: places.history.height.into(),
        text_width: places.text.width.into(),
    };
    let size = model.size;
    let most = model.open.as_ref().map_or(0, |open| open.scroll.saturating_add(size.history_height));
    // The next page is asked for a screen before its first row is needed.
    let ahead = most.saturating_add(size.history_height);
    let rows = rows(model, ahead).len();
    let Some(open) = &mut model.open else { return };
    if rows < most {
        open.scroll = rows.saturating_sub(size.history_height);
    }
    if rows < ahead && open.older == Older::There {
        model.ask_older();
    } else if open.scroll == 0 {
        model.catch_up();
    }
}

/// Draws everything.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint, now: UnixMillis) -> Shown {
    let area = buffer.area;
    let mut shown = Shown::default();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        paint.line(buffer, area, 0, &Line::new("the window is too small"));
        return shown;
    }
    let places = places(model, area);
    head(model, buffer, paint, places.head, now);
    if let Some(place) = places.list {
        list(model, buffer, paint, place);
    }
    match &model.open {
        Some(open) if places.history.width > 0 => {
            shown.messages = conversation(model, open, buffer, paint, places.history);
            shown.cursor = text(model, open, buffer, paint, places.text);
        }
        Some(_) => {}
        None if places.history.width > 0 => welcome(model, buffer, paint, places.history),
        None => {}
    }
    foot(model, buffer, paint, places.foot);
    if let Some(overlay) = &model.overlay {
        overlay::draw(overlay, model, buffer, paint, area);
        // What is covered was not read.
        shown = Shown::default();
    }
    shown
}

fn places(model: &Model, area: Rect) -> Places {
    let Rect { x, y, width, height } = area;
    if width < LEAST.0 || height < LEAST.1 {
        return Places::default();
    }
    let both = width >= BOTH;
    let list_only = !both && (model.focus == Focus::Chats || model.open.is_none());
    let list = if both { LIST } else { width };
    let middle = height - 2;
    let list = (both || list_only).then(|| Rect::new(x, y + 1, list, middle));
    let left = if both { LIST + 1 } else { 0 };
    let right = if list_only { 0 } else { width - left };
    let rows = model.open.as_ref().map_or(0, |open| open.text_rows(usize::from(right.max(3)) - 2));
    let rows = u16::try_from(rows).unwrap_or(1).min(middle.saturating_sub(3));
    Places {
        list,
        head: Rect::new(x, y, width, 1),
        history: Rect::new(x + left, y + 1, right, middle - rows - u16::from(rows > 0)),
        text: Rect::new(x + left + 2, y + 1 + middle - rows, right.saturating_sub(2), rows),
        foot: Rect::new(x, y + height - 1, width, 1),
    }
}

/// The bar on top, without colours, which would stand reversed: who this is, how it is connected, and which chat is open.
fn head(model: &Model, buffer: &mut Buffer, paint: Paint, place: Rect, now: UnixMillis) {
    let connection = match (model.daemon, model.relay) {
        (Reach::Gone, _) => "hermesd is away",
        (_, Some(ConnectionState::Connected)) => "connected",
        (_, Some(_)) => "not connected to the relay",
        (_, None) => "",
    };
    let mut line = Line::default().styled(NAME, &model.account).plain(format!(" {connection}"));
    if let Some(open) = &model.open {
        line = line.plain("  │ ").styled(NAME, &open.chat);
        if let Some(chat) = model.chat(&open.chat) {
            line = line.plain(if chat.with == ChatWith::Group { " (group)" } else { "" });
            line = line.plain(presence(model, &open.chat, now));
            line = line.plain(if chat.muted_until.is_some() { " muted" } else { "" });
        }
    }
    paint.line(buffer, place, 0, &line);
    buffer.set_style(place, Style::new().add_modifier(Modifier::REVERSED));
}

/// Whether a contact is there, as far as it tells.
fn presence(model: &Model, name: &str, now: UnixMillis) -> String {
    match model.peers.get(name) {
        Some(peer) if peer.online => " is there".to_owned(),
        Some(Peer { last_seen_at: Some(seen), .. }) => format!(" was there {} ago", short(seen.before(now))),
        _ => String::new(),
    }
}

fn list(model: &Model, buffer: &mut Buffer, paint: Paint, place: Rect) {
    let height = usize::from(place.height);
    let first = (model.selected + 1).saturating_sub(height);
    for (row, (at, chat)) in model.chats.iter().enumerate().skip(first).take(height).enumerate() {
        let open = model.open.as_ref().is_some_and(|open| open.chat == chat.name);
        let there = model.peers.get(&chat.name).is_some_and(|peer| peer.online);
        paint.line(buffer, place, row, &entry(chat, usize::from(place.width), open, there));
        if at == model.selected && model.focus == Focus::Chats {
            let row = Rect { y: place.y + paint::columns(row), height: 1, ..place };
            buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    if model.chats.is_empty() {
        paint.line(buffer, place, 0, &Line::default().styled(DIM, "no chats yet:"));
        paint.line(buffer, place, 1, &Line::default().styled(DIM, "hermesctl invite"));
    }
    for y in place.top()..place.bottom() {
        let edge = Rect::new(place.right(), y, 1, 1);
        if edge.x < buffer.area.right() {
            paint.line(buffer, edge, 0, &Line::default().styled(DIM, "│"));
        }
    }
}

/// A chat in the list: what is unread stands behind its name.
fn entry(chat: &Chat, width: usize, open: bool, there: bool) -> Line {
    let count = match chat.unread {
        0 => String::new(),
        unread if chat.muted_until.is_some() => format!(" ({unread})"),
        unread => format!(" {unread}"),
    };
    let mark = if open { "▌" } else { " " };
    let there = if there { "●" } else { " " };
    let room = width.saturating_sub(2 + fold::width(&count));
    let name = paint::cut(&chat.name, room);
    let gap = " ".repeat(room.saturating_sub(fold::width(&name)));
    let style = if chat.unread > 0 && chat.muted_until.is_none() { NAME } else { anstyle::Style::new() };
    Line::new(mark).styled(GOOD, there).styled(style, name).plain(gap).styled(WARN, count)
}

/// The end of the conversation, or what it is scrolled to. Says which messages stand there whole.
fn conversation(model: &Model, open: &Open, buffer: &mut Buffer, paint: Paint, place: Rect) -> Vec<usize> {
    let height = usize::from(place.height);
    let mut rows = rows(model, open.scroll.saturating_add(height));
    rows.truncate(rows.len().saturating_sub(open.scroll));
    let above = rows.len().saturating_sub(height);
    if rows.is_empty() {
        let word = if open.older == Older::Unknown { "…" } else { "No messages yet." };
        paint.line(buffer, place, 0, &Line::default().styled(DIM, word));
    }
    // A short conversation stands at the bottom, where it is written.
    let top = height.saturating_sub(rows.len());
    let found = open.search.as_ref().and_then(|search| search.found.as_ref());
    for (at, row) in rows[above..].iter().enumerate() {
        paint.line(buffer, place, top + at, &row.line);
        let message = row.message.and_then(|message| open.messages.get(message));
        if message.is_some_and(|message| Some(&message.id) == found) {
            let row = Rect { y: place.y + paint::columns(top + at), height: 1, ..place };
            buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    if open.scroll > 0 {
        let line = Line::default().styled(WARN, format!("↓ {} more rows: Ctrl-End", open.scroll));
        let last = Rect { y: place.bottom() - 1, height: 1, ..place };
        paint.clear(buffer, last);
        paint.line(buffer, last, 0, &line);
    }
    whole(&rows, above, open.scroll)
}

/// The messages of which the last row can be seen: whoever reads reads downwards.
fn whole(rows: &[Row], above: usize, scroll: usize) -> Vec<usize> {
    let covered = usize::from(scroll > 0);
    let end = rows.len().saturating_sub(covered);
    let ends = |at: usize| rows.get(at + 1).is_none_or(|next| next.message != rows[at].message);
    (above..end)
        .filter(|at| ends(*at) && (scroll == 0 || at + 1 < rows.len()))
        .filter_map(|at| rows[at].message)
        .collect()
}

fn rows(model: &Model, most: usize) -> Vec<Row> {
    let Some(open) = &model.open else { return Vec::new() };
    let sending: Vec<&Sending> = model.sending.iter().filter(|sending| sending.chat == open.chat).collect();
    history::rows(open, &sending, model.size.history_width, most, &model.zone)
}

/// What is being written, under a rule. Says where the cursor stands.
fn text(model: &Model, open: &Open, buffer: &mut Buffer, paint: Paint, place: Rect) -> Option<Position> {
    let rule = Rect { x: place.x - 2, y: place.y - 1, width: place.width + 2, height: 1 };
    paint.line(buffer, rule, 0, &Line::default().styled(DIM, "─".repeat(rule.width.into())));
    let prompt = Rect { x: place.x - 2, width: 2, ..place };
    paint.line(buffer, prompt, 0, &Line::default().styled(NAME, "> "));
    let width = usize::from(place.width);
    let rows = open.draft.rows(width);
    let (row, column) = open.draft.cursor_at(width);
    let first = (row + 1).saturating_sub(place.height.into());
    if open.draft.is_empty() {
        paint.line(buffer, place, 0, &Line::default().styled(DIM, format!("write to {}", open.chat)));
    }
    for (at, range) in rows.into_iter().skip(first).take(place.height.into()).enumerate() {
        paint.line(buffer, place, at, &Line::new(&open.draft.text()[range]));
    }
    let searching = open.search.is_some();
    (model.focus == Focus::Text && !searching).then(|| {
        let column = paint::columns(column).min(place.width.saturating_sub(1));
        Position::new(place.x + column, place.y + paint::columns(row - first))
    })
}

fn welcome(model: &Model, buffer: &mut Buffer, paint: Paint, place: Rect) {
    let lines = match model.chats.is_empty() {
        true => ["There is nobody to write to yet.", "hermesctl invite prints a link that makes a contact."],
        false => ["↑ ↓ and Enter open a chat.", "F1 shows all keys."],
    };
    for (row, line) in lines.iter().enumerate() {
        paint.line(buffer, place, row + 1, &Line::default().styled(DIM, format!("  {line}")));
    }
}

/// The last row: what is wrong, what was asked for, or what can be done.
fn foot(model: &Model, buffer: &mut Buffer, paint: Paint, place: Rect) {
    let search = model.open.as_ref().and_then(|open| open.search.as_ref());
    let line = match (&model.notice, model.daemon, search) {
        (Some(Notice::Problem(problem)), ..) => {
            let hint = if problem.hint.is_empty() { String::new() } else { format!(" → {}", problem.hint) };
            Line::default().styled(BAD, "error: ").plain(&problem.message).styled(DIM, hint)
        }
        (Some(Notice::Note(line)), ..) => line.clone(),
        (None, Reach::Gone, _) => {
            let waits = match model.sending.len() {
                0 => "",
                _ => ", and sends then what you have written",
            };
            Line::default().styled(BAD, format!("hermesd went away; this waits for it to come back{waits}"))
        }
        (None, _, Some(search)) => {
            let more = if search.goes_on { "  (looking in older messages …)" } else { "" };
            Line::default()
                .styled(NAME, "search: ")
                .plain(search.query.text())
                .plain("▏")
                .styled(DIM, format!("  Enter: older, Esc: end{more}"))
        }
        (None, _, None) if model.focus == Focus::Chats => {
            Line::default().styled(DIM, "↑↓ Enter open  Tab text  ? help  Ctrl-Q quit")
        }
        (None, _, None) => Line::default()
            .styled(DIM, "Enter send  Tab chats  PgUp older  Ctrl-F search  F1 all keys  Ctrl-Q quit"),
    };
    paint.line(buffer, place, 0, &line);
}
