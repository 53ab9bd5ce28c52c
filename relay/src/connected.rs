//! Which owners are connected at this moment, and what they should hear. In memory only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use hermes_wire::{
    InstanceId, MailboxId, RunId, Sequence,
    mailbox::{Passing, PrekeyStock},
};
use tokio::sync::{mpsc, watch};

use crate::{
    fresh::Fresh,
    limits::{EPHEMERAL_WAITING, HEARD},
    relay::{Committed, Outcome},
};

/// What has happened to a mailbox since its owner connected. It coalesces: a slow owner sees the newest state.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    /// The highest sequence committed since.
    pub(crate) head: Sequence,
    /// How often prekeys were used up so far.
    pub(crate) fetches: u64,
    /// What was left after the last of them.
    pub(crate) stock: Vec<PrekeyStock>,
    /// The installation that took over.
    pub(crate) superseded: Option<InstanceId>,
    /// The operator closed the mailbox.
    pub(crate) closed: bool,
}

/// The connected owners; at most as many as there are connections.
#[derive(Debug, Default)]
pub(crate) struct Connected {
    owners: Mutex<BTreeMap<MailboxId, Owner>>,
}

/// Which connection of an owner this is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The number of the connection, in the order in which they were accepted.
    pub(crate) accepted: u64,
    /// Which installation it is of.
    pub(crate) instance: InstanceId,
    /// Which run of its daemon.
    pub(crate) run: RunId,
}

/// A connected owner.
#[derive(Debug)]
struct Owner {
    news: watch::Sender<News>,
    fresh: Arc<Mutex<Fresh>>,
    passing: mpsc::Sender<Passing>,
    entry: Entry,
    /// When it last said something.
    heard: Arc<Mutex<Instant>>,
}

/// An owner among the connected, as long as this lives.
pub(crate) struct Joined {
    mailbox: MailboxId,
    connected: Arc<Connected>,
    pub(crate) news: watch::Receiver<News>,
    /// What was committed last.
    pub(crate) fresh: Arc<Mutex<Fresh>>,
    /// Ephemeral envelopes, until the delivery takes this.
    pub(crate) passing: Option<mpsc::Receiver<Passing>>,
    /// Whether it was taken from another run of the owner's daemon that was alive.
    pub(crate) replaced: bool,
    heard: Arc<Mutex<Instant>>,
}

impl Connected {
    /// Takes the place of a mailbox's owner. Who had it hears that it was superseded.
    ///
    /// A run has one connection at a time. One that it gave up, whose registration took long to come here, is nothing
    /// beside the newer one that has the place: it gets none, and the newer one hears of no other copy.
    pub(crate) fn join(self: &Arc<Self>, mailbox: MailboxId, entry: Entry) -> Option<Joined> {
        let (sender, news) = watch::channel(News::default());
        let (passed, passing) = mpsc::channel(EPHEMERAL_WAITING);
        let mut owners = self.owners();
        let older = owners.get(&mailbox);
        if older.is_some_and(|older| older.entry.run == entry.run && older.entry.accepted > entry.accepted) {
            return None;
        }
        let fresh = Arc::<Mutex<Fresh>>::default();
        let heard = Arc::new(Mutex::new(Instant::now()));
        let owner =
            Owner { news: sender, fresh: fresh.clone(), passing: passed, entry, heard: heard.clone() };
        let replaced = owners.insert(mailbox, owner).is_some_and(|older| {
            older.news.send_modify(|news| news.superseded = Some(entry.instance));
            let heard = *older.heard.lock().unwrap_or_else(PoisonError::into_inner);
            older.entry.run != entry.run && heard.elapsed() < HEARD
        });
        Some(Joined {
            mailbox,
            connected: self.clone(),
            news,
            fresh,
            passing: Some(passing),
            replaced,
            heard,
        })
    }

    /// Tells a mailbox's owner, if it is connected, what a depositor's request came to.
    pub(crate) fn tell(&self, mailbox: MailboxId, outcome: &Outcome) {
        let owners = self.owners();
        let Some(owner) = owners.get(&mailbox) else { return };
        match outcome {
            // An owner that does not keep up misses it.
            Outcome::Passed(passing) => std::mem::drop(owner.passing.try_send(passing.clone())),
            Outcome::Bundle { stock: Some(stock), .. } => owner.news.send_modify(|news| {
                news.fetches += 1;
                news.stock.clone_from(stock);
            }),
            _ => {}
        }
    }

    /// Tells the owners of mailboxes, as far as they are connected, what came in.
    pub(crate) fn committed(&self, envelopes: Vec<Committed>) {
        let owners = self.owners();
        for Committed { mailbox, sequence, envelope } in envelopes {
            let Some(owner) = owners.get(&mailbox) else { continue };
            if let Some(envelope) = envelope {
                owner.fresh.lock().unwrap_or_else(PoisonError::into_inner).add(envelope);
            }
            owner.news.send_modify(|news| news.head = news.head.max(sequence));
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.owners().len()
    }

    /// Whether a mailbox's owner is connected.
    pub(crate) fn has(&self, mailbox: MailboxId) -> bool {
        self.owners().contains_key(&mailbox)
    }

    /// Ends the connection of a mailbox's owner, if it is connected.
    pub(crate) fn cut(&self, mailbox: MailboxId) {
        if let Some(owner) = self.owners().get(&mailbox) {
            owner.news.send_modify(|news| news.closed = true);
        }
    }

    fn owners(&self) -> MutexGuard<'_, BTreeMap<MailboxId, Owner>> {
        // A panic elsewhere leaves the map whole: every change to it is one call.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Joined {
    /// Notes that the owner has said something.
    pub(crate) fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A newer connection may have the place already.
    fn is_of(&self, owner: &Owner) -> bool {
        owner.news.subscribe().same_channel(&self.news)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut owners = self.connected.owners();
        if owners.get(&self.mailbox).is_some_and(|owner| self.is_of(owner)) {
            owners.remove(&self.mailbox);
        }
    }
}
