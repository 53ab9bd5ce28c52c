//! The relay on the network: QUIC connections around the rules.

use std::{io, net::SocketAddr, sync::Arc, thread::JoinHandle};

use hermes_link::{
    close,
    credential::RelayIdentity,
    quinn::{Endpoint, Incoming},
    server::{self, ListenError, Peer},
};
use hermes_wire::mailbox::Register;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    committer::Committer,
    connected::Connected,
    depositor,
    limits::{DRAIN, FIRST_FRAME, SWEEP},
    owner,
    relay::{Outcome, Policy, Relay, Request},
    store::{StoreError, fjall::FjallStore},
    tokens::TokenDirectory,
};

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot start a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// A relay that is serving.
pub struct Server {
    endpoint: Endpoint,
    shared: Shared,
    drain: watch::Sender<bool>,
    committing: JoinHandle<Result<(), StoreError>>,
}

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) committer: Committer,
    /// For reading only; the committer has the writing clone.
    pub(crate) store: FjallStore,
    pub(crate) connected: Arc<Connected>,
    pub(crate) draining: watch::Receiver<bool>,
    tokens: TokenDirectory,
}

/// What a server is started with.
pub struct Options {
    /// Where to listen (UDP); port 0 takes any free one.
    pub listen: SocketAddr,
    /// Connections at a time; more are refused.
    pub connections: usize,
    /// The rules' settings.
    pub policy: Policy,
    /// Where new registration tokens are put.
    pub tokens: TokenDirectory,
}

impl Server {
    /// Listens and serves in tasks of the current tokio runtime.
    pub fn start(identity: &RelayIdentity, store: FjallStore, options: Options) -> Result<Self, StartError> {
        let endpoint = server::listen(options.listen, identity)?;
        let relay = Relay::new(store.clone(), options.policy)?;
        let connected = Arc::new(Connected::default());
        let (committer, committing) =
            Committer::start(relay, connected.clone()).map_err(StartError::Thread)?;
        let (drain, draining) = watch::channel(false);
        let shared = Shared { committer, store, connected, draining, tokens: options.tokens };
        tokio::spawn(accept(endpoint.clone(), shared.clone(), options.connections));
        tokio::spawn(sweep(shared.clone()));
        Ok(Self { endpoint, shared, drain, committing })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Waits until the relay cannot go on, which is when its store has failed. Then [`Self::stop`] says how.
    pub async fn failed(&self) {
        self.shared.committer.failed().await;
    }

    /// Asks the clients to come back later, waits a little until they are gone, and closes the store.
    pub async fn stop(self) -> Result<(), StoreError> {
        self.endpoint.set_server_config(None);
        self.drain.send_replace(true);
        let _ = timeout(DRAIN, self.endpoint.wait_idle()).await;
        self.endpoint.close(close::DRAINING, b"");
        let _ = timeout(DRAIN, self.endpoint.wait_idle()).await;
        let Self { shared, committing, .. } = self;
        std::mem::drop(shared);
        let joined = tokio::task::spawn_blocking(move || committing.join()).await;
        match joined {
            Ok(Ok(committed)) => committed,
            _ => Err(StoreError::Backend("the committing thread ended badly".to_owned())),
        }
    }
}

impl Shared {
    /// Waits until the relay is about to stop.
    pub(crate) async fn drain_began(&self) {
        // An error means that the server is gone, which is the same.
        let _ = self.draining.clone().wait_for(|draining| *draining).await;
    }

    /// Makes registration tokens known that the operator has added since. Only someone who shows a token is a reason to
    /// look for new ones.
    pub(crate) async fn take_in_new_tokens(&self, register: &Register) {
        if register.registration_token.is_none() {
            return;
        }
        let directory = self.tokens.clone();
        let Ok(found) = tokio::task::spawn_blocking(move || directory.list()).await else { return };
        for new in found {
            let added = self.committer.submit(Request::AddToken { token: new.token, row: new.row }).await;
            if added == Outcome::TokenAdded {
                self.tokens.remove(new.token);
            }
        }
    }
}

async fn accept(endpoint: Endpoint, shared: Shared, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shared.drain_began() => return,
        };
        let Some(incoming) = incoming else { return };
        match places.clone().try_acquire_owned() {
            Ok(place) => {
                tokio::spawn(serve(shared.clone(), incoming, place));
            }
            Err(_) => incoming.refuse(),
        }
    }
}

async fn serve(shared: Shared, incoming: Incoming, _place: OwnedSemaphorePermit) {
    let Ok(Ok(connection)) = timeout(FIRST_FRAME, incoming.into_future()).await else { return };
    match server::peer(&connection) {
        Some(Peer::Owner(mailbox)) => owner::serve(&shared, &connection, mailbox).await,
        Some(Peer::Depositor) => depositor::serve(&shared, &connection).await,
        None => connection.close(close::WRONG_PEER, b""),
    }
}

async fn sweep(shared: Shared) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.drain_began() => return,
        }
        while let Outcome::Swept { more: true } = shared.committer.submit(Request::Sweep).await {}
    }
}
