//! Choosing a message, to answer it, react to it, change or withdraw it, or see who has it.

use hermes_api::{Body, Direction, Message};
use ratatui_crossterm::crossterm::event::KeyCode;

use super::super::{
    courier::Request,
    editor::Editor,
    model::{Beyond, Focus, Model, Open, Overlay, Target},
    view::history,
};

/// Rows between the chosen message and the edge of the screen, where there is room.
const MARGIN: usize = 2;

impl Model {
    /// Begins with the lowest message on the screen.
    pub(super) fn begin_choosing(&mut self) {
        let width = self.places.history.width.into();
        let Some(open) = &mut self.open else { return };
        let mut below = 0;
        let lowest =
            (0..open.messages.len()).rev().filter(|at| can_be_chosen(&open.messages[*at])).find(|at| {
                below += history::height(open, *at, width, &self.zone);
                below > open.scroll
            });
        match lowest {
            Some(at) => {
                open.chosen = Some(open.messages[at].id.clone());
                self.focus = Focus::Messages;
            }
            None => self.note("there is no message to choose yet"),
        }
    }

    /// Goes back to the text.
    pub(super) fn end_choosing(&mut self) {
        self.focus = Focus::Text;
        if let Some(open) = &mut self.open {
            open.chosen = None;
        }
    }

    pub(super) fn in_messages(&mut self, code: KeyCode) {
        let page = self.page();
        let Some(message) = self.open.as_ref().and_then(|open| open.messages.get(open.place()?)).cloned()
        else {
            return self.end_choosing();
        };
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.choose_up(1),
            KeyCode::Down | KeyCode::Char('j') => self.choose_down(1),
            KeyCode::PageUp => self.choose_up(page),
            KeyCode::PageDown => self.choose_down(page),
            KeyCode::Home | KeyCode::Char('g') => self.choose_up(usize::MAX),
            KeyCode::End | KeyCode::Char('G') => {
                self.end_choosing();
                self.go_to_newest();
            }
            KeyCode::Char('i') => {
                self.requests.push(Request::Message(message.id.clone()));
                self.lay(Overlay::Details { id: message.id, details: None });
            }
            KeyCode::Enter | KeyCode::Delete | KeyCode::Char('r' | '+' | 'e' | 'd') => {
                self.act_on(&message, code)
            }
            KeyCode::Esc | KeyCode::Tab => self.end_choosing(),
            _ => {}
        }
    }

    /// Does what can only be done with a text.
    fn act_on(&mut self, message: &Message, code: KeyCode) {
        let Body::Text { text } = &message.body else {
            return self.note("there is no text in it that this could be about");
        };
        let target = Target::of(message);
        match (code, message.direction) {
            (KeyCode::Enter | KeyCode::Char('r'), _) => self.begin_reply(target),
            (KeyCode::Char('+'), _) => self.lay(Overlay::React { target, typed: Editor::default() }),
            (KeyCode::Char('e'), Direction::Out) => self.begin_edit(target, text.clone()),
            (_, Direction::Out) => self.lay(Overlay::Unsend(target)),
            _ => self.note("only your own messages can be changed or withdrawn"),
        }
    }

    fn choose_up(&mut self, rows: usize) {
        self.choose(rows, |place, _| (0..place).rev().collect());
    }

    /// Behind the last message comes the text.
    fn choose_down(&mut self, rows: usize) {
        let at_end = self.open.as_ref().is_some_and(|open| {
            let behind = open.place().map_or(0, |place| place + 1);
            open.newer == Beyond::None && !open.messages.iter().skip(behind).any(can_be_chosen)
        });
        match at_end {
            true => self.end_choosing(),
            false => self.choose(rows, |place, count| (place + 1..count).collect()),
        }
    }

    /// Chooses the first message of a way that is so many rows off, or the last of the way.
    fn choose(&mut self, rows: usize, way: impl FnOnce(usize, usize) -> Vec<usize>) {
        let width = self.places.history.width.into();
        let Some(open) = &mut self.open else { return };
        let Some(place) = open.place() else { return };
        let mut passed = 0;
        for at in way(place, open.messages.len()) {
            passed += history::height(open, at, width, &self.zone);
            if can_be_chosen(&open.messages[at]) {
                open.chosen = Some(open.messages[at].id.clone());
                if passed >= rows {
                    return;
                }
            }
        }
    }

    /// Scrolls so that the chosen message is on the screen.
    pub(in crate::tui) fn follow_choice(&mut self) {
        if self.focus != Focus::Messages {
            return;
        }
        let (width, height) = (self.places.history.width.into(), usize::from(self.places.history.height));
        let Some(place) = self.open.as_ref().and_then(Open::place) else { return self.end_choosing() };
        let unsent: usize = self
            .open
            .as_ref()
            .map_or(0, |open| self.unsent(&open.chat).map(|text| history::unsent_height(text, width)).sum());
        let Some(open) = &mut self.open else { return };
        let rows = |at| history::height(open, at, width, &self.zone);
        let below: usize = unsent + (place + 1..open.messages.len()).map(rows).sum::<usize>();
        let margin = MARGIN.min(height / 4);
        let least = (below + rows(place) + margin).saturating_sub(height);
        // The row at the bottom says that there are more.
        let most = below.saturating_sub(margin + 1);
        open.scroll = if least > most { least } else { open.scroll.clamp(least, most) };
    }
}

fn can_be_chosen(message: &Message) -> bool {
    message.direction != Direction::Note
}
