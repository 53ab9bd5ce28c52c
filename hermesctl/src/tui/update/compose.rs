//! What is being written, and what was said until the daemon has taken it.

use hermes_api::Problem;

use super::super::{
    courier::Request,
    model::{Draft, Focus, Model, Notice, Purpose, Said, Sending, Target},
};
use super::keys::IN_LIST;
use crate::limits::{TUI_QUERY_BYTES, TUI_SENDING};

impl Model {
    /// Adds to what is being written, be it a message or what to look for.
    pub(super) fn insert(&mut self, text: &str) {
        let taken = match (self.focus, &mut self.search, &mut self.open) {
            (Focus::Text, _, Some(open)) => open.draft.text.insert(text, hermes_api::limits::TEXT_BYTES),
            (Focus::Search, Some(search), _) => {
                // A query is one line.
                let taken = search.query.insert(&text.replace('\n', " "), TUI_QUERY_BYTES);
                self.changed_query();
                taken
            }
            _ => return self.note(IN_LIST),
        };
        if !taken {
            self.note("the text would be too long; nothing was added");
        }
    }

    /// Sends what has been written. `id` is its idempotency key.
    pub(super) fn send(&mut self, id: String) {
        let Some(open) = &mut self.open else { return };
        if open.draft.text.text().trim().is_empty() {
            return;
        }
        if self.sending.len() >= TUI_SENDING {
            return self.note("too much waits for hermesd; this stays here until it is back");
        }
        let Draft { mut text, purpose } = std::mem::take(&mut open.draft);
        let text = text.take();
        let said = match purpose {
            Purpose::New => Said::Text { text, reply_to: None },
            Purpose::Reply(target) => Said::Text { text, reply_to: Some(target) },
            Purpose::Edit { target, kept } => {
                open.draft.text = kept;
                Said::Edit { target, text }
            }
        };
        let is_text = matches!(said, Said::Text { .. });
        self.say(said, id);
        if is_text {
            self.go_to_newest();
        }
    }

    /// Hands over what was said in the open chat.
    pub(super) fn say(&mut self, said: Said, id: String) {
        let Some(open) = &self.open else { return };
        if self.sending.len() >= TUI_SENDING {
            return self.note("too much waits for hermesd; try again when it is back");
        }
        let sending = Sending { id, chat: open.chat.clone(), said };
        self.requests.push(Request::Say(Box::new(sending.clone())));
        self.sending.push_back(sending);
    }

    /// Begins to answer a message.
    pub(super) fn begin_reply(&mut self, target: Target) {
        let Some(open) = &mut self.open else { return };
        open.draft.drop_purpose();
        open.draft.purpose = Purpose::Reply(target);
        open.chosen = None;
        self.focus = Focus::Text;
    }

    /// Begins to have an own message say something else.
    pub(super) fn begin_edit(&mut self, target: Target, text: String) {
        let Some(open) = &mut self.open else { return };
        open.draft.drop_purpose();
        let kept = std::mem::take(&mut open.draft.text);
        open.draft.purpose = Purpose::Edit { target, kept };
        open.draft.text.set(text);
        open.chosen = None;
        self.focus = Focus::Text;
    }

    /// The daemon has taken what was said, or not.
    pub(super) fn taken(&mut self, id: &str, problem: Option<Problem>) {
        let place = self.sending.iter().position(|sending| sending.id == id);
        let Some(sending) = place.and_then(|place| self.sending.remove(place)) else { return };
        self.ask_chats();
        match problem {
            Some(problem) => self.give_back(sending, problem),
            None => self.ask_newest(),
        }
    }

    /// A text that was not sent goes back to where it was written, before what stands there by now.
    fn give_back(&mut self, sending: Sending, problem: Problem) {
        self.notice = Some(Notice::Problem(problem));
        let (text, purpose) = match sending.said {
            Said::Text { text, reply_to } => (text, reply_to.map(Purpose::Reply).unwrap_or_default()),
            Said::Edit { target, text } => (text, Purpose::Edit { target, kept: Default::default() }),
            Said::React { .. } | Said::Unsend { .. } => return,
        };
        let draft = match &mut self.open {
            Some(open) if open.chat == sending.chat => &mut open.draft,
            _ => self.drafts.entry(sending.chat).or_default(),
        };
        draft.take_back(text, purpose);
    }
}

impl Draft {
    /// Takes a text in again. It stays what it was, and what is being written does, too.
    fn take_back(&mut self, text: String, purpose: Purpose) {
        if self.is_empty() {
            self.purpose = purpose;
            return self.text.set(text);
        }
        match (&mut self.purpose, purpose) {
            // What is being written is what another message is to say.
            (Purpose::Edit { kept, .. }, _) => kept.put_before(&text),
            (Purpose::New, Purpose::Edit { target, .. }) => {
                let kept = std::mem::take(&mut self.text);
                self.purpose = Purpose::Edit { target, kept };
                self.text.set(text);
            }
            (Purpose::New, purpose) => {
                self.purpose = purpose;
                self.text.put_before(&text);
            }
            (Purpose::Reply(_), _) => self.text.put_before(&text),
        }
    }

    /// Makes it a new message; what was written for an edit is gone, and what stood there before is back.
    pub(super) fn drop_purpose(&mut self) {
        if let Purpose::Edit { kept, .. } = std::mem::take(&mut self.purpose) {
            self.text = kept;
        }
    }
}
