//! What the screen shows. Changed by [`super::update`] and [`super::keys`], drawn by [`super::view`]; knows no terminal.

use std::collections::{BTreeMap, VecDeque};

use hermes_api::{Chat, ConnectionState, ContactDetails, Message, Peer, Problem};
use jiff::tz::TimeZone;

use super::{
    courier::{Reach, Request},
    editor::Editor,
};
use crate::output::Line;

/// Everything there is to draw.
pub(super) struct Model {
    pub(super) account: String,
    pub(super) zone: TimeZone,
    /// The one with the newest message first.
    pub(super) chats: Vec<Chat>,
    /// The chat that the list stands on.
    pub(super) selected: usize,
    pub(super) open: Option<Open>,
    pub(super) focus: Focus,
    pub(super) overlay: Option<Overlay>,
    /// The last thing that has to be said, until the next key.
    pub(super) notice: Option<Notice>,
    pub(super) daemon: Reach,
    /// How the account stands with its relay, once an event has said so.
    pub(super) relay: Option<ConnectionState>,
    /// What was sent and the daemon has not taken yet.
    pub(super) sending: VecDeque<Sending>,
    /// Texts of chats that are not open.
    pub(super) drafts: BTreeMap<String, Editor>,
    /// Whether somebody looks at the terminal, as far as it tells.
    pub(super) watched: Watched,
    /// The sizes of the last drawing.
    pub(super) size: Size,
    /// Requests for the daemon that have not been handed over.
    pub(super) requests: Vec<Request>,
    pub(super) chats_asked: Asked,
    /// The contacts, as far as they tell whether they are there.
    pub(super) peers: BTreeMap<String, Peer>,
    pub(super) peers_asked: Asked,
}

/// The conversation on the screen.
pub(super) struct Open {
    pub(super) chat: String,
    /// The newest of them last.
    pub(super) messages: Vec<Message>,
    /// Whether there are older ones.
    pub(super) older: Older,
    /// Rows that the history is scrolled up.
    pub(super) scroll: usize,
    pub(super) draft: Editor,
    /// The id of the first message that was unread when the chat was opened.
    pub(super) new_from: Option<String>,
    pub(super) newest_asked: Asked,
    /// Whether newer messages came than there was room for while it was scrolled up.
    pub(super) behind: Behind,
    pub(super) search: Option<Search>,
}

/// What is known of the messages before the first that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Older {
    /// Nothing has been loaded.
    Unknown,
    /// They are on their way.
    Asked,
    There,
    /// There are none, or no more are loaded.
    None,
}

/// Whether messages behind the last that is loaded were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    Yes,
    No,
}

/// Whether a request that shows how things stand is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    No,
    Once,
    /// What is on its way may be out of date when it comes.
    Again,
}

/// Looking for a text, from the newest message to the oldest.
pub(super) struct Search {
    pub(super) query: Editor,
    /// The id of the message that was found.
    pub(super) found: Option<String>,
    /// Whether it goes on when older messages have come.
    pub(super) goes_on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Chats,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Yes,
    No,
}

/// What stands above everything else.
pub(super) enum Overlay {
    Help,
    /// What to compare with a contact; nothing while it is on its way.
    Safety {
        contact: String,
        details: Option<Box<ContactDetails>>,
    },
    /// Messages have not reached the daemon, and the user wants to go.
    Leave,
}

pub(super) enum Notice {
    Problem(Problem),
    Note(Line),
}

/// A message that the daemon has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub(super) id: String,
    pub(super) chat: String,
    pub(super) text: String,
}

/// Columns and rows of parts of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) history_width: usize,
    pub(super) history_height: usize,
    pub(super) text_width: usize,
}

impl Model {
    pub(super) fn new(account: String, zone: TimeZone) -> Self {
        Self {
            account,
            zone,
            chats: Vec::new(),
            selected: 0,
            open: None,
            focus: Focus::Chats,
            overlay: None,
            notice: None,
            daemon: Reach::Listening,
            relay: None,
            sending: VecDeque::new(),
            drafts: BTreeMap::new(),
            watched: Watched::Yes,
            size: Size::default(),
            requests: Vec::new(),
            chats_asked: Asked::No,
            peers: BTreeMap::new(),
            peers_asked: Asked::No,
        }
    }

    /// The chat of that name in the list.
    pub(super) fn chat(&self, name: &str) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.name == name)
    }

    pub(super) fn note(&mut self, line: impl Into<String>) {
        self.notice = Some(Notice::Note(Line::new(line)));
    }
}

impl Open {
    pub(super) fn new(chat: String, draft: Editor) -> Self {
        Self {
            chat,
            messages: Vec::new(),
            older: Older::Unknown,
            scroll: 0,
            draft,
            new_from: None,
            newest_asked: Asked::No,
            behind: Behind::No,
            search: None,
        }
    }
}

impl Asked {
    /// Whether it is to be asked now.
    pub(super) fn ask(&mut self) -> bool {
        let now = *self == Self::No;
        *self = if now { Self::Once } else { Self::Again };
        now
    }

    /// Whether it is to be asked again, now that the answer is here.
    pub(super) fn answered(&mut self) -> bool {
        let again = *self == Self::Again;
        *self = if again { Self::Once } else { Self::No };
        again
    }
}
