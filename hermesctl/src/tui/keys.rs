//! What the keys do.

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    courier::Request,
    editor::Motion,
    model::{Focus, Model, Open, Overlay},
    search,
};
use crate::limits::{TUI_QUERY_BYTES, TUI_TEXT_ROWS};

/// What follows for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    /// Draw everything anew.
    Redraw,
    /// Give the terminal to the shell for a while.
    Suspend,
    Leave,
}

/// The keys as the help shows them.
pub(super) const HELP: [(&str, &str); 17] = [
    ("Enter", "send; in the list, open the chat"),
    ("Alt-Enter, Ctrl-J", "new line"),
    ("Tab", "to the list of chats and back"),
    ("Ctrl-N, Ctrl-P", "next chat, previous chat"),
    ("PgUp, PgDn", "older, newer messages"),
    ("Ctrl-Up, Ctrl-Down", "the same, row by row"),
    ("Ctrl-End", "to the newest message"),
    ("Ctrl-F", "search; Enter goes on to older ones, Esc ends"),
    ("Ctrl-T, F2", "safety number of the contact"),
    ("Ctrl-A, Ctrl-E", "start, end of the line"),
    ("Alt-B, Alt-F", "word by word (also Ctrl-Left, Ctrl-Right)"),
    ("Ctrl-W, Ctrl-U, Ctrl-K", "delete a word, to the start, to the end"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "back to the shell; fg returns"),
    ("Esc", "close what is open, back to the text"),
    ("F1, ? in the list", "this help"),
    ("Ctrl-Q, Ctrl-C", "quit"),
];

impl Model {
    /// Takes a key in. `id` is the idempotency key of a message, if one is sent.
    pub(super) fn pressed(&mut self, key: KeyEvent, id: impl FnOnce() -> String) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Stay;
        }
        self.notice = None;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'q') if control => return self.leave(),
            KeyCode::Char('z') if control => return Flow::Suspend,
            KeyCode::Char('l') if control => return Flow::Redraw,
            _ => {}
        }
        if self.overlay.is_some() {
            return self.in_overlay(key.code);
        }
        match key.code {
            KeyCode::F(1) => self.overlay = Some(Overlay::Help),
            KeyCode::F(2) => self.ask_safety(),
            KeyCode::Char('t') if control => self.ask_safety(),
            KeyCode::Char('f') if control => search::begin(self),
            KeyCode::Char('n') if control => self.step_chat(1),
            KeyCode::Char('p') if control => self.step_chat(-1),
            KeyCode::PageUp => self.scroll_up(self.page()),
            KeyCode::PageDown => self.scroll_down(self.page()),
            KeyCode::Up if control => self.scroll_up(1),
            KeyCode::Down if control => self.scroll_down(1),
            KeyCode::End if control => self.scroll_down(usize::MAX),
            _ => match self.focus {
                Focus::Chats => self.in_list(key.code),
                Focus::Text => self.in_text(key, control, id),
            },
        }
        Flow::Stay
    }

    /// Takes pasted text in.
    pub(super) fn pasted(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.insert(&text);
    }

    fn leave(&mut self) -> Flow {
        let sure = matches!(self.overlay, Some(Overlay::Leave));
        if sure || self.sending.is_empty() {
            return Flow::Leave;
        }
        self.overlay = Some(Overlay::Leave);
        Flow::Stay
    }

    fn in_overlay(&mut self, code: KeyCode) -> Flow {
        if let (Some(Overlay::Safety { contact, details: Some(details) }), KeyCode::Char('v')) =
            (&self.overlay, code)
        {
            self.requests
                .push(Request::Verify { contact: contact.clone(), number: details.safety_number.clone() });
            return Flow::Stay;
        }
        if matches!((&self.overlay, code), (Some(Overlay::Leave), KeyCode::Char('y'))) {
            return Flow::Leave;
        }
        self.overlay = None;
        Flow::Stay
    }

    fn in_list(&mut self, code: KeyCode) {
        let last = self.chats.len().saturating_sub(1);
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Enter | KeyCode::Right => {
                if let Some(name) = self.chats.get(self.selected).map(|chat| chat.name.clone()) {
                    self.open_chat(&name);
                }
            }
            KeyCode::Tab | KeyCode::Esc if self.open.is_some() => self.focus = Focus::Text,
            KeyCode::Char('?') => self.overlay = Some(Overlay::Help),
            KeyCode::Char('q') => {
                self.note("Ctrl-Q quits");
            }
            _ => {}
        }
    }

    fn in_text(&mut self, key: KeyEvent, control: bool, id: impl FnOnce() -> String) {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let width = self.size.text_width;
        let Some(open) = &mut self.open else {
            self.focus = Focus::Chats;
            return self.in_list(key.code);
        };
        let searching = open.search.is_some();
        match key.code {
            KeyCode::Esc => open.search = None,
            KeyCode::Tab => self.focus = Focus::Chats,
            KeyCode::Enter if searching => search::next(self),
            KeyCode::Enter if !alt && !key.modifiers.contains(KeyModifiers::SHIFT) => self.send(id()),
            KeyCode::Enter => self.insert("\n"),
            KeyCode::Char('j') if control => self.insert("\n"),
            KeyCode::Up => {
                open.text().up(width);
            }
            KeyCode::Down => {
                open.text().down(width);
            }
            KeyCode::Char(letter) if !control && !alt => self.insert(letter.encode_utf8(&mut [0; 4])),
            code => edit(open, code, control, alt),
        }
    }

    fn insert(&mut self, text: &str) {
        let Some(open) = &mut self.open else { return };
        if self.focus != Focus::Text {
            return;
        }
        let taken = match &mut open.search {
            Some(search) => {
                // What is found depends on it.
                search.found = None;
                search.query.insert(text, TUI_QUERY_BYTES)
            }
            None => open.draft.insert(text, hermes_api::limits::TEXT_BYTES),
        };
        if !taken {
            self.note("the text would be too long; nothing was added");
        }
    }

    fn ask_safety(&mut self) {
        let Some(contact) = self.open.as_ref().map(|open| open.chat.clone()) else { return };
        if self.chat(&contact).is_some_and(|chat| chat.with == hermes_api::ChatWith::Group) {
            return self.note("a group has no safety number; its members have: hermesctl group show");
        }
        self.requests.push(Request::Contact(contact.clone()));
        self.overlay = Some(Overlay::Safety { contact, details: None });
    }

    fn step_chat(&mut self, by: isize) {
        let last = self.chats.len().saturating_sub(1);
        let place = self.selected.saturating_add_signed(by).min(last);
        if let Some(name) = self.chats.get(place).map(|chat| chat.name.clone()) {
            self.open_chat(&name);
        }
    }

    fn page(&self) -> usize {
        // Two rows stay, so that one finds one's place.
        self.size.history_height.saturating_sub(2).max(1)
    }

    fn scroll_up(&mut self, rows: usize) {
        if let Some(open) = &mut self.open {
            open.scroll = open.scroll.saturating_add(rows);
        }
    }

    fn scroll_down(&mut self, rows: usize) {
        if let Some(open) = &mut self.open {
            open.scroll = open.scroll.saturating_sub(rows);
        }
    }
}

fn edit(open: &mut Open, code: KeyCode, control: bool, alt: bool) {
    if let Some(search) = &mut open.search {
        search.found = None;
    }
    let text = open.text();
    match (code, control, alt) {
        (KeyCode::Backspace, false, false) => text.delete(Motion::Left),
        (KeyCode::Char('h'), true, _) => text.delete(Motion::Left),
        (KeyCode::Backspace, ..) | (KeyCode::Char('w'), true, _) => text.delete(Motion::WordLeft),
        (KeyCode::Delete, ..) | (KeyCode::Char('d'), true, _) => text.delete(Motion::Right),
        (KeyCode::Char('u'), true, _) => text.delete(Motion::LineStart),
        (KeyCode::Char('k'), true, _) => text.delete(Motion::LineEnd),
        (KeyCode::Char('a'), true, _) | (KeyCode::Home, ..) => text.go(Motion::LineStart),
        (KeyCode::Char('e'), true, _) | (KeyCode::End, ..) => text.go(Motion::LineEnd),
        (KeyCode::Left, false, false) => text.go(Motion::Left),
        (KeyCode::Right, false, false) => text.go(Motion::Right),
        (KeyCode::Left, ..) | (KeyCode::Char('b'), _, true) => text.go(Motion::WordLeft),
        (KeyCode::Right, ..) | (KeyCode::Char('f'), _, true) => text.go(Motion::WordRight),
        _ => {}
    }
}

impl Open {
    /// What is being written: the message, or what to look for.
    pub(super) fn text(&mut self) -> &mut super::editor::Editor {
        match &mut self.search {
            Some(search) => &mut search.query,
            None => &mut self.draft,
        }
    }

    /// Rows that the text being written takes on the screen.
    pub(super) fn text_rows(&self, width: usize) -> usize {
        self.draft.rows(width).len().clamp(1, TUI_TEXT_ROWS)
    }
}
