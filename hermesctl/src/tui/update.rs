//! What the daemon says, and what follows from it. Pure: it changes the state and asks for more.

use hermes_api::{Event, Message, MessagePage, MessageState, Problem, SentMessages, Trust};

use super::{
    courier::{Answer, Reach, Request},
    history,
    model::{Behind, Focus, Model, Notice, Older, Open, Overlay, Sending, Watched},
    search,
};
use crate::{
    limits::{TUI_MESSAGES, TUI_PAGE, TUI_SENDING},
    render,
};

impl Model {
    /// Takes an answer of the daemon in.
    pub(super) fn answered(&mut self, answer: Answer) {
        self.daemon = Reach::Listening;
        match answer {
            Answer::Chats(chats) => {
                let selected = self.chats.get(self.selected).map(|chat| chat.name.clone());
                self.chats = chats.chats;
                self.chats.retain(|chat| !chat.archived);
                let place = selected.and_then(|name| self.chats.iter().position(|chat| chat.name == name));
                self.selected = place.unwrap_or(0);
                if self.chats_asked.answered() {
                    self.requests.push(Request::Chats);
                }
            }
            Answer::Peers(peers) => {
                self.peers = peers.peers.into_iter().map(|peer| (peer.name.clone(), peer)).collect();
                if self.peers_asked.answered() {
                    self.requests.push(Request::Peers);
                }
            }
            Answer::Log { chat, before, page } => self.log(&chat, before.as_deref(), page),
            Answer::Sent { id, sent } => self.sent(&id, sent),
            Answer::Marked => self.ask_chats(),
            Answer::Contact(details) => {
                if let Some(Overlay::Safety { contact, details: place }) = &mut self.overlay
                    && *contact == details.contact.name
                {
                    *place = Some(details);
                }
            }
            Answer::Refused(request, problem) => self.refused(request, problem),
        }
    }

    /// Takes an event in.
    pub(super) fn happened(&mut self, event: Event) {
        match event {
            Event::Received { message } => {
                self.ask_chats();
                self.append(*message);
            }
            Event::State { reference, state, error, .. } => {
                let group = self.message(&reference).is_some_and(|message| message.confirmed.is_some());
                if let Some(message) = self.message(&reference) {
                    message.state = Some(state);
                    message.error = error;
                }
                // How many members have it is not in the event.
                if group || state == MessageState::Failed {
                    self.ask_newest();
                }
            }
            Event::MessageChanged { message, .. } => {
                if let Some(known) = self.known(&message.id) {
                    *known = *message;
                }
            }
            Event::Expired { reference } => {
                if let Some(message) = self.message(&reference) {
                    message.body = hermes_api::Body::Expired;
                }
            }
            Event::Presence { contact, online } => {
                if let Some(peer) = self.peers.get_mut(&contact) {
                    peer.online = online;
                }
                // When it was last there is not in the event.
                self.ask_peers();
            }
            Event::Connection { connection } => self.relay = Some(connection.state),
            Event::IdentityChanged { contact } if contact.trust == Trust::Changed => {
                let name = &contact.name;
                self.note(format!(
                    "{name}'s identity key changed; nothing is sent to {name}: hermesctl contact show {name}"
                ));
                self.ask_chats();
            }
            Event::Group { group, change } => {
                self.notice = render::group::news(&group, &change).map(Notice::Note);
                self.refresh();
            }
            Event::PairingFailed { error, .. } => self.notice = Some(Notice::Problem(error)),
            // Whatever it was, the lists show it.
            _ => self.refresh(),
        }
    }

    /// The daemon went away or is back.
    pub(super) fn reached(&mut self, reach: Reach) {
        self.daemon = reach;
        if reach == Reach::Listening {
            // What happened before the listener was in place is in no event.
            self.refresh();
        }
    }

    /// Asks for everything that is on the screen.
    pub(super) fn refresh(&mut self) {
        self.ask_chats();
        self.ask_peers();
        self.ask_newest();
    }

    pub(super) fn ask_chats(&mut self) {
        if self.chats_asked.ask() {
            self.requests.push(Request::Chats);
        }
    }

    fn ask_peers(&mut self) {
        if self.peers_asked.ask() {
            self.requests.push(Request::Peers);
        }
    }

    fn ask_newest(&mut self) {
        if let Some(open) = &mut self.open
            && open.newest_asked.ask()
        {
            self.requests.push(open.newest());
        }
    }

    /// Shows a chat, with the text that was begun in it.
    pub(super) fn open_chat(&mut self, name: &str) {
        if self.open.as_ref().is_some_and(|open| open.chat == name) {
            self.focus = Focus::Text;
            return;
        }
        if let Some(open) = self.open.take()
            && !open.draft.is_empty()
        {
            self.drafts.insert(open.chat, open.draft);
        }
        let draft = self.drafts.remove(name).unwrap_or_default();
        self.open = Some(Open::new(name.to_owned(), draft));
        self.focus = Focus::Text;
        if let Some(place) = self.chats.iter().position(|chat| chat.name == name) {
            self.selected = place;
        }
        self.ask_newest();
    }

    /// Asks for the messages before the first that is loaded, unless there are none.
    pub(super) fn ask_older(&mut self) {
        let Some(open) = &mut self.open else { return };
        if open.older == Older::There {
            open.older = Older::Asked;
            let before = open.messages.first().map(|message| message.id.clone());
            self.requests.push(Request::Log { chat: open.chat.clone(), before, limit: TUI_PAGE });
        }
    }

    /// Sends the text that has been written.
    pub(super) fn send(&mut self, id: String) {
        let full = self.sending.len() >= TUI_SENDING;
        let Some(open) = &mut self.open else { return };
        if open.draft.text().trim().is_empty() {
            return;
        }
        if full {
            self.note("too many messages wait for hermesd; this one stays here until it is back");
            return;
        }
        let text = open.draft.take();
        open.scroll = 0;
        let sending = Sending { id, chat: open.chat.clone(), text };
        self.requests.push(Request::Send {
            chat: sending.chat.clone(),
            text: sending.text.clone(),
            id: sending.id.clone(),
        });
        self.sending.push_back(sending);
    }

    /// A request that nobody could take.
    pub(super) fn not_taken(&mut self, request: Request) {
        let problem = Problem::new(
            hermes_api::ErrorCode::DaemonUnreachable,
            "too much waits for hermesd",
            "wait until it is back",
        );
        self.refused(request, problem);
    }

    /// Messages that were on the screen are read, if somebody looked.
    pub(super) fn seen(&mut self, places: &[usize]) {
        if self.watched == Watched::No {
            return;
        }
        let Some(open) = &mut self.open else { return };
        let mut refs = Vec::new();
        for place in places {
            if let Some(message) = open.messages.get_mut(*place)
                && message.direction == hermes_api::Direction::In
                && !message.read
            {
                message.read = true;
                refs.push(message.reference.clone());
            }
        }
        if !refs.is_empty() {
            self.requests.push(Request::MarkRead(refs));
        }
    }

    fn log(&mut self, chat: &str, before: Option<&str>, page: MessagePage) {
        let Some(open) = self.open.as_mut().filter(|open| open.chat == chat) else { return };
        match before {
            Some(_) => open.prepend(page),
            None => {
                let again = open.newest_asked.answered();
                if again {
                    self.requests.push(open.newest());
                }
                self.merge(page);
            }
        }
        search::go_on(self);
    }

    /// The newest messages as they are now. A page that has nothing in common with what is here replaces it: more came
    /// while nobody listened than fits on it.
    fn merge(&mut self, page: MessagePage) {
        let Some(open) = &mut self.open else { return };
        let known = |message: &Message| open.messages.iter().any(|known| known.id == message.id);
        if open.messages.is_empty() || !page.messages.iter().any(known) {
            let first_load = open.older == Older::Unknown;
            open.older = if page.more { Older::There } else { Older::None };
            open.messages = page.messages;
            if first_load {
                let unread =
                    |message: &&Message| message.direction == hermes_api::Direction::In && !message.read;
                open.new_from = open.messages.iter().find(unread).map(|message| message.id.clone());
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

    fn known(&mut self, id: &str) -> Option<&mut Message> {
        self.open.as_mut()?.messages.iter_mut().rev().find(|message| message.id == id)
    }

    fn append(&mut self, message: Message) {
        let Some(open) = self.open.as_mut().filter(|open| open.chat == message.chat) else { return };
        if open.messages.iter().any(|known| known.id == message.id) {
            return;
        }
        if open.scroll > 0 && open.messages.len() >= 2 * TUI_MESSAGES {
            open.behind = Behind::Yes;
            return;
        }
        open.messages.push(message);
        if open.scroll > 0 {
            // What is being read stays where it is.
            let last = open.messages.len() - 1;
            open.scroll += history::height(open, last, self.size.history_width, &self.zone);
        } else if open.messages.len() > TUI_MESSAGES {
            open.messages.drain(..open.messages.len() - TUI_MESSAGES);
            open.older = Older::There;
        }
    }

    /// Begins the conversation anew at its end, when messages there were left out.
    pub(super) fn catch_up(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.behind == Behind::Yes) else { return };
        open.messages.clear();
        (open.older, open.behind) = (Older::Unknown, Behind::No);
        self.ask_newest();
    }

    fn sent(&mut self, id: &str, sent: SentMessages) {
        let Some(place) = self.sending.iter().position(|sending| sending.id == id) else { return };
        let Some(sending) = self.sending.remove(place) else { return };
        self.ask_chats();
        match sent.results.into_iter().find_map(|result| result.error) {
            Some(problem) => self.give_back(sending, problem),
            None => self.ask_newest(),
        }
    }

    fn refused(&mut self, request: Request, problem: Problem) {
        match request {
            Request::Send { id, .. } => {
                if let Some(place) = self.sending.iter().position(|sending| sending.id == id)
                    && let Some(sending) = self.sending.remove(place)
                {
                    self.give_back(sending, problem);
                }
                return;
            }
            Request::Chats => {
                self.chats_asked.answered();
            }
            Request::Peers => {
                self.peers_asked.answered();
            }
            Request::Log { chat, before, .. } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.chat == chat) {
                    match before {
                        Some(_) => open.older = Older::There,
                        None => {
                            open.newest_asked.answered();
                        }
                    }
                }
            }
            Request::Contact(_) | Request::Verify { .. } => self.overlay = None,
            Request::MarkRead(_) => {}
        }
        self.notice = Some(Notice::Problem(problem));
    }

    /// A text that was not sent goes back to where it was written, unless something else stands there by now.
    fn give_back(&mut self, sending: Sending, problem: Problem) {
        self.notice = Some(Notice::Problem(problem));
        let draft = match &mut self.open {
            Some(open) if open.chat == sending.chat => &mut open.draft,
            _ => self.drafts.entry(sending.chat).or_default(),
        };
        let text = match draft.is_empty() {
            true => sending.text,
            false => format!("{}\n{}", sending.text, draft.text()),
        };
        draft.set(text);
    }

    fn message(&mut self, reference: &str) -> Option<&mut Message> {
        let open = self.open.as_mut()?;
        open.messages.iter_mut().rev().find(|message| message.reference == reference)
    }
}

impl Open {
    fn newest(&self) -> Request {
        Request::Log { chat: self.chat.clone(), before: None, limit: TUI_PAGE }
    }

    fn prepend(&mut self, page: MessagePage) {
        let room = TUI_MESSAGES.saturating_sub(self.messages.len());
        let from = page.messages.len().saturating_sub(room);
        self.older = if page.more && from == 0 { Older::There } else { Older::None };
        self.messages.splice(0..0, page.messages.into_iter().skip(from));
    }
}
