//! The relay on the network: QUIC connections around the rules.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Instant};

use hermes_link::{
    certificate::RelayCertificate,
    close,
    credential::RelayIdentity,
    introduction,
    limits::HANDSHAKE,
    quinn::{Connecting, Endpoint},
    server::{self, ListenError, Peer},
};
use hermes_wire::{RelayAddress, RelayPin, mailbox::Register};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    admin::{
        desk::{Desk, Running},
        socket::AdminSocket,
    },
    clock::{self, Look, Steady},
    committer::Committer,
    connected::Connected,
    depositor,
    limits::{
        DRAIN, HANDSHAKES_AT_ONCE, HANDSHAKES_TURN, INTRODUCTION, SWEEP, UNPROVEN_FRAMES, UNPROVEN_HANDSHAKES,
    },
    metrics::Metrics,
    monitor::Monitor,
    owner,
    places::{Place, Places},
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
    policy: Policy,
    metrics: Metrics,
    stop: Arc<Notify>,
    since: Instant,
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
    /// Room for long frames of those who have proven nothing.
    pub(crate) unproven: Arc<Semaphore>,
    tokens: TokenDirectory,
    pin: RelayPin,
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
        Self::start_on(endpoint, identity, store, options)
    }

    /// The same at an endpoint that listens already, wherever that is.
    pub fn start_on(
        endpoint: Endpoint,
        identity: &RelayIdentity,
        store: FjallStore,
        options: Options,
    ) -> Result<Self, StartError> {
        let relay = Relay::new(store.clone(), options.policy.clone())?;
        let (connected, metrics) = (Arc::new(Connected::default()), Metrics::default());
        let (committer, committing) =
            Committer::start(relay, connected.clone(), metrics.clone()).map_err(StartError::Thread)?;
        let (drain, draining) = watch::channel(false);
        let unproven = Arc::new(Semaphore::new(UNPROVEN_FRAMES));
        let (tokens, pin) = (options.tokens, identity.pin());
        let shared = Shared { committer, store, connected, draining, unproven, tokens, pin };
        tokio::spawn(accept(endpoint.clone(), shared.clone(), options.connections, metrics.clone()));
        tokio::spawn(sweep(shared.clone()));
        let (policy, stop, since) = (options.policy, Arc::default(), Instant::now());
        Ok(Self { endpoint, shared, drain, policy, metrics, stop, since, committing })
    }

    /// Shows newcomers this certificate from here on. Whoever is connected notices nothing.
    pub fn certify(
        &self,
        identity: &RelayIdentity,
        certificate: &RelayCertificate,
    ) -> Result<(), ListenError> {
        server::certify(&self.endpoint, identity, Some(certificate))?;
        self.metrics.certified(certificate.not_after());
        Ok(())
    }

    /// Takes its operator's orders at `path`, until what this returns is closed. `address` is what clients have.
    pub fn take_orders(
        &self,
        path: PathBuf,
        address: &RelayAddress,
        identity: Arc<RelayIdentity>,
    ) -> io::Result<AdminSocket> {
        let endpoint = self.endpoint.clone();
        let running = Running {
            address: address.to_string(),
            policy: self.policy.clone(),
            connected: self.shared.connected.clone(),
            metrics: self.metrics.clone(),
            connections: Box::new(move || endpoint.open_connections()),
            stop: self.stop.clone(),
            since: self.since,
            draining: self.shared.draining.clone(),
        };
        let Shared { committer, store, tokens, .. } = self.shared.clone();
        AdminSocket::listen(path, Arc::new(Desk::new(&committer, store, tokens, running)), identity)
    }

    /// Shows metrics and health at a loopback address, as long as what this returns lives.
    pub fn monitor(&self, address: SocketAddr) -> io::Result<Monitor> {
        Monitor::listen(address, &self.metrics, self.endpoint.clone(), self.shared.clone())
    }

    /// Waits until an operator says that the relay is to stop.
    pub async fn told_to_stop(&self) {
        self.stop.notified().await;
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

    /// Looks something up in a thread that may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&FjallStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || read(&store)).await {
            Ok(Ok(found)) => return Some(found),
            Ok(Err(error)) => tracing::error!(%error, "cannot read the store"),
            Err(_) => {}
        }
        None
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

async fn accept(endpoint: Endpoint, shared: Shared, connections: usize, metrics: Metrics) {
    let places = Places::new(connections);
    // A small relay asks for proof before they have used up what handshakes may take at all.
    let unproven = UNPROVEN_HANDSHAKES.min(connections / 16).max(1);
    let handshakes = Arc::new(Semaphore::new(unproven));
    // Keys are agreed on and a signature is made as soon as a connection is accepted, and what arrives for all others waits
    // meanwhile. So there is one at a time, and those who are connected have as much of the time as those who come.
    let mut accepted = 0_u64;
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shared.drain_began() => return,
        };
        let Some(incoming) = incoming else { return };
        // Whoever sends from addresses that are not its own makes work here and hears no answer (RFC 9000, section 8.1).
        if handshakes.available_permits() == 0 && incoming.may_retry() {
            metrics.retried.inc();
            // An error says that it may not, which was asked.
            let _ = incoming.retry();
            continue;
        }
        let handshake = handshakes.clone().try_acquire_owned().ok();
        let Some(place) = places.take(incoming.remote_address()) else {
            metrics.turned_away.inc();
            incoming.refuse();
            continue;
        };
        accepted += 1;
        match incoming.accept() {
            Ok(connecting) => {
                let places = (place, handshake);
                tokio::spawn(serve(shared.clone(), (accepted, connecting), metrics.clone(), places));
            }
            Err(_) => drop(metrics.broken_handshakes.inc()),
        }
        // Not measured: what a handshake takes is computed when its last packet comes, which is for the peer to choose.
        if accepted.is_multiple_of(HANDSHAKES_AT_ONCE) {
            sleep(HANDSHAKES_TURN).await;
        }
    }
}

async fn serve(
    shared: Shared,
    (accepted, connecting): (u64, Connecting),
    metrics: Metrics,
    (mut place, handshake): (Place, Option<OwnedSemaphorePermit>),
) {
    // Clients wait no longer either: who has not come by then only holds a place.
    let Ok(Ok(connection)) = timeout(HANDSHAKE, connecting).await else {
        metrics.broken_handshakes.inc();
        return;
    };
    drop(handshake);
    match server::peer(&connection) {
        Some(Peer::Owner(mailbox)) => {
            owner::serve(&shared, &connection, (mailbox, &mut place), accepted).await;
        }
        Some(_) if !place.belongs_to_stranger() => {
            metrics.turned_away.inc();
            connection.close(close::NO_PLACE, b"");
        }
        Some(Peer::Depositor) => depositor::serve(&shared, &connection).await,
        Some(Peer::Newcomer) => introduction::tell(&connection, shared.pin, INTRODUCTION).await,
        None => connection.close(close::WRONG_PEER, b""),
    }
}

async fn sweep(shared: Shared) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    let mut steady = Steady::new(begun.elapsed(), clock::now());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.drain_began() => return,
        }
        match steady.look(begun.elapsed(), clock::now()) {
            Look::Steady => {}
            Look::Jumped => {
                tracing::warn!("the clock has jumped ahead; nothing is deleted for its age for an hour");
                continue;
            }
            Look::Unsure => continue,
        }
        while let Outcome::Swept { more: true } = shared.committer.submit(Request::Sweep).await
            && !*shared.draining.borrow()
        {}
    }
}
