//! How commits wake the link. Wakes are hints: what there is to do stands in the store.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hermes_engine::ChatId;
use tokio::sync::{Notify, watch};

/// What the link has not looked at since the store changed. Bounded by the number of contacts.
#[derive(Default)]
pub(crate) struct Wakes {
    marked: Mutex<Marked>,
    /// Someone should call [`Wakes::take`].
    drops: Notify,
    /// There are prekeys to upload.
    prekeys: Notify,
    /// There are blobs to upload.
    uploads: Notify,
    /// A contact has none of our key packages.
    key_packages: Notify,
    /// The relay is to be told of revocations.
    revocations: Notify,
    /// Something is to be done about the store claim.
    claim: Notify,
    /// Rises when something is to be done about mailboxes at other relays; each of their connections looks by itself.
    guests: watch::Sender<u64>,
}

/// Chats with something to send, chats that need a bundle, and whether there are blobs to fetch.
#[derive(Default)]
pub(crate) struct Marked {
    pub(crate) outbox: BTreeSet<ChatId>,
    pub(crate) fetch: BTreeSet<ChatId>,
    pub(crate) blobs: bool,
}

impl Wakes {
    pub(super) fn outbox(&self, chat: ChatId) {
        self.lock().outbox.insert(chat);
        self.drops.notify_one();
    }

    pub(super) fn fetch(&self, chat: ChatId) {
        self.lock().fetch.insert(chat);
        self.drops.notify_one();
    }

    pub(super) fn prekeys(&self) {
        self.prekeys.notify_one();
    }

    pub(super) fn blobs(&self) {
        self.lock().blobs = true;
        self.drops.notify_one();
        self.uploads.notify_one();
        self.guests();
    }

    pub(super) fn key_packages(&self) {
        self.key_packages.notify_one();
    }

    pub(super) fn revocations(&self) {
        self.revocations.notify_one();
        self.guests();
    }

    pub(super) fn claim(&self) {
        self.claim.notify_one();
    }

    pub(super) fn guests(&self) {
        self.guests.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes when something is to be done about mailboxes at other relays.
    pub(crate) fn guests_wanted(&self) -> watch::Receiver<u64> {
        self.guests.subscribe()
    }

    /// Waits until there is something to take. Cancel-safe.
    pub(crate) async fn marked(&self) {
        self.drops.notified().await;
    }

    /// Takes all marks.
    pub(crate) fn take(&self) -> Marked {
        mem::take(&mut *self.lock())
    }

    /// Waits until there are prekeys to upload. Cancel-safe.
    pub(crate) async fn prekeys_wanted(&self) {
        self.prekeys.notified().await;
    }

    /// Waits until there are blobs to upload. Cancel-safe.
    pub(crate) async fn uploads_wanted(&self) {
        self.uploads.notified().await;
    }

    /// Waits until a contact should be given key packages. Cancel-safe.
    pub(crate) async fn key_packages_wanted(&self) {
        self.key_packages.notified().await;
    }

    /// Waits until the relay is to be told of revocations. Cancel-safe.
    pub(crate) async fn revocations_wanted(&self) {
        self.revocations.notified().await;
    }

    /// Waits until something is to be done about the store claim. Cancel-safe.
    pub(crate) async fn claim_wanted(&self) {
        self.claim.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Marked> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
