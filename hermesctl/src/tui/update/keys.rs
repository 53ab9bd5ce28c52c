//! What the keys do.

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::{
    courier::Request,
    editor::{Editor, Motion},
    model::{Focus, Model, Overlay, Purpose},
};

/// What follows for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Flow {
    Stay,
    /// Draw everything anew.
    Redraw,
    /// Give the terminal to the shell for a while.
    Suspend,
    Leave,
}

/// The keys as the help shows them: with its frame, on 24 rows of 80 columns.
pub(in crate::tui) const HELP: [(&str, &str); 22] = [
    ("Enter", "send; in the list, open the chat"),
    ("Alt-Enter, Ctrl-J", "new line"),
    ("Tab", "to the list of chats and back"),
    ("Ctrl-N, Ctrl-P", "next chat, previous chat"),
    ("PgUp, PgDn", "older, newer messages; Ctrl-Up, Ctrl-Down: by rows"),
    ("Ctrl-End", "to the newest message"),
    ("Alt-Up", "choose a message; so does ↑ where nothing is written"),
    ("  Enter, r", "  answer it"),
    ("  +", "  react to it, or take your reaction back"),
    ("  e, d", "  change what it says, withdraw it, if it is yours"),
    ("  i", "  who has it, and who has read it"),
    ("Ctrl-F", "search; in the list, in all chats"),
    ("Ctrl-T, F2", "safety number of the contact"),
    ("Ctrl-A, Ctrl-E", "start, end of the line; Alt-B, Alt-F: by words"),
    ("Ctrl-W, Ctrl-U, Ctrl-K", "delete a word, to the start, to the end"),
    ("Ctrl-Z, Ctrl-L", "to the shell, fg returns; draw the screen anew"),
    ("Esc", "close what is open, back to the text"),
    ("F1, ? in the list", "this help; ↑ ↓ scroll it, any other key closes it"),
    ("Ctrl-Q, Ctrl-C", "quit"),
    ("● before a name", "the contact is there"),
    ("! or x before a name", "the contact has another key, or is blocked"),
    ("3 or (3) behind it", "so many are unread; in brackets: the chat is muted"),
];

/// For those who write while the keys go through the list.
pub(super) const IN_LIST: &str = "nothing is written yet: Enter opens the chat, Tab goes back to the text";

impl Model {
    /// Takes a key in. `id` is the idempotency key of what is said, if anything is.
    pub(in crate::tui) fn pressed(&mut self, key: KeyEvent, id: impl FnOnce() -> String) -> Flow {
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
            return self.in_overlay(key, id);
        }
        match key.code {
            KeyCode::F(1) => self.lay(Overlay::Help),
            KeyCode::F(2) => self.ask_safety(),
            KeyCode::Char('t') if control => self.ask_safety(),
            KeyCode::Char('f') if control => self.begin_search(),
            KeyCode::Char('n') if control => self.step_chat(1),
            KeyCode::Char('p') if control => self.step_chat(-1),
            _ => match self.focus {
                Focus::Chats => self.in_list(key.code),
                Focus::Messages => self.in_messages(key.code),
                Focus::Search => self.in_search(key),
                Focus::Text => self.in_text(key, control, id),
            },
        }
        Flow::Stay
    }

    /// Takes pasted text in.
    pub(in crate::tui) fn pasted(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        match self.overlay {
            None => self.insert(&text),
            Some(_) => self.insert_reaction(&text),
        }
    }

    fn leave(&mut self) -> Flow {
        let sure = matches!(self.overlay, Some(Overlay::Leave));
        if sure || (self.sending.is_empty() && self.begun().next().is_none()) {
            return Flow::Leave;
        }
        self.lay(Overlay::Leave);
        Flow::Stay
    }

    fn in_list(&mut self, code: KeyCode) {
        let page = self.page();
        let last = self.chats.len().saturating_sub(1);
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(page),
            KeyCode::PageDown => self.selected = (self.selected + page).min(last),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Enter | KeyCode::Right => {
                if let Some(name) = self.chats.get(self.selected).map(|chat| chat.name.clone()) {
                    self.open_chat(&name);
                }
            }
            KeyCode::Tab | KeyCode::Esc if self.open.is_some() => self.focus = Focus::Text,
            KeyCode::Char('?') => self.lay(Overlay::Help),
            KeyCode::Char('q') => self.note("Ctrl-Q quits"),
            KeyCode::Char(_) => self.note(IN_LIST),
            _ => {}
        }
    }

    fn in_text(&mut self, key: KeyEvent, control: bool, id: impl FnOnce() -> String) {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let width = self.places.text.width.into();
        let page = self.page();
        let Some(open) = &mut self.open else {
            self.focus = Focus::Chats;
            return self.in_list(key.code);
        };
        match key.code {
            KeyCode::Esc if open.draft.purpose != Purpose::New => open.draft.drop_purpose(),
            KeyCode::Tab => self.focus = Focus::Chats,
            KeyCode::PageUp => self.scroll_up(page),
            KeyCode::PageDown => self.scroll_down(page),
            KeyCode::Up if control => self.scroll_up(1),
            KeyCode::Down if control => self.scroll_down(1),
            KeyCode::End if control => self.go_to_newest(),
            KeyCode::Enter if !alt && !key.modifiers.contains(KeyModifiers::SHIFT) => self.send(id()),
            KeyCode::Enter => self.insert("\n"),
            KeyCode::Char('j') if control => self.insert("\n"),
            KeyCode::Up if alt || open.draft.text.is_empty() => self.begin_choosing(),
            KeyCode::Up => {
                open.draft.text.up(width);
            }
            KeyCode::Down => {
                open.draft.text.down(width);
            }
            _ => self.edit_line(key),
        }
    }

    /// What a key does to the text that is being written, whatever it is for.
    pub(super) fn edit_line(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        if let KeyCode::Char(letter) = key.code
            && !control
            && !alt
        {
            let mut bytes = [0; 4];
            let letter: &str = letter.encode_utf8(&mut bytes);
            return match self.overlay {
                None => self.insert(letter),
                Some(_) => self.insert_reaction(letter),
            };
        }
        let text = match (&mut self.overlay, self.focus) {
            (Some(Overlay::React { typed, .. }), _) => Some(typed),
            (None, Focus::Search) => self.search.as_mut().map(|search| &mut search.query),
            (None, Focus::Text) => self.open.as_mut().map(|open| &mut open.draft.text),
            _ => None,
        };
        if let Some(text) = text {
            edit(text, key.code, control, alt);
        }
    }

    fn ask_safety(&mut self) {
        let Some(contact) = self.open.as_ref().map(|open| open.chat.clone()) else { return };
        if self.chat(&contact).is_some_and(|chat| chat.with == hermes_api::ChatWith::Group) {
            return self.note("a group has no safety number; its members have: hermesctl group show");
        }
        self.requests.push(Request::Contact(contact.clone()));
        self.lay(Overlay::Safety { contact, details: None });
    }

    fn step_chat(&mut self, by: isize) {
        let last = self.chats.len().saturating_sub(1);
        let place = self.selected.saturating_add_signed(by).min(last);
        if let Some(name) = self.chats.get(place).map(|chat| chat.name.clone()) {
            self.open_chat(&name);
        }
    }

    /// Rows by which a page is turned.
    pub(super) fn page(&self) -> usize {
        let places = &self.places;
        let height = if places.history.is_empty() { places.list.height } else { places.history.height };
        // Two rows stay, so that one finds one's place.
        usize::from(height).saturating_sub(2).max(1)
    }

    pub(super) fn scroll_up(&mut self, rows: usize) {
        if let Some(open) = &mut self.open {
            open.scroll = open.scroll.saturating_add(rows);
        }
    }

    pub(super) fn scroll_down(&mut self, rows: usize) {
        if let Some(open) = &mut self.open {
            open.scroll = open.scroll.saturating_sub(rows);
        }
    }
}

fn edit(text: &mut Editor, code: KeyCode, control: bool, alt: bool) {
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
