//! Mailboxes at other relays, each with a connection and a socket of its own: a shared source port would tell those relays
//! which of their mailboxes are one account's.

use std::collections::BTreeMap;

use hermes_engine::{GuestId, query};
use hermes_link::client;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{
    CloseOnDrop, Link, LinkError,
    mailbox::{self, Whose},
};
use crate::limits::{GUEST_RESTART, LINK_RESTART};

/// Runs as long as the link. A store that is behind would acknowledge what another copy has to have, so everything waits
/// until it is known not to be.
pub(super) async fn run(link: &std::sync::Arc<Link>) -> Result<(), LinkError> {
    link.newest().await;
    let mut wanted = link.wakes.guests_wanted();
    let mut running = JoinSet::new();
    let mut tasks: BTreeMap<GuestId, Task> = BTreeMap::new();
    loop {
        wanted.mark_unchanged();
        let guests = link.read(query::guests).await?;
        let known: Vec<_> = guests.iter().map(|view| view.guest).collect();
        link.board.keep_guests(&known);
        tasks.retain(|guest, task| {
            let stays = known.contains(guest);
            if !stays {
                task.end();
            }
            stays
        });
        for query::GuestView { guest, registered, .. } in guests {
            let token = link.read(move |view| query::guest_mailbox(view, guest)).await?;
            let token = token.and_then(|settings| settings.registration_token);
            // Until the relay has taken it, another token, or none, is another try.
            let stands = |task: &Task| registered || task.token == token;
            if tasks.get(&guest).is_some_and(stands) {
                continue;
            }
            // However often a contact brings another token, its relay is not dialled more often.
            let former = tasks.remove(&guest);
            let start = former.as_ref().map_or(Instant::now(), |task| task.start + GUEST_RESTART);
            former.iter().for_each(Task::end);
            let (link, start) = (link.clone(), start.max(Instant::now()));
            let handle = running.spawn(async move {
                sleep_until(start).await;
                keep(&link, guest).await
            });
            tasks.insert(guest, Task { token, start, handle });
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return Err(LinkError::Closed);
            },
            Some(ended) = running.join_next() => match ended {
                Ok(ended) => ended?,
                Err(error) if error.is_cancelled() => {}
                Err(_) => return Err(LinkError::Closed),
            },
        }
    }
}

/// The connection to one mailbox, and with which token it was first opened.
struct Task {
    token: Option<String>,
    /// When it began, or is to begin.
    start: Instant,
    handle: AbortHandle,
}

impl Task {
    fn end(&self) {
        self.handle.abort();
    }
}

/// Stays connected until the mailbox is given up, or its relay will not have it.
async fn keep(link: &Link, guest: GuestId) -> Result<(), LinkError> {
    let Some(settings) = link.read(move |view| query::guest_mailbox(view, guest)).await? else {
        return Ok(());
    };
    let endpoint = loop {
        match client::endpoint() {
            Ok(endpoint) => break endpoint,
            // The others go on.
            Err(error) => {
                tracing::warn!(%error, "no socket for a mailbox at another relay; it is tried again");
                sleep(LINK_RESTART).await;
            }
        }
    };
    let _closing = CloseOnDrop(endpoint.clone());
    mailbox::run(link, Whose::guest(guest), &endpoint, &settings).await
}
