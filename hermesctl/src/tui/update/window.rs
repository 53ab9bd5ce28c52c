//! The stretch of a conversation that is loaded: it grows at both ends as one reads, and gives way at the other.

use hermes_api::{Direction, Message, MessagePage};

use super::super::{
    courier::Side,
    model::{Beyond, Model, Open},
    view::history,
};
use crate::limits::TUI_MESSAGES;

impl Model {
    /// Asks for the messages before the first that is loaded, unless there are none.
    pub(in crate::tui) fn ask_older(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.older == Beyond::There) else { return };
        let Some(first) = open.messages.first() else { return };
        open.older = Beyond::Asked;
        self.requests.push(open.ask(Side::Before(first.id.clone())));
    }

    /// Asks for the messages behind the last that is loaded, unless there are none.
    pub(in crate::tui) fn ask_newer(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.newer == Beyond::There) else { return };
        let Some(last) = open.messages.last() else { return };
        open.newer = Beyond::Asked;
        self.requests.push(open.ask(Side::After(last.id.clone())));
    }

    /// Shows the end of the conversation.
    pub(in crate::tui) fn go_to_newest(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.scroll = 0;
        if open.newer != Beyond::None {
            open.forget();
            self.ask_newest();
        }
    }

    /// Shows a message of which nothing but itself is known, with what stands around it.
    pub(in crate::tui) fn open_at(&mut self, message: Message) {
        self.open_chat(&message.chat);
        let Some(open) = &mut self.open else { return };
        open.chosen = Some(message.id.clone());
        self.focus = super::Focus::Messages;
        if open.place().is_some() {
            return;
        }
        open.forget();
        open.messages.push(message);
        (open.older, open.newer) = (Beyond::There, Beyond::There);
        self.ask_older();
        self.ask_newer();
    }

    pub(super) fn page_came(&mut self, chat: &str, side: Side, page: MessagePage) {
        let Some(open) = self.open.as_mut().filter(|open| open.chat == chat) else { return };
        match side {
            Side::Newest => {
                if open.newest_asked.answered() {
                    self.requests.push(open.ask(Side::Newest));
                }
                self.merge(page);
            }
            // One that was asked for before another stretch was loaded has no place in it.
            Side::Before(id) if open.messages.first().is_some_and(|first| first.id == id) => {
                self.prepend(page);
            }
            Side::After(id) if open.messages.last().is_some_and(|last| last.id == id) => self.extend(page),
            Side::Before(_) | Side::After(_) => {}
        }
    }

    /// Takes a message in that has just arrived.
    pub(super) fn append(&mut self, message: Message) {
        let Some(open) = self.open.as_mut().filter(|open| open.chat == message.chat) else { return };
        if open.newer != Beyond::None || open.messages.iter().any(|known| known.id == message.id) {
            return;
        }
        if open.scroll > 0 && open.messages.len() >= TUI_MESSAGES {
            open.newer = Beyond::There;
            return;
        }
        let follows = open.scroll == 0 && open.chosen.is_none();
        self.push(message);
        if let Some(open) = self.open.as_mut().filter(|_| follows) {
            open.scroll = 0;
        }
    }

    pub(super) fn known(&mut self, id: &str) -> Option<&mut Message> {
        self.open.as_mut()?.messages.iter_mut().rev().find(|message| message.id == id)
    }

    pub(super) fn named(&mut self, reference: &str) -> Option<&mut Message> {
        self.open.as_mut()?.messages.iter_mut().rev().find(|message| message.reference == reference)
    }

    /// The newest messages as they are now. A page that has nothing in common with what is here replaces it: more came
    /// while nobody listened than fits on it. Unless the end is not loaded anyway.
    fn merge(&mut self, page: MessagePage) {
        let Some(open) = &mut self.open else { return };
        let attached = open.newer == Beyond::None;
        let known = |message: &Message| open.messages.iter().any(|known| known.id == message.id);
        if open.messages.is_empty() || (attached && !page.messages.iter().any(known)) {
            let first_load = open.older == Beyond::Unknown;
            open.older = if page.more { Beyond::There } else { Beyond::None };
            open.newer = Beyond::None;
            open.messages = page.messages;
            if first_load {
                open.new_from = open.first_unread(open.messages.len());
            }
            return;
        }
        for message in page.messages {
            match self.known(&message.id) {
                Some(known) => *known = message,
                None => self.append(message),
            }
        }
    }

    fn prepend(&mut self, page: MessagePage) {
        let width = self.places.history.width.into();
        let Some(open) = &mut self.open else { return };
        let count = page.messages.len();
        // An empty page that promises more would be asked for without end.
        open.older = if page.more && count > 0 { Beyond::There } else { Beyond::None };
        open.messages.splice(0..0, page.messages);
        let first_before = open.messages.get(count).map(|message| &message.id);
        if open.new_from.as_ref() == first_before {
            open.new_from = open.first_unread(count).or(open.new_from.take());
        }
        // What is furthest from what is being read gives way.
        while open.messages.len() > TUI_MESSAGES && open.scroll > usize::from(self.places.history.height) {
            let last = open.messages.len() - 1;
            open.scroll = open.scroll.saturating_sub(history::height(open, last, width, &self.zone));
            open.messages.pop();
            open.newer = Beyond::There;
        }
    }

    fn extend(&mut self, page: MessagePage) {
        let Some(open) = &mut self.open else { return };
        let more = page.more && !page.messages.is_empty();
        open.newer = if more { Beyond::There } else { Beyond::None };
        // From here on the last row says that there are more.
        let covered = usize::from(open.scroll == 0 && !page.messages.is_empty());
        for message in page.messages {
            self.push(message);
        }
        if let Some(open) = &mut self.open {
            open.scroll = open.scroll.saturating_sub(covered);
        }
        if !more {
            // What arrived while this was on its way was not taken in.
            self.ask_newest();
        }
    }

    /// Adds a message at the end, below what is being read.
    fn push(&mut self, message: Message) {
        let width = self.places.history.width.into();
        let Some(open) = &mut self.open else { return };
        open.messages.push(message);
        let last = open.messages.len() - 1;
        open.scroll += history::height(open, last, width, &self.zone);
        // The first ones are far above the screen.
        if open.messages.len() > TUI_MESSAGES && open.scroll < TUI_MESSAGES / 2 {
            open.messages.drain(..open.messages.len() - TUI_MESSAGES);
            open.older = Beyond::There;
        }
    }
}

impl Open {
    /// Drops what is loaded.
    pub(super) fn forget(&mut self) {
        self.messages.clear();
        (self.older, self.newer, self.scroll) = (Beyond::Unknown, Beyond::None, 0);
    }

    /// The id of the first unread message among the first `count`.
    fn first_unread(&self, count: usize) -> Option<String> {
        let unread = |message: &&Message| message.direction == Direction::In && !message.read;
        self.messages.iter().take(count).find(unread).map(|message| message.id.clone())
    }
}
