//! What happens, as it happens: server-sent events.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{Path, State},
    response::sse::{self, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use hermes_api::{Event, EventFrame, GroupChange, MarkKind, V1, limits};
use hermes_engine::{GroupEvent, query};
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

use super::{Daemon, group, pairing, problem::ToProblem, reply::Refused, show};
use crate::{account::Account, link::MailboxStatus};

pub(super) async fn events(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Refused> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let mut mailbox = account.board().mailbox();
    mailbox.mark_unchanged();
    let listener = Listener { events: account.events(), mailbox, account, stop: daemon.stop_signal() };
    let frames = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((event, listener))
    });
    let frames = frames.map(|event| Ok(frame(event)));
    Ok(Sse::new(frames).keep_alive(KeepAlive::new().interval(limits::EVENT_KEEPALIVE)))
}

struct Listener {
    events: Receiver<hermes_engine::Event>,
    mailbox: watch::Receiver<MailboxStatus>,
    account: Arc<Account>,
    stop: watch::Receiver<bool>,
}

impl Listener {
    /// The next event; `None` when the daemon or the account stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let heard = tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return None,
                event = self.events.recv() => Ok(event),
                changed = self.mailbox.changed() => Err(changed),
            };
            let event = match heard {
                Ok(Ok(event)) => event,
                Ok(Err(RecvError::Lagged(_))) => return Some(Event::Lagged),
                Err(Ok(())) => return Some(self.connection().await),
                Ok(Err(RecvError::Closed)) | Err(Err(_)) => return None,
            };
            if let Some(event) = self.show(event).await {
                return Some(event);
            }
        }
    }

    async fn connection(&mut self) -> Event {
        let status = self.mailbox.borrow_and_update().clone();
        let summary = self.account.query(query::summary).await;
        let registered = summary.is_ok_and(|summary| summary.registered);
        Event::Connection { connection: show::connection(&status, registered) }
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
            hermes_engine::Event::Pong { .. } => None,
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
                Some(Event::Store { store: show::store(&summary.store) })
            }
        }
    }
}

fn group_change(group: &str, event: GroupEvent) -> GroupChange {
    match event {
        GroupEvent::Joined { by } => GroupChange::Joined { by },
        GroupEvent::Changed => GroupChange::Changed,
        GroupEvent::ChangeFailed(reason) => GroupChange::Failed { error: group::failed(group, &reason) },
        GroupEvent::Stopped => GroupChange::Stopped,
    }
}

fn frame(event: Event) -> sse::Event {
    let frame = EventFrame { v: V1, event };
    // Our own types always serialise; an empty comment would be passed over.
    sse::Event::default().json_data(&frame).unwrap_or_else(|_| sse::Event::default().comment(""))
}
