//! Which owners are connected at this moment, and what they should hear. In memory only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hermes_wire::{InstanceId, MailboxId, mailbox::PrekeyStock};
use tokio::sync::watch;

use crate::relay::Outcome;

/// What has happened to a mailbox since its owner connected. It coalesces: a slow owner sees the newest state.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    /// Groups of deposits so far.
    pub(crate) deposits: u64,
    /// How often prekeys were used up so far.
    pub(crate) fetches: u64,
    /// What was left after the last of them.
    pub(crate) stock: Vec<PrekeyStock>,
    /// The installation that took over.
    pub(crate) superseded: Option<InstanceId>,
}

/// The connected owners; at most as many as there are connections.
#[derive(Debug, Default)]
pub(crate) struct Connected {
    owners: Mutex<BTreeMap<MailboxId, watch::Sender<News>>>,
}

/// An owner's place among the connected; dropping it gives the place up.
pub(crate) struct Place {
    mailbox: MailboxId,
    connected: Arc<Connected>,
    pub(crate) news: watch::Receiver<News>,
}

impl Connected {
    /// Takes the place of a mailbox's owner. Who had it hears that it was superseded.
    pub(crate) fn join(self: &Arc<Self>, mailbox: MailboxId, instance: InstanceId) -> Place {
        let (sender, news) = watch::channel(News::default());
        if let Some(older) = self.owners().insert(mailbox, sender) {
            older.send_modify(|news| news.superseded = Some(instance));
        }
        Place { mailbox, connected: self.clone(), news }
    }

    /// Tells a mailbox's owner, if it is connected, what a depositor's request came to.
    pub(crate) fn tell(&self, mailbox: MailboxId, outcome: &Outcome) {
        let owners = self.owners();
        let Some(owner) = owners.get(&mailbox) else { return };
        match outcome {
            Outcome::Deposited(answers) if answers.iter().any(|(_, answer)| answer.is_ok()) => {
                owner.send_modify(|news| news.deposits += 1);
            }
            Outcome::Bundle { stock: Some(stock), .. } => owner.send_modify(|news| {
                news.fetches += 1;
                news.stock.clone_from(stock);
            }),
            _ => {}
        }
    }

    fn owners(&self) -> MutexGuard<'_, BTreeMap<MailboxId, watch::Sender<News>>> {
        // A panic elsewhere leaves the map whole: every change to it is one call.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut owners = self.connected.owners();
        // A newer connection may sit here already.
        if owners.get(&self.mailbox).is_some_and(|sender| sender.subscribe().same_channel(&self.news)) {
            owners.remove(&self.mailbox);
        }
    }
}
