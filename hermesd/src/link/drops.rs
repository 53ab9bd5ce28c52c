//! What goes over drop connections: a task for each chat that has something in the outbox, and one for each bundle and
//! each blob that is wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::FutureExt;
use hermes_engine::{
    ChatId, GuestId,
    query::{self, PendingFetch},
};
use hermes_link::quinn::Endpoint;
use hermes_wire::{BlobId, FetchId};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::{Instant, interval},
};

use super::{Link, LinkError, blob, ephemeral, fetch, relays::Relays, stream};
use crate::{
    account::Sending,
    limits::{BLOBS_AT_ONCE, CONNECTION_IDLE, EPHEMERALS_AT_ONCE, GUEST_BLOBS_AT_ONCE},
};

/// Runs as long as the link. Tasks of every kind end when they have nothing left to do.
pub(super) async fn run(link: &Arc<Link>, endpoint: Endpoint) -> Result<(), LinkError> {
    let mut tasks = Tasks {
        link: link.clone(),
        relays: Arc::new(Relays::new(endpoint)),
        deliveries: BTreeMap::new(),
        fetches: BTreeSet::new(),
        blobs: BTreeSet::new(),
        ephemerals: 0,
        blob_turns: BTreeMap::new(),
        running: JoinSet::new(),
    };
    // Marks may be from before the last start; what is in the store is what counts.
    link.wakes.take();
    for chat in link.read(query::outbox_chats).await? {
        tasks.wake(chat);
    }
    for pending in link.read(query::fetches).await? {
        tasks.fetch(pending);
    }
    tasks.fetch_blobs().await?;
    // Held by the one run that there is.
    let mut sendings = link.sendings.lock().await;
    let mut sweep = interval(CONNECTION_IDLE);
    loop {
        tokio::select! {
            () = link.wakes.marked() => {
                let marked = link.wakes.take();
                for chat in marked.outbox {
                    tasks.wake(chat);
                }
                // One contact after the other: a thousand that pair would otherwise each have all of them read.
                for chat in marked.fetch {
                    let pending = link.read(move |view| query::fetch_of(view, chat)).await?;
                    pending.into_iter().for_each(|pending| tasks.fetch(pending));
                }
                if marked.blobs {
                    tasks.fetch_blobs().await?;
                }
            }
            Some(sending) = sendings.recv(), if tasks.ephemerals < EPHEMERALS_AT_ONCE => tasks.pass(sending),
            Some(ended) = tasks.running.join_next() => match ended {
                Ok(ended) => tasks.ended(ended)?,
                Err(_) => return Err(LinkError::Closed),
            },
            _ = sweep.tick() => tasks.relays.forget_idle(Instant::now()),
        }
    }
}

/// What a task was for, and how it ended.
enum Ended {
    Delivery(ChatId, Result<(), LinkError>),
    Fetch(FetchId, Result<(), LinkError>),
    Blob((BlobId, Option<GuestId>), Result<(), LinkError>),
    Ephemeral,
}

struct Tasks {
    link: Arc<Link>,
    relays: Arc<Relays>,
    /// Chats being delivered to, each with the way to tell its task that there is more.
    deliveries: BTreeMap<ChatId, Arc<Notify>>,
    /// Bundles being asked for. A chat may have two for a moment: the newer one, and one nobody waits for any more.
    fetches: BTreeSet<FetchId>,
    /// Blobs being asked for.
    blobs: BTreeSet<(BlobId, Option<GuestId>)>,
    /// Of each mailbox: what one relay is slow with holds up no other.
    blob_turns: BTreeMap<Option<GuestId>, Arc<Semaphore>>,
    /// Tasks that each send something ephemeral.
    ephemerals: usize,
    running: JoinSet<Ended>,
}

impl Tasks {
    fn wake(&mut self, chat: ChatId) {
        if let Some(more) = self.deliveries.get(&chat) {
            more.notify_one();
            return;
        }
        let more = Arc::new(Notify::new());
        self.deliveries.insert(chat, more.clone());
        let (link, relays) = (self.link.clone(), self.relays.clone());
        self.running
            .spawn(async move { Ended::Delivery(chat, stream::deliver(&link, &relays, chat, &more).await) });
    }

    fn pass(&mut self, sending: Sending) {
        self.ephemerals += 1;
        let relays = self.relays.clone();
        self.running.spawn(async move {
            ephemeral::send(&relays, sending).await;
            Ended::Ephemeral
        });
    }

    fn fetch(&mut self, pending: PendingFetch) {
        let id = pending.fetch;
        if self.fetches.insert(id) {
            let (link, relays) = (self.link.clone(), self.relays.clone());
            self.running.spawn(async move { Ended::Fetch(id, fetch::fetch(&link, &relays, pending).await) });
        }
    }

    async fn fetch_blobs(&mut self) -> Result<(), LinkError> {
        // Whoever waits for a turn, or has one, holds the semaphore.
        self.blob_turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        for wanted in self.link.read(query::blob_fetches).await? {
            let id = wanted.id();
            if self.blobs.insert(id) {
                let turns = self.blob_turns.entry(wanted.mailbox).or_insert_with(|| {
                    Arc::new(Semaphore::new(wanted.mailbox.map_or(BLOBS_AT_ONCE, |_| GUEST_BLOBS_AT_ONCE)))
                });
                let (link, relays, turns) = (self.link.clone(), self.relays.clone(), turns.clone());
                self.running
                    .spawn(async move { Ended::Blob(id, blob::fetch(&link, &relays, &turns, wanted).await) });
            }
        }
        Ok(())
    }

    fn ended(&mut self, ended: Ended) -> Result<(), LinkError> {
        match ended {
            Ended::Ephemeral => {
                self.ephemerals -= 1;
                Ok(())
            }
            Ended::Fetch(id, result) => {
                self.fetches.remove(&id);
                result
            }
            Ended::Blob(id, result) => {
                self.blobs.remove(&id);
                result
            }
            Ended::Delivery(chat, result) => {
                // A wake that came between the task's last look and its end is still in the notify.
                let woken = self
                    .deliveries
                    .remove(&chat)
                    .is_some_and(|more| more.notified().now_or_never().is_some());
                if woken {
                    self.wake(chat);
                }
                result
            }
        }
    }
}
