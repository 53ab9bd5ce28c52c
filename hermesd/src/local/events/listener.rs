//! One program that listens: its place in the log, and what it wants to hear.

use std::{collections::VecDeque, sync::Arc};

use hermes_api::{Event, EventFrame, GroupChange, MarkKind, V1};
use hermes_engine::{
    ChatId, GroupEvent,
    query::{self, EventEntry, EventView},
};
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

use super::super::{
    group, pairing,
    problem::{ToProblem, no_place},
    request, show,
};
use crate::{
    account::{Account, Place},
    limits::EVENT_PAGE,
    link::MailboxStatus,
};

/// What a program wants to hear.
pub(super) struct Interest {
    /// Only what is about this chat.
    pub(super) chat: Option<ChatId>,
    /// Only these kinds; [`Event::Lagged`] is told to everyone.
    pub(super) kinds: Option<Vec<&'static str>>,
}

/// A program that listens.
pub(super) struct Listener {
    account: Arc<Account>,
    interest: Interest,
    /// Its name is nobody else's for as long.
    _place: Option<Place>,
    /// What happens wakes; what happened stands in the log.
    commits: Receiver<hermes_engine::Event>,
    mailbox: watch::Receiver<MailboxStatus>,
    stop: watch::Receiver<bool>,
    /// Every event up to this one was read.
    position: u64,
    /// Whether there may be more behind it.
    more: bool,
    ready: VecDeque<Ready>,
}

/// What was read and not told yet.
enum Ready {
    Entry(EventEntry),
    /// It was not in the log, for it is over soon.
    Passing(hermes_engine::Event),
}

/// What a listener waits for.
enum News {
    /// Something happened.
    Heard(hermes_engine::Event),
    /// More than could be heard.
    Missed,
    /// The connection to the relay is another.
    Connection,
}

impl Listener {
    /// Hears of everything from this call on.
    pub(super) fn new(
        account: Arc<Account>,
        interest: Interest,
        place: Option<Place>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let mut mailbox = account.board().mailbox();
        mailbox.mark_unchanged();
        let commits = account.events();
        let ready = VecDeque::new();
        Self { account, interest, _place: place, commits, mailbox, stop, position: 0, more: true, ready }
    }

    /// Begins behind this event.
    pub(super) fn from(self, position: u64) -> Self {
        Self { position, ..self }
    }

    /// The next event; `None` when the daemon or the account stops, or its store cannot be read.
    pub(super) async fn next(&mut self) -> Option<EventFrame> {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            if let Some(ready) = self.ready.pop_front() {
                if let Some(frame) = self.tell(ready).await.filter(|frame| self.is_wanted(&frame.event)) {
                    return Some(frame);
                }
                continue;
            }
            if self.more {
                self.read().await?;
                continue;
            }
            match self.wait().await? {
                News::Heard(event) => self.hear(event),
                News::Missed => self.more = true,
                News::Connection => {
                    let frame = EventFrame { v: V1, seq: None, at: None, event: self.connection().await };
                    if self.is_wanted(&frame.event) {
                        return Some(frame);
                    }
                }
            }
        }
    }

    async fn wait(&mut self) -> Option<News> {
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => None,
            event = self.commits.recv() => match event {
                Ok(event) => Some(News::Heard(event)),
                Err(RecvError::Lagged(_)) => Some(News::Missed),
                Err(RecvError::Closed) => None,
            },
            changed = self.mailbox.changed() => changed.ok().map(|()| News::Connection),
        }
    }

    /// One look at the log sees what all events would wake for that wait; what is not there is told as it was heard.
    fn hear(&mut self, event: hermes_engine::Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            match &event {
                hermes_engine::Event::Presence { chat, .. } => {
                    if self.interest.chat.is_none_or(|wanted| wanted == *chat) {
                        self.ready.push_back(Ready::Passing(event));
                    }
                }
                _ => self.more = true,
            }
            next = self.commits.try_recv().ok();
        }
    }

    async fn read(&mut self) -> Option<()> {
        let (after, chat) = (self.position, self.interest.chat);
        let page = self.account.query(move |view| query::events(view, after, chat, EVENT_PAGE)).await.ok()?;
        self.position = page.through;
        self.more = page.through != after;
        self.ready.extend(page.entries.into_iter().map(Ready::Entry));
        Some(())
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let about = self.interest.chat.is_none() || !matches!(event, Event::Connection { .. });
        let kinds = self.interest.kinds.as_ref();
        about
            && (kinds.is_none_or(|kinds| kinds.contains(&event.kind()))
                || matches!(event, Event::Lagged { .. }))
    }

    async fn connection(&mut self) -> Event {
        let status = self.mailbox.borrow_and_update().clone();
        let summary = self.account.query(query::summary).await;
        let registered = summary.is_ok_and(|summary| summary.registered);
        Event::Connection { connection: show::connection(&status, registered) }
    }

    async fn tell(&self, ready: Ready) -> Option<EventFrame> {
        Some(match ready {
            Ready::Entry(EventEntry::Missed(first, last)) => {
                EventFrame { v: V1, seq: Some(last), at: None, event: Event::Lagged { first, last } }
            }
            Ready::Passing(event) => {
                EventFrame { v: V1, seq: None, at: None, event: self.show(event).await? }
            }
            Ready::Entry(EventEntry::Event(EventView { number, at, event })) => {
                let event = self.show(event).await?;
                EventFrame { v: V1, seq: Some(number), at: Some(show::time(at)), event }
            }
        })
    }

    /// `None` for what has nothing to show (any more).
    async fn show(&self, event: hermes_engine::Event) -> Option<Event> {
        match event {
            hermes_engine::Event::Received(reference) => {
                let found = self.account.query(move |view| query::message_at(view, &reference)).await;
                let message = show::message(found.ok()??, self.account.name().as_str());
                Some(Event::Received { message: Box::new(message) })
            }
            hermes_engine::Event::Marked { reference, what } => {
                let found = self.account.query(move |view| query::message_at(view, &reference)).await;
                let message = Box::new(show::message(found.ok()??, self.account.name().as_str()));
                let change = match what {
                    hermes_engine::MarkKind::Reaction => MarkKind::Reaction,
                    hermes_engine::MarkKind::Edit => MarkKind::Edit,
                    hermes_engine::MarkKind::Withdrawn => MarkKind::Withdrawn,
                };
                Some(Event::MessageChanged { message, change })
            }
            hermes_engine::Event::Expired(reference) => {
                Some(Event::Expired { reference: reference.to_string() })
            }
            hermes_engine::Event::State { id, reference, state } => {
                let (state, error) = show::state(&state);
                Some(Event::State { id: id.to_string(), reference: reference.to_string(), state, error })
            }
            hermes_engine::Event::ContactReady { chat, .. } => {
                let contact = pairing::contact_of(&self.account, chat).await?;
                Some(Event::Contact { contact })
            }
            hermes_engine::Event::Requested { fingerprint, .. } => {
                let request = request::request_of(&self.account, fingerprint).await?;
                Some(Event::Request { request })
            }
            hermes_engine::Event::PairingFailed { name, reason, .. } => {
                Some(Event::PairingFailed { name, error: reason.problem() })
            }
            hermes_engine::Event::IdentityChanged { chat, .. } => {
                let contact = pairing::contact_of(&self.account, chat).await?;
                Some(Event::IdentityChanged { contact })
            }
            hermes_engine::Event::Presence { name, here, .. } => {
                Some(Event::Presence { contact: name, online: here })
            }
            // Whoever asked waits for it.
            hermes_engine::Event::Pong { .. } | hermes_engine::Event::Asked { .. } => None,
            // Counted in the status; there is no message to show.
            hermes_engine::Event::Unreadable(_) | hermes_engine::Event::ForeignClaim => None,
            hermes_engine::Event::Group { chat, name, event } => {
                let found = self.account.query(move |view| query::group_at(view, chat)).await;
                let group = show::group(found.ok()??.group);
                Some(Event::Group { group, change: group_change(&name, event) })
            }
            hermes_engine::Event::SessionRenewed { name, reason, .. } => {
                Some(Event::SessionRenewed { contact: name, reason: reason.to_string() })
            }
            hermes_engine::Event::RenewalFailed { name, .. } => Some(Event::RenewalFailed { contact: name }),
            hermes_engine::Event::StoreRestored
            | hermes_engine::Event::CopyStopped
            | hermes_engine::Event::CopySeen => {
                let summary = self.account.query(query::summary).await.ok()?;
                Some(Event::Store { store: show::store(&summary.store, self.account.scrubbed()) })
            }
        }
    }
}

fn group_change(group: &str, event: GroupEvent) -> GroupChange {
    match event {
        GroupEvent::Joined { by } => GroupChange::Joined { by },
        GroupEvent::Changed => GroupChange::Changed,
        GroupEvent::ChangeFailed(reason) => GroupChange::Failed { error: group::failed(group, &reason) },
        GroupEvent::NoPlace { contact, relay, reason } => {
            GroupChange::Failed { error: no_place(group, &contact, &relay, reason) }
        }
        GroupEvent::Stopped => GroupChange::Stopped,
    }
}
