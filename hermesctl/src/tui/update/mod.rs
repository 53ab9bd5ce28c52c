//! What the daemon says, what the user does, and what follows. Pure: it changes the state and asks for more.

mod choose;
mod compose;
mod keys;
mod mouse;
mod overlay;
mod search;
mod window;

use hermes_api::{Event, MessageState, Problem, Trust};

pub(super) use self::{
    keys::{Flow, HELP},
    overlay::REACTIONS,
};
use super::{
    courier::{Answer, Reach, Request, Side},
    model::{Asked, Beyond, Focus, Model, Notice, Open, Overlay, Purpose, Run, Watched},
};
use crate::render;

impl Model {
    /// Takes an answer of the daemon in.
    pub(super) fn answered(&mut self, answer: Answer) {
        if !matches!(answer, Answer::Refused(..)) && self.daemon == Reach::Gone {
            self.daemon = Reach::Listening;
        }
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
            Answer::Log { chat, side, page } => self.page_came(&chat, side, page),
            Answer::Sent { id, sent } => {
                let problem = sent.results.into_iter().find_map(|result| result.error);
                self.taken(&id, problem);
            }
            Answer::Changed { id, message } => {
                self.taken(&id, None);
                if let Some(known) = self.known(&message.id) {
                    *known = *message;
                }
            }
            Answer::Marked => self.ask_chats(),
            Answer::Contact(new) => {
                if let Some(Overlay::Safety { contact, details }) = &mut self.overlay
                    && *contact == new.contact.name
                {
                    *details = Some(new);
                    self.ask_peers();
                }
            }
            Answer::Message(new) => {
                if let Some(Overlay::Details { id, details }) = &mut self.overlay
                    && *id == new.message.id
                {
                    *details = Some(new);
                }
            }
            Answer::Found { number, page } => self.found(number, page),
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
                let group = self.named(&reference).is_some_and(|message| message.confirmed.is_some());
                if let Some(message) = self.named(&reference) {
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
                if let Some(message) = self.named(&reference) {
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
                self.ask_peers();
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

    /// The daemon went away, is back, or says nothing of this account.
    pub(super) fn reached(&mut self, reach: Reach) {
        self.daemon = reach;
        if self.is_locked() {
            self.forget();
        }
        if self.daemon == Reach::Listening {
            // Whatever it was about, the daemon answers again.
            self.notice = self.notice.take().filter(|notice| !notice.is_about_reach());
            // What happened before the listener was in place is in no event.
            self.refresh();
        }
    }

    /// Keeps nothing on the screen of what others wrote: whoever locks an account walks away.
    fn forget(&mut self) {
        self.search = None;
        self.overlay = None;
        if self.focus == Focus::Search || self.focus == Focus::Messages {
            self.focus = Focus::Text;
        }
        let drafts = self.open.iter_mut().map(|open| &mut open.draft).chain(self.drafts.values_mut());
        for draft in drafts {
            if let Purpose::Reply(target) | Purpose::Edit { target, .. } = &mut draft.purpose {
                target.words.clear();
            }
        }
        if let Some(open) = &mut self.open {
            open.forget();
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
            self.requests.push(open.ask(Side::Newest));
        }
    }

    /// Shows a chat, with the text that was begun in it.
    pub(super) fn open_chat(&mut self, name: &str) {
        self.focus = Focus::Text;
        if self.open.as_ref().is_some_and(|open| open.chat == name) {
            return;
        }
        if let Some(open) = self.open.take()
            && !open.draft.is_empty()
        {
            self.drafts.insert(open.chat, open.draft);
        }
        let draft = self.drafts.remove(name).unwrap_or_default();
        self.open = Some(Open::new(name.to_owned(), draft));
        if let Some(place) = self.chats.iter().position(|chat| chat.name == name) {
            self.selected = place;
        }
        self.ask_newest();
    }

    /// Shows the chat with the newest message: whoever starts wants to read it, and to write.
    pub(super) fn open_newest(&mut self) {
        if let Some(name) = self.chats.first().map(|chat| chat.name.clone()) {
            self.open_chat(&name);
        }
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

    /// A request that nobody could take.
    pub(super) fn not_taken(&mut self, request: Request) {
        let code = hermes_api::ErrorCode::DaemonUnreachable;
        self.refused(request, Problem::new(code, "too much waits for hermesd", "wait until it is back"));
    }

    fn refused(&mut self, request: Request, problem: Problem) {
        match request {
            Request::Say(sending) => return self.taken(&sending.id, Some(problem)),
            Request::Chats => self.chats_asked = Asked::No,
            Request::Peers => self.peers_asked = Asked::No,
            Request::Log { chat, side } => {
                if let Some(open) = self.open.as_mut().filter(|open| open.chat == chat) {
                    match side {
                        Side::Newest => open.newest_asked = Asked::No,
                        Side::Before(_) => open.older = Beyond::There,
                        Side::After(_) => open.newer = Beyond::There,
                    }
                }
            }
            Request::Search { number, .. } => {
                if let Some(search) = &mut self.search
                    && search.run == Run::Running(number)
                {
                    search.run = Run::No;
                }
            }
            Request::Contact(_) | Request::Verify { .. } | Request::Message(_) => self.overlay = None,
            Request::MarkRead(_) => {}
        }
        self.notice = Some(Notice::Problem(problem));
    }
}
