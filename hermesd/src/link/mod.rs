//! An account's connections to relays: one to its own mailbox, one to each of its mailboxes at other relays, and drop
//! connections to the relays of its contacts.
//!
//! The link decides nothing. It carries what the store says there is to carry, and hands what it hears to the
//! account's thread; it may be dropped at any moment and started again. Deliberately absent: any state that matters,
//! and the contents of what it carries.

mod backoff;
mod blob;
mod board;
mod drops;
mod ephemeral;
mod fetch;
mod guests;
mod liveness;
mod mailbox;
mod pace;
mod relays;
#[cfg(test)]
mod simulation;
mod stream;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use hermes_engine::{LinkEvent, ReadError, query};
use hermes_link::{client::OpenEndpoint, quinn::Endpoint};
use hermes_wire::RunId;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

pub(crate) use self::board::{Board, MailboxState, MailboxStatus, Reason};
use self::mailbox::Whose;
use crate::{
    account::{Committed, Health, Sending, Wakes, Work},
    limits::LINK_RESTART,
    random::rng,
    store::{Reader, Snapshot, StoreError},
};

/// What every part of an account's link needs.
pub(crate) struct Link {
    reader: Reader,
    work: mpsc::Sender<Work>,
    wakes: Arc<Wakes>,
    board: Arc<Board>,
    restart: Notify,
    /// Which run of the account this is.
    run: RunId,
    /// Whether the store is known to be the newest, so that what is in the outbox may leave.
    newest: watch::Sender<bool>,
    /// What is to be sent now or never.
    sendings: Mutex<mpsc::Receiver<Sending>>,
    open_endpoint: OpenEndpoint,
}

/// Why the link cannot go on by itself; it is started anew.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] ReadError<StoreError>),
    /// No socket can be opened.
    #[error("no UDP socket can be opened: {0}")]
    Socket(#[from] std::io::Error),
    /// The mailbox key makes no certificate.
    #[error(transparent)]
    Credential(#[from] hermes_link::credential::CredentialError),
    /// The account's thread is gone.
    #[error("the account is closed")]
    Closed,
}

impl Link {
    pub(crate) fn new(
        reader: Reader,
        work: mpsc::Sender<Work>,
        wakes: Arc<Wakes>,
        board: Arc<Board>,
        sendings: mpsc::Receiver<Sending>,
        open_endpoint: OpenEndpoint,
    ) -> Arc<Self> {
        let run = RunId::random(&mut rng());
        let newest = watch::Sender::new(false);
        let sendings = Mutex::new(sendings);
        let restart = Notify::new();
        Arc::new(Self { reader, work, wakes, board, restart, run, newest, sendings, open_endpoint })
    }

    /// Starts over at once.
    pub(crate) fn reconnect(&self) {
        self.restart.notify_one();
    }

    /// Runs until dropped. When the account was loaded anew, everything starts over: what was handed in before and not
    /// committed has to be asked for again.
    pub(crate) async fn keep_running(self: Arc<Self>, mut health: watch::Receiver<Health>) {
        loop {
            health.mark_unchanged();
            tokio::select! {
                ended = self.run() => match ended {
                    // What stopped it, the user may undo.
                    Ok(()) => self.restart.notified().await,
                    Err(LinkError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(%error, "the link stopped; it starts again");
                        tokio::time::sleep(LINK_RESTART).await;
                    }
                },
                () = self.restart.notified() => {}
                changed = health.changed() => {
                    self.board.set_mailbox(MailboxState::Waiting(Reason::Store));
                    if changed.is_err() || health.wait_for(|health| matches!(health, Health::Well(_))).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Returns when another installation, or another copy of the store, has taken over: two of them must not go on.
    async fn run(self: &Arc<Self>) -> Result<(), LinkError> {
        self.newest.send_replace(false);
        let settings = self.read(query::mailbox).await?;
        // Two sockets: a shared source port would tell the relay which mailbox's owner deposits.
        let (mailbox, drops) = ((self.open_endpoint)()?, (self.open_endpoint)()?);
        let _closing = (CloseOnDrop(mailbox.clone()), CloseOnDrop(drops.clone()));
        tokio::select! {
            stopped = mailbox::run(self, Whose::own(self.run), &mailbox, &settings) => stopped,
            failed = self.drops(drops) => failed,
            failed = guests::run(self) => failed,
        }
    }

    /// What was sealed by a store that is behind must not leave, so everything waits until it is known not to be. A
    /// connection that is lost later closes nothing: the contacts' relays are other ones.
    async fn drops(self: &Arc<Self>, endpoint: Endpoint) -> Result<(), LinkError> {
        self.newest().await;
        drops::run(self, endpoint).await
    }

    /// Waits until the store is known to be the newest.
    async fn newest(&self) {
        // An error means that the link is gone, and whoever waits with it.
        let _ = self.newest.subscribe().wait_for(|newest| *newest).await;
    }

    /// Asks the committed rows.
    async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Snapshot) -> Result<T, ReadError<StoreError>> + Send + 'static,
    ) -> Result<T, LinkError> {
        Ok(self.reader.query(ask).await?)
    }

    /// Hands events to the account's thread, waiting while its queue is full.
    async fn tell(&self, events: Vec<LinkEvent>) -> Result<(), LinkError> {
        if events.is_empty() {
            return Ok(());
        }
        self.work.send(Work::Link(events, None)).await.map_err(|_| LinkError::Closed)
    }

    /// The same, and the commit can be waited for.
    async fn tell_and_follow(
        &self,
        events: Vec<LinkEvent>,
    ) -> Result<oneshot::Receiver<Committed>, LinkError> {
        let (done, committed) = oneshot::channel();
        self.work.send(Work::Link(events, Some(done))).await.map_err(|_| LinkError::Closed)?;
        Ok(committed)
    }
}

/// Says goodbye on every connection of an endpoint, so that relays need not wait for a timeout.
struct CloseOnDrop(Endpoint);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(0u32.into(), b"");
    }
}
