//! What the keys do while something stands above everything else.

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent};

use super::{
    super::{
        courier::Request,
        model::{Model, Overlay, Said, Target},
    },
    keys::Flow,
};

/// Reactions that a digit stands for, from 1 on. All of them are two columns wide on every terminal.
pub(in crate::tui) const REACTIONS: [&str; 8] = ["👍", "👎", "😂", "🎉", "😮", "😢", "🙏", "👀"];

/// Bytes of a reaction.
const REACTION_BYTES: usize = 32;

impl Model {
    pub(super) fn in_overlay(&mut self, key: KeyEvent, id: impl FnOnce() -> String) -> Flow {
        let scrolls =
            matches!(self.overlay, Some(Overlay::Help | Overlay::Safety { .. } | Overlay::Details { .. }));
        if scrolls && self.scroll_overlay(key.code) {
            return Flow::Stay;
        }
        match (&self.overlay, key.code) {
            (Some(Overlay::React { target, .. }), _) => {
                let target = target.clone();
                self.in_reaction(target, key, id);
            }
            (Some(Overlay::Safety { contact, details: Some(details) }), KeyCode::Char('v')) => {
                let (contact, number) = (contact.clone(), details.safety_number.clone());
                self.requests.push(Request::Verify { contact, number });
            }
            (Some(Overlay::Unsend(target)), KeyCode::Char('y')) => {
                let target = target.clone();
                self.overlay = None;
                self.say(Said::Unsend { target }, id());
            }
            (Some(Overlay::Leave), KeyCode::Char('y')) => return Flow::Leave,
            _ => self.overlay = None,
        }
        Flow::Stay
    }

    fn in_reaction(&mut self, target: Target, key: KeyEvent, id: impl FnOnce() -> String) {
        let Some(Overlay::React { typed, .. }) = &mut self.overlay else { return };
        let emoji = match key.code {
            KeyCode::Enter if typed.is_empty() => None,
            KeyCode::Enter => Some(typed.text().trim().to_owned()),
            KeyCode::Char('0') if typed.is_empty() => None,
            KeyCode::Char(digit @ '1'..='8') if typed.is_empty() => {
                let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(1);
                REACTIONS.get(place - 1).map(|emoji| (*emoji).to_owned())
            }
            KeyCode::Esc => {
                self.overlay = None;
                return;
            }
            _ => return self.edit_line(key),
        };
        if key.code == KeyCode::Enter && emoji.is_none() {
            return;
        }
        self.overlay = None;
        self.say(Said::React { target, emoji }, id());
    }

    /// Adds to the reaction that is being written.
    pub(super) fn insert_reaction(&mut self, text: &str) {
        if let Some(Overlay::React { typed, .. }) = &mut self.overlay {
            typed.insert(text.trim(), REACTION_BYTES);
        }
    }

    /// Whether the key scrolls.
    fn scroll_overlay(&mut self, code: KeyCode) -> bool {
        let page = self.page();
        self.overlay_scroll = match code {
            KeyCode::Up => self.overlay_scroll.saturating_sub(1),
            // How far it can be scrolled is known when it is drawn.
            KeyCode::Down => self.overlay_scroll + 1,
            KeyCode::PageUp => self.overlay_scroll.saturating_sub(page),
            KeyCode::PageDown => self.overlay_scroll + page,
            _ => return false,
        };
        true
    }
}
