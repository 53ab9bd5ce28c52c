//! The stores, so that one test runs over both.

use hermes_relay::{
    Store,
    store::{fjall::FjallStore, memory::MemoryStore},
};

/// A place where a store can be opened again and again.
pub trait Backend {
    type Store: Store;
    fn reopen(&self, store: Option<Self::Store>) -> Self::Store;
}

pub struct InMemory;

impl Backend for InMemory {
    type Store = MemoryStore;
    fn reopen(&self, store: Option<MemoryStore>) -> MemoryStore {
        store.unwrap_or_default()
    }
}

pub struct OnDisk(pub tempfile::TempDir);

impl OnDisk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Backend for OnDisk {
    type Store = FjallStore;
    fn reopen(&self, store: Option<FjallStore>) -> FjallStore {
        drop(store);
        FjallStore::open(&self.0.path().join("store")).unwrap()
    }
}
