//! Drop connections, one for each relay, shared by all chats whose mailbox is there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
};

use hermes_link::{
    client,
    quinn::{Connection, Endpoint},
};
use hermes_wire::RelayAddress;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};

use super::{backoff::Backoff, board::Reason};
use crate::{
    limits::{CONNECTION_IDLE, DROP_STREAMS, DROP_STREAMS_PER_RELAY},
    random::rng,
};

/// The relays that messages go to.
pub(super) struct Relays {
    endpoint: Endpoint,
    relays: SyncMutex<BTreeMap<RelayAddress, Arc<Relay>>>,
    streams: Arc<Semaphore>,
    /// How many wait for a stream: while any do, one that idles should end.
    waiting: watch::Sender<usize>,
}

/// One relay.
pub(super) struct Relay {
    address: RelayAddress,
    endpoint: Endpoint,
    streams: Arc<Semaphore>,
    all_streams: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
    contact: Mutex<Contact>,
}

/// The connection as it stands. Whoever needs one while none is there waits for the one attempt that is under way.
#[derive(Default)]
struct Contact {
    connection: Option<(Connection, Instant)>,
    backoff: Backoff,
    not_before: Option<Instant>,
    last_used: Option<Instant>,
}

/// The right to have a stream open.
pub(super) struct Slot {
    _relay: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Relays {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            relays: SyncMutex::default(),
            streams: Arc::new(Semaphore::new(DROP_STREAMS)),
            waiting: watch::Sender::new(0),
        }
    }

    pub(super) fn get(&self, address: &RelayAddress) -> Arc<Relay> {
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        let relay = relays.entry(address.clone()).or_insert_with(|| {
            Arc::new(Relay {
                address: address.clone(),
                endpoint: self.endpoint.clone(),
                streams: Arc::new(Semaphore::new(DROP_STREAMS_PER_RELAY)),
                all_streams: self.streams.clone(),
                waiting: self.waiting.clone(),
                contact: Mutex::default(),
            })
        });
        relay.clone()
    }

    /// Forgets relays that nothing has gone to for a while; their connections close.
    pub(super) fn forget_idle(&self, now: Instant) {
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        relays.retain(|_, relay| {
            // Another holder is a chat that is at work.
            let idle = Arc::strong_count(relay) == 1
                && relay
                    .contact
                    .try_lock()
                    .is_ok_and(|contact| contact.last_used.is_none_or(|used| now - used >= CONNECTION_IDLE));
            !idle
        });
    }
}

impl Relay {
    /// Waits for the right to open a stream here.
    pub(super) async fn slot(&self) -> Slot {
        let _relay = self.permit(&self.streams).await;
        let _all = self.permit(&self.all_streams).await;
        Slot { _relay, _all }
    }

    async fn permit(&self, streams: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        if let Ok(permit) = streams.clone().try_acquire_owned() {
            return permit;
        }
        let _waits = Waits::new(&self.waiting);
        match streams.clone().acquire_owned().await {
            Ok(permit) => permit,
            // Never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Resolves when someone waits for a slot.
    pub(super) async fn slot_wanted(&self) {
        // The sender is here, so the wait cannot fail.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    /// The connection, made if there is none. One attempt, after the wait that earlier failures earned.
    pub(super) async fn connect(&self) -> Result<Connection, Reason> {
        let mut contact = self.contact.lock().await;
        let now = Instant::now();
        contact.last_used = Some(now);
        if let Some((connection, since)) = &contact.connection {
            if connection.close_reason().is_none() {
                return Ok(connection.clone());
            }
            let since = *since;
            contact.connection = None;
            contact.backoff.succeeded(since, now);
            contact.postpone(now);
        }
        if let Some(not_before) = contact.not_before {
            sleep_until(not_before).await;
        }
        match client::connect_drop(&self.endpoint, &self.address).await {
            Ok(connection) => {
                contact.connection = Some((connection.clone(), Instant::now()));
                Ok(connection)
            }
            Err(error) => {
                contact.postpone(Instant::now());
                tracing::info!(%error, "cannot connect to a contact's relay");
                Err(Reason::from(&error))
            }
        }
    }
}

/// Counts one who waits, until dropped.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Contact {
    fn postpone(&mut self, now: Instant) {
        self.not_before = Some(now + self.backoff.next(now, &mut rng()));
    }
}
