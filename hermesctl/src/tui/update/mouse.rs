//! What the mouse does, for those who asked for it.

use ratatui_core::layout::Position;
use ratatui_crossterm::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::super::{
    model::{Focus, Model},
    view,
};

/// Rows that one notch of the wheel scrolls.
const NOTCH: usize = 3;

impl Model {
    /// Takes what the mouse did in.
    pub(in crate::tui) fn pointed(&mut self, event: MouseEvent) {
        if self.overlay.is_some() || self.focus == Focus::Search {
            return;
        }
        let at = Position::new(event.column, event.row);
        let in_list = self.places.list.contains(at);
        let last = self.chats.len().saturating_sub(1);
        match event.kind {
            MouseEventKind::ScrollUp if in_list => self.selected = self.selected.saturating_sub(1),
            MouseEventKind::ScrollDown if in_list => self.selected = (self.selected + 1).min(last),
            MouseEventKind::ScrollUp => self.wheel(NOTCH, Self::scroll_up),
            MouseEventKind::ScrollDown => self.wheel(NOTCH, Self::scroll_down),
            MouseEventKind::Down(MouseButton::Left) if in_list => {
                if let Some(name) = view::chat_at(self, at).map(|chat| chat.name.clone()) {
                    self.open_chat(&name);
                }
            }
            MouseEventKind::Down(MouseButton::Left) if self.places.history.contains(at) => {
                let message = view::message_at(self, at);
                if let (Some(message), Some(open)) = (message, &mut self.open) {
                    open.chosen = Some(message);
                    self.focus = Focus::Messages;
                }
            }
            MouseEventKind::Down(MouseButton::Left) if self.places.text.contains(at) => self.end_choosing(),
            _ => {}
        }
    }

    fn wheel(&mut self, rows: usize, scroll: impl FnOnce(&mut Self, usize)) {
        // A choice would hold the screen where it is.
        if self.focus == Focus::Messages {
            self.end_choosing();
        }
        scroll(self, rows);
    }
}
