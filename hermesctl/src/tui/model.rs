//! What the screen shows. Changed by [`super::update`], drawn by [`super::view`]; knows no terminal.

use std::collections::{BTreeMap, VecDeque};

use hermes_api::{Chat, ConnectionState, ContactDetails, ErrorCode, Message, MessageDetails, Peer, Problem};
use jiff::tz::TimeZone;
use ratatui_core::layout::Rect;

use super::{
    courier::{Reach, Request, Side},
    editor::Editor,
};
use crate::{output::Line, render::message::first_words};

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
    /// Rows that the overlay is scrolled down.
    pub(super) overlay_scroll: usize,
    /// The last search; on the screen while it has the focus.
    pub(super) search: Option<Search>,
    /// How many searches there were: an answer to an earlier one is of no use.
    pub(super) searches: u64,
    /// The last thing that has to be said, until the next key.
    pub(super) notice: Option<Notice>,
    pub(super) daemon: Reach,
    /// How the account stands with its relay, once an event has said so.
    pub(super) relay: Option<ConnectionState>,
    /// What was said and the daemon has not taken yet.
    pub(super) sending: VecDeque<Sending>,
    /// What is being written in chats that are not open.
    pub(super) drafts: BTreeMap<String, Draft>,
    /// Whether somebody looks at the terminal, as far as it tells.
    pub(super) watched: Watched,
    /// Where everything was at the last drawing.
    pub(super) places: Places,
    /// Requests for the daemon that have not been handed over.
    pub(super) requests: Vec<Request>,
    pub(super) chats_asked: Asked,
    /// The contacts, and whether they are there, as far as they tell.
    pub(super) peers: BTreeMap<String, Peer>,
    pub(super) peers_asked: Asked,
}

/// The conversation on the screen: a stretch of the history, and what is being written.
pub(super) struct Open {
    pub(super) chat: String,
    /// The newest of them last, without a gap between them.
    pub(super) messages: Vec<Message>,
    /// Whether there are older ones.
    pub(super) older: Beyond,
    /// Whether there are newer ones.
    pub(super) newer: Beyond,
    /// Rows that the history is scrolled up.
    pub(super) scroll: usize,
    pub(super) draft: Draft,
    /// The id of the message that something is to be done with.
    pub(super) chosen: Option<String>,
    /// The id of the first message that was unread when the chat was opened.
    pub(super) new_from: Option<String>,
    pub(super) newest_asked: Asked,
}

/// What is known of the messages at one end of those that are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Nothing has been loaded.
    Unknown,
    /// They are on their way.
    Asked,
    There,
    None,
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

/// What is being written in a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) text: Editor,
    pub(super) purpose: Purpose,
}

/// What becomes of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Purpose {
    #[default]
    New,
    Reply(Target),
    Edit {
        target: Target,
        /// What was being written before.
        kept: Editor,
    },
}

/// A message that something is said about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) reference: String,
    /// Enough of it to know it by.
    pub(super) words: String,
}

/// What was said in a chat and the daemon has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    /// Also the idempotency key of a text.
    pub(super) id: String,
    pub(super) chat: String,
    pub(super) said: Said,
}

/// What can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text {
        text: String,
        reply_to: Option<Target>,
    },
    Edit {
        target: Target,
        text: String,
    },
    /// Without an emoji, the reaction of before is taken back.
    React {
        target: Target,
        emoji: Option<String>,
    },
    Unsend {
        target: Target,
    },
}

/// Looking for a text in the history.
pub(super) struct Search {
    pub(super) query: Editor,
    /// In this chat; nothing: in all of them.
    pub(super) chat: Option<String>,
    /// The newest first.
    pub(super) hits: Vec<Message>,
    pub(super) chosen: usize,
    pub(super) run: Run,
    /// Messages that were looked through.
    pub(super) read: u64,
}

/// How far a search has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It has not begun, or looks for something else by now.
    No,
    /// An answer to the search of this number is on its way.
    Running(u64),
    /// There is enough for now; it can go on from here.
    Paused(String),
    /// The history has been looked through.
    Done,
}

/// What the keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Chats,
    /// Choosing a message.
    Messages,
    Text,
    Search,
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
    /// Who has a message, and what they think of it; nothing while it is on its way.
    Details {
        id: String,
        details: Option<Box<MessageDetails>>,
    },
    /// Which reaction?
    React {
        target: Target,
        typed: Editor,
    },
    /// Withdraw it?
    Unsend(Target),
    /// Something has not reached the daemon, and the user wants to go.
    Leave,
}

pub(super) enum Notice {
    Problem(Problem),
    Note(Line),
}

impl Notice {
    /// Whether it says that nothing can be asked of the daemon, which may be over.
    pub(super) fn is_about_reach(&self) -> bool {
        matches!(self, Self::Problem(Problem { code: ErrorCode::Locked | ErrorCode::DaemonUnreachable, .. }))
    }
}

/// Where the parts of the screen are. What is not shown is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) head: Rect,
    pub(super) list: Rect,
    /// The edge of the list.
    pub(super) edge: Rect,
    pub(super) history: Rect,
    /// Between the history and the text.
    pub(super) rule: Rect,
    /// What the text answers or changes.
    pub(super) purpose: Rect,
    pub(super) prompt: Rect,
    pub(super) text: Rect,
    pub(super) foot: Rect,
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
            overlay_scroll: 0,
            search: None,
            searches: 0,
            notice: None,
            daemon: Reach::Listening,
            relay: None,
            sending: VecDeque::new(),
            drafts: BTreeMap::new(),
            watched: Watched::Yes,
            places: Places::default(),
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

    /// Puts something above everything else.
    pub(super) fn lay(&mut self, overlay: Overlay) {
        self.overlay = Some(overlay);
        self.overlay_scroll = 0;
    }

    /// The chats in which a text was begun, the open one first.
    pub(super) fn begun(&self) -> impl Iterator<Item = &str> {
        let open = self.open.iter().map(|open| (&open.chat, &open.draft));
        let begun = open.chain(self.drafts.iter()).filter(|(_, draft)| !draft.is_blank());
        begun.map(|(chat, _)| chat.as_str())
    }

    /// Whether the account's keys are out of memory.
    pub(super) fn is_locked(&self) -> bool {
        matches!(&self.daemon, Reach::Refused(problem) if problem.code == ErrorCode::Locked)
    }

    /// Texts of a chat that the daemon has not taken yet.
    pub(super) fn unsent(&self, chat: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.sending.iter().filter(move |sending| sending.chat == chat).filter_map(|sending| {
            match &sending.said {
                Said::Text { text, .. } => Some(text.as_str()),
                _ => None,
            }
        })
    }
}

impl Open {
    pub(super) fn new(chat: String, draft: Draft) -> Self {
        Self {
            chat,
            messages: Vec::new(),
            older: Beyond::Unknown,
            newer: Beyond::None,
            scroll: 0,
            draft,
            chosen: None,
            new_from: None,
            newest_asked: Asked::No,
        }
    }

    /// Where the chosen message is among those that are loaded.
    pub(super) fn place(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.messages.iter().rposition(|message| message.id == *chosen)
    }

    /// The request for messages at one side of those that are loaded.
    pub(super) fn ask(&self, side: Side) -> Request {
        Request::Log { chat: self.chat.clone(), side }
    }
}

impl Draft {
    /// Whether no word would be lost with it.
    fn is_blank(&self) -> bool {
        let kept = match &self.purpose {
            Purpose::New | Purpose::Reply(_) => "",
            Purpose::Edit { kept, .. } => kept.text(),
        };
        self.text.text().trim().is_empty() && kept.trim().is_empty()
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.purpose == Purpose::New
    }
}

impl Target {
    pub(super) fn of(message: &Message) -> Self {
        let words = match &message.body {
            hermes_api::Body::Text { text } => first_words(text),
            _ => String::new(),
        };
        Self { id: message.id.clone(), reference: message.reference.clone(), words }
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
