//! The state as cells of a screen. All text comes as [`crate::output::Line`]s of the output layer, which cleans it.

mod chats;
mod compose;
mod conversation;
mod foot;
mod found;
mod head;
pub(super) mod history;
mod overlay;
mod paint;

use hermes_api::UnixMillis;
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
};

pub(super) use self::{chats::chat_at, conversation::message_at, paint::Paint};
use super::model::{Beyond, Focus, Model, Places, Purpose};
use crate::{limits::TUI_TEXT_ROWS, output::Line, render::fold};

/// Columns of the list of chats.
const LIST: u16 = 22;
/// On a narrower screen either the list or the conversation is shown.
const BOTH: u16 = 60;
/// Smaller than this there is nothing to be shown.
const LEAST: (u16, u16) = (20, 8);
/// Columns of what stands before the text being written.
const PROMPT: u16 = 2;
/// Rows that a conversation keeps, however long the text is.
const LEAST_HISTORY: u16 = 3;

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
    model.places = places(model, area);
    overlay::fit(model, area);
    model.follow_choice();
    let height = usize::from(model.places.history.height);
    let most = model.open.as_ref().map_or(0, |open| open.scroll.saturating_add(height));
    // The next page is asked for a screen before its first row is needed.
    let ahead = most.saturating_add(height);
    let rows = conversation::rows(model, ahead).len();
    let Some(open) = &mut model.open else { return };
    if rows < most {
        open.scroll = rows.saturating_sub(height);
    }
    if open.newer == Beyond::There && open.scroll < height {
        model.ask_newer();
    } else if rows < ahead {
        model.ask_older();
    }
}

/// Draws everything.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint, now: UnixMillis) -> Shown {
    let area = buffer.area;
    let mut shown = Shown::default();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = fold::fold("the window is too small", Some(area.width.into()));
        words.iter().enumerate().for_each(|(row, words)| paint.line(buffer, area, row, &Line::new(words)));
        return shown;
    }
    head::draw(model, buffer, paint, now);
    chats::draw(model, buffer, paint);
    match &model.search {
        Some(search) if model.focus == Focus::Search => {
            shown.cursor = found::draw(search, model, buffer, paint);
        }
        _ => {
            shown.messages = conversation::draw(model, buffer, paint);
            shown.cursor = compose::draw(model, buffer, paint);
        }
    }
    foot::draw(model, buffer, paint);
    if let Some(overlay) = &model.overlay {
        // What is covered was not read.
        shown = Shown { messages: Vec::new(), cursor: overlay::draw(overlay, model, buffer, paint, area) };
    }
    shown
}

fn places(model: &Model, area: Rect) -> Places {
    let Rect { x, y, width, height } = area;
    if width < LEAST.0 || height < LEAST.1 {
        return Places::default();
    }
    let middle = height - 2;
    let mut places = Places {
        head: Rect { height: 1, ..area },
        foot: Rect { y: y + height - 1, height: 1, ..area },
        ..Places::default()
    };
    let mut left = 0;
    let nothing_else = model.open.is_none() && model.focus != Focus::Search;
    if width >= BOTH {
        places.list = Rect::new(x, y + 1, LIST, middle);
        places.edge = Rect::new(x + LIST, y + 1, 1, middle);
        left = LIST + 1;
    } else if model.focus == Focus::Chats || nothing_else {
        places.list = Rect::new(x, y + 1, width, middle);
        return places;
    }
    places.history = Rect::new(x + left, y + 1, width - left, middle);
    if model.focus != Focus::Search && model.open.is_some() {
        split_text_off(model, &mut places);
    }
    places
}

/// Takes the rows of the text that is being written off the history.
fn split_text_off(model: &Model, places: &mut Places) {
    let Some(open) = &model.open else { return };
    let Rect { x, y, width, height } = places.history;
    let purpose = u16::from(open.draft.purpose != Purpose::New);
    let room = height.saturating_sub(LEAST_HISTORY + 1 + purpose).max(1);
    let rows = open.draft.text.rows(usize::from(width.saturating_sub(PROMPT)).max(1)).len();
    let rows = paint::columns(rows.clamp(1, TUI_TEXT_ROWS)).min(room);
    places.history.height = height.saturating_sub(rows + 1 + purpose);
    let below = y + places.history.height;
    places.rule = Rect::new(x, below, width, 1);
    places.purpose = Rect::new(x, below + 1, width, purpose);
    places.prompt = Rect::new(x, below + 1 + purpose, PROMPT, rows);
    places.text = Rect::new(x + PROMPT, below + 1 + purpose, width.saturating_sub(PROMPT), rows);
}
