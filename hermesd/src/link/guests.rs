//! Mailboxes at other relays, each with a connection and a socket of its own: a shared source port would tell those relays
//! which of their mailboxes are one account's.

use std::collections::BTreeMap;

use hermes_engine::{GuestId, query};
use hermes_link::client;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{
    CloseOnDrop, Link, LinkError,
    mailbox::{self, Whose},
};
use crate::limits::LINK_RESTART;

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
        tasks.retain(|guest, task| known.contains(guest) || task.end());
        for query::GuestView { guest, registered, .. } in guests {
            let token = link.read(move |view| query::guest_mailbox(view, guest)).await?;
            let token = token.and_then(|settings| settings.registration_token);
            // Until the relay has taken it, another token, or none, is another try.
            let stands = |task: &Task| registered || task.token == token;
            if tasks.get(&guest).is_some_and(stands) {
                continue;
            }
            let link = link.clone();
            let handle = running.spawn(async move { keep(&link, guest).await });
            if let Some(former) = tasks.insert(guest, Task { token, handle }) {
                former.end();
            }
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
    handle: AbortHandle,
}

impl Task {
    /// Ends it, and says that it is no more.
    fn end(&self) -> bool {
        self.handle.abort();
        false
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
