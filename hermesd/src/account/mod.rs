//! An open account: its thread, its link, and the way in for everyone else.

mod consumers;
mod nearest;
mod once;
mod owner;
mod passing;
mod presences;
mod scrubbing;
#[cfg(test)]
mod tests;
mod wakes;
mod work;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use hermes_config::AccountName;
use hermes_engine::{Command, Event, LinkEvent, PresenceDue, Privacy, ReadError, Reply};
use hermes_link::client::OpenEndpoint;
use hermes_wire::Timestamp;
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc, oneshot, watch},
    task,
    time::timeout,
};

pub(crate) use self::{
    consumers::{Consumers, Place},
    once::{Once, carry_out_once},
    owner::Health,
    passing::Sending,
    presences::Presences,
    wakes::Wakes,
    work::{CommandFailure, Committed, Work},
};
use self::{
    owner::{Outlets, Owner, Reopen},
    passing::Passing,
    scrubbing::keep_scrubbing,
};
use crate::{
    keystore::{KeyError, StoreKey},
    limits::{EVENTS, FAREWELL, WORK_QUEUE},
    link::{Board, Link, MailboxState},
    store::{OpenError, Reader, Snapshot, SqliteStore, StoreError},
};

/// An open account. It works until [`Account::stop`].
pub(crate) struct Account {
    name: AccountName,
    work: mpsc::Sender<Work>,
    reader: Reader,
    /// `None` once it is stopped, so that whoever waits for an event hears that none comes.
    events: Mutex<Option<broadcast::Sender<Event>>>,
    health: watch::Receiver<Health>,
    scrubbed: watch::Receiver<Option<Timestamp>>,
    board: Arc<Board>,
    presences: Arc<Presences>,
    passing: Passing,
    consumers: Consumers,
    link: Arc<Link>,
    /// `None` once it is stopped.
    key: Mutex<Option<Arc<StoreKey>>>,
    running: Mutex<Option<Running>>,
}

/// What [`Account::stop`] ends.
struct Running {
    link: task::JoinHandle<()>,
    scrubbing: task::JoinHandle<()>,
    thread: JoinHandle<()>,
}

/// Why an account does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    /// Its key is not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its store opens and holds no usable account.
    #[error("the store cannot be used: {0}")]
    Load(#[from] ReadError<StoreError>),
    /// The daemon stops before it is open.
    #[error("the daemon is stopping")]
    Stopping,
}

/// How the account's store is opened, at first and after a failure.
struct Source {
    path: PathBuf,
    key: Arc<StoreKey>,
}

impl Reopen for Source {
    type Store = SqliteStore;

    fn reopen(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.path, &self.key)
    }
}

impl Account {
    /// Opens the store at `path` and starts to work. Blocks on the disk; must be called within the runtime.
    pub(crate) fn open(
        name: AccountName,
        path: PathBuf,
        key: StoreKey,
        privacy: watch::Receiver<Privacy>,
        open_endpoint: OpenEndpoint,
    ) -> Result<Self, AccountError> {
        let key = Arc::new(key);
        let source = Source { path, key: key.clone() };
        let store = source.reopen()?;
        let reader = store.reader();
        let (work, queue) = mpsc::channel(WORK_QUEUE);
        let (events, _) = broadcast::channel(EVENTS);
        let (health, watched) = watch::channel(Health::Well(0));
        let wakes = Arc::new(Wakes::default());
        let (passing, sendings) = Passing::new();
        let presences = Arc::new(Presences::default());
        let outlets = Outlets {
            events: events.clone(),
            wakes: wakes.clone(),
            passing: passing.clone(),
            presences: presences.clone(),
            health,
        };
        let owner = Owner::new(source, store, queue, outlets, privacy)?;
        let runtime = Handle::current();
        let thread = thread::spawn(move || owner.run(&runtime));
        let board = Arc::new(Board::default());
        let link = Link::new(reader.clone(), work.clone(), wakes, board.clone(), sendings, open_endpoint);
        let (whole, scrubbed) = watch::channel(None);
        let running = Running {
            link: tokio::spawn(link.clone().keep_running(watched.clone())),
            scrubbing: tokio::spawn(keep_scrubbing(reader.clone(), work.clone(), whole)),
            thread,
        };
        let running = Mutex::new(Some(running));
        let events = Mutex::new(Some(events));
        let consumers = Consumers::default();
        let key = Mutex::new(Some(key));
        Ok(Self {
            name,
            work,
            reader,
            events,
            health: watched,
            scrubbed,
            board,
            consumers,
            presences,
            passing,
            link,
            key,
            running,
        })
    }

    pub(crate) fn name(&self) -> &AccountName {
        &self.name
    }

    /// Has the engine carry out `command`. The reply comes after the commit. Within [`carry_out_once`] it is done once,
    /// and later replies are the first one again.
    pub(crate) async fn command(&self, command: Command) -> Result<Reply, CommandFailure> {
        let command = once::once(command);
        let (reply, answer) = oneshot::channel();
        self.work.send(Work::Command(command, reply)).await.map_err(|_| CommandFailure::Closed)?;
        match answer.await.unwrap_or(Err(CommandFailure::Closed)) {
            Err(CommandFailure::Refused(error)) => Err(self.refusal(error).await),
            answer => answer,
        }
    }

    /// Asks the committed rows, off the runtime's threads.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Snapshot) -> Result<T, ReadError<StoreError>> + Send + 'static,
    ) -> Result<T, ReadError<StoreError>> {
        self.reader.query(ask).await
    }

    /// Everything that happens from this call on, until the account stops. A listener that falls behind by more than [`EVENTS`] is told.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        match &*self.events.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// Shows the key of its store; nothing once it is stopped.
    pub(crate) fn with_key<T>(&self, use_it: impl FnOnce(&StoreKey) -> T) -> Option<T> {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(use_it(&key))
    }

    /// What asks the committed rows for those who outlive the account.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether it can commit.
    pub(crate) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// When its store was last read from end to end and found whole, since it opened.
    pub(crate) fn scrubbed(&self) -> Option<Timestamp> {
        *self.scrubbed.borrow()
    }

    /// How its connections fare.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Who of the contacts is there.
    pub(crate) fn presences(&self) -> &Presences {
        &self.presences
    }

    /// Who listens under a name at this moment.
    pub(crate) fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// Tries the connections at once, whatever they are waiting for.
    pub(crate) fn reconnect(&self) {
        self.link.reconnect();
    }

    /// Ends the link, then the thread after what is in its queue, then closes the store. No key is left in memory, even
    /// while somebody still holds the account. Later calls do nothing.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { link, scrubbing, thread }) = running else { return };
        // Who is not told in time finds out by itself.
        let _ = timeout(FAREWELL, self.say_goodbye()).await;
        link.abort();
        // An aborted task ends with an error that says just that.
        let _ = link.await;
        // Whoever still reads, a scrub or a backup, would keep the thread from erasing used keys at its end.
        self.reader.close().await;
        let _ = scrubbing.await;
        // An error means that the thread has ended.
        let _ = self.work.send(Work::Stop).await;
        if !matches!(task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the account's thread did not end well");
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.key.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Tells contacts that believe this account there that it goes.
    async fn say_goodbye(&self) {
        if self.board.mailbox().borrow().state != MailboxState::Connected {
            return;
        }
        let (done, committed) = oneshot::channel();
        let leaving = vec![LinkEvent::PresenceDue(PresenceDue::Leaving)];
        if self.work.send(Work::Link(leaving, Some(done))).await.is_ok() && committed.await.is_ok() {
            self.passing.done().await;
        }
    }
}
