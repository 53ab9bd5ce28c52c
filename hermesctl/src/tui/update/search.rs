//! Looking for a text with the daemon, which reads the history stretch by stretch, however long it is.

use hermes_api::{Message, SearchPage};
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent};

use super::super::{
    courier::Request,
    model::{Focus, Model, Run, Search},
};
use crate::limits::TUI_HITS;

impl Model {
    /// Asks what to look for; the last search is still there.
    pub(super) fn begin_search(&mut self) {
        let chat = self.open.as_ref().map(|open| open.chat.clone()).filter(|_| self.focus != Focus::Chats);
        self.focus = Focus::Search;
        if self.search.as_ref().is_some_and(|search| search.chat.is_none() || search.chat == chat) {
            return;
        }
        self.search = Some(Search {
            query: self.search.take().map(|search| search.query).unwrap_or_default(),
            chat,
            hits: Vec::new(),
            chosen: 0,
            run: Run::No,
            read: 0,
        });
    }

    pub(super) fn in_search(&mut self, key: KeyEvent) {
        let page = self.page();
        let Some(search) = &mut self.search else {
            self.focus = Focus::Text;
            return;
        };
        match key.code {
            KeyCode::Esc => self.leave_search(),
            KeyCode::Tab => {
                search.chat = match search.chat {
                    Some(_) => None,
                    None => self.open.as_ref().map(|open| open.chat.clone()),
                };
                let ran = search.run != Run::No;
                self.changed_query();
                if ran {
                    self.look();
                }
            }
            KeyCode::Enter => match search.hits.get(search.chosen).cloned() {
                Some(hit) => self.open_at(hit),
                None if search.run == Run::No => self.look(),
                None => {}
            },
            KeyCode::Up => search.chosen = search.chosen.saturating_sub(1),
            KeyCode::PageUp => search.chosen = search.chosen.saturating_sub(page),
            KeyCode::Down => self.choose_hit(1),
            KeyCode::PageDown => self.choose_hit(page),
            _ => {
                let before = search.query.text().to_owned();
                self.edit_line(key);
                if self.search.as_ref().is_some_and(|search| search.query.text() != before) {
                    self.changed_query();
                }
            }
        }
    }

    /// What was found was found for something else.
    pub(super) fn changed_query(&mut self) {
        if let Some(search) = &mut self.search {
            search.hits.clear();
            (search.chosen, search.read, search.run) = (0, 0, Run::No);
        }
    }

    /// Takes in what was found in a stretch, and has the next one looked through unless there is enough.
    pub(super) fn found(&mut self, number: u64, page: SearchPage) {
        let height = usize::from(self.places.history.height);
        let Some(search) = self.search.as_mut().filter(|search| search.run == Run::Running(number)) else {
            return;
        };
        search.read = search.read.saturating_add(page.read);
        search.hits.extend(page.messages);
        // In one chat, what comes is older; otherwise anything may come.
        search.hits.sort_by_key(|hit| std::cmp::Reverse(time(hit)));
        search.hits.truncate(TUI_HITS);
        // A stretch in which nothing was read would never end.
        let next =
            page.next.filter(|_| page.read > 0 && (search.chat.is_none() || search.hits.len() < TUI_HITS));
        search.run = match next {
            None => Run::Done,
            Some(from) if search.chat.is_some() && search.hits.len() >= search.chosen + height => {
                Run::Paused(from)
            }
            Some(from) => {
                self.look_from(Some(from));
                return;
            }
        };
    }

    fn leave_search(&mut self) {
        self.focus = if self.open.is_some() { Focus::Text } else { Focus::Chats };
    }

    fn choose_hit(&mut self, by: usize) {
        let height = usize::from(self.places.history.height);
        let Some(search) = &mut self.search else { return };
        search.chosen = (search.chosen + by).min(search.hits.len().saturating_sub(1));
        if let Run::Paused(from) = &search.run
            && search.chosen + height > search.hits.len()
        {
            let from = from.clone();
            self.look_from(Some(from));
        }
    }

    fn look(&mut self) {
        self.look_from(None);
    }

    fn look_from(&mut self, from: Option<String>) {
        let Some(search) = &mut self.search else { return };
        if search.query.text().trim().is_empty() {
            return;
        }
        self.searches += 1;
        search.run = Run::Running(self.searches);
        self.requests.push(Request::Search {
            number: self.searches,
            text: search.query.text().to_owned(),
            chat: search.chat.clone(),
            from,
        });
    }
}

fn time(message: &Message) -> u64 {
    message.received_at.unwrap_or(message.sent_at).0
}
