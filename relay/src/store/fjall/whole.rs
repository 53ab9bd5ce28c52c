//! The store as a whole: every row of one moment, in order, and an empty store that is filled with rows.

use std::{collections::BTreeMap, sync::PoisonError};

use fjall::{PersistMode, Readable, Snapshot};
use hermes_wire::{
    BlobId, MailboxId, Timestamp,
    mailbox::Delivered,
    prekey::{PrekeyEntry, SealedBundle},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use super::{FjallStore, Table};
use crate::{
    limits::{FINDINGS, RESTORED_ROWS},
    store::{
        Blob, Channel, Contact, Mailbox, Posted, Receipt, Remembered, Reminder, StoreError, TokenRow, Usage,
    },
};

/// Bytes of a mailbox id, with which the keys of what belongs to one begin.
const MAILBOX_BYTES: usize = 32;

/// A row as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRow {
    /// The table's name.
    pub table: String,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

impl FjallStore {
    /// Shows every row of one moment, table after table, each in the order of its keys, while commits go on.
    pub fn each_row<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&'static str, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let snapshot = self.whole_snapshot();
        for table in self.tables() {
            for guard in snapshot.range::<Vec<u8>, _>(&table.rows, ..) {
                let (key, value) = guard.into_inner().map_err(StoreError::from)?;
                visit(table.name, &key, &value)?;
            }
        }
        Ok(())
    }

    /// A snapshot that has all of each batch or nothing: what is applied later has higher numbers than it shows.
    pub(super) fn whole_snapshot(&self) -> Snapshot {
        let _between = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        self.database.snapshot()
    }

    /// Puts rows into a store that is to be restored. Durable when it returns.
    pub fn fill<E: From<StoreError>>(
        &self,
        rows: impl IntoIterator<Item = Result<RawRow, E>>,
    ) -> Result<(), E> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
            for row in rows.by_ref().take(RESTORED_ROWS) {
                let row = row?;
                let tables = self.tables();
                let table = tables.iter().find(|table| table.name == row.table);
                let table =
                    table.ok_or_else(|| StoreError::Backend(format!("there is no table `{}`", row.table)))?;
                check(table, &row.value)?;
                // The library panics at one.
                if row.key.is_empty() {
                    return Err(StoreError::Damaged { table: table.name }.into());
                }
                batch.insert(&table.rows, row.key, row.value);
            }
            batch.commit().map_err(StoreError::from)?;
        }
        Ok(())
    }

    /// The blobs of one owner, for which all blobs are looked at.
    pub fn blobs_of(&self, owner: MailboxId) -> Result<Vec<BlobId>, StoreError> {
        let mut found = Vec::new();
        for guard in self.blobs.range(..) {
            let (key, row) = guard.into_inner()?;
            if self.blobs.decode::<Blob>(&row)?.owner == owner {
                let id = key.as_ref().try_into().map_err(|_| StoreError::Damaged { table: "blobs" })?;
                found.push(BlobId(id));
            }
        }
        Ok(found)
    }

    /// Bytes that the store takes up on the disk.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.database.disk_space()?)
    }

    /// All tables but the one that says what the store is.
    fn tables(&self) -> [&Table; 15] {
        [
            &self.mailboxes,
            &self.envelopes,
            &self.receipts,
            &self.contacts,
            &self.fetches,
            &self.prekeys,
            &self.tokens,
            &self.reminders,
            &self.channels,
            &self.rosters,
            &self.posts,
            &self.remembered,
            &self.blobs,
            &self.blob_parts,
            &self.closed,
        ]
    }
}

/// Whether a value is a row of its table.
pub(crate) fn check(table: &Table, value: &[u8]) -> Result<(), StoreError> {
    match table.name {
        "mailboxes" => is::<Mailbox>(table, value),
        "envelopes" => is::<Delivered>(table, value),
        "receipts" => is::<Receipt>(table, value),
        "contacts" => is::<Contact>(table, value),
        "fetches" => is::<SealedBundle>(table, value),
        "prekeys" => is::<PrekeyEntry>(table, value),
        "tokens" => is::<TokenRow>(table, value),
        "reminders" => is::<(Reminder, Vec<hermes_wire::EnvelopeId>)>(table, value),
        "channels" => is::<Channel>(table, value),
        "rosters" | "blob_parts" => is::<ByteBuf>(table, value),
        "posts" => is::<Posted>(table, value),
        "remembered" => is::<Remembered>(table, value),
        "blobs" => is::<Blob>(table, value),
        "closed" => is::<Timestamp>(table, value),
        name => Err(StoreError::Damaged { table: name }),
    }
}

fn is<T: DeserializeOwned>(table: &Table, value: &[u8]) -> Result<(), StoreError> {
    table.decode::<T>(value).map(drop)
}

/// What a whole store was found to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Sentences about what does not fit, at most [`FINDINGS`]. Empty: the store is whole.
    pub findings: Vec<String>,
}

impl FjallStore {
    /// Reads every row, and compares what mailboxes say they hold with what is there. For 100,000 mailboxes it takes
    /// some tens of MB of memory.
    pub fn verify(&self) -> Result<Inventory, StoreError> {
        let mut found = Found::default();
        self.each_row(|table, key, value| {
            found.see(self, table, key, value);
            Ok::<_, StoreError>(())
        })?;
        Ok(found.compare())
    }
}

/// What is seen on the way through a store.
#[derive(Default)]
struct Found {
    inventory: Inventory,
    said: BTreeMap<Vec<u8>, (Usage, u32)>,
    held: BTreeMap<Vec<u8>, (Usage, u32)>,
}

impl Found {
    fn see(&mut self, store: &FjallStore, table: &'static str, key: &[u8], value: &[u8]) {
        *self.inventory.rows.entry(table.to_owned()).or_default() += 1;
        let owner = key.get(..MAILBOX_BYTES).unwrap_or_default().to_vec();
        let seen = match table {
            "mailboxes" => store.mailboxes.decode::<Mailbox>(value).map(|row| {
                self.said.insert(owner, (row.stored, row.stock.iter().sum()));
            }),
            "envelopes" => store.envelopes.decode::<Delivered>(value).map(|row| {
                let (usage, _) = self.held.entry(owner).or_default();
                usage.envelopes += 1;
                usage.bytes += row.body.len() as u64;
            }),
            "prekeys" => store.prekeys.decode::<PrekeyEntry>(value).map(|_| {
                self.held.entry(owner).or_default().1 += 1;
            }),
            name => match store.tables().into_iter().find(|table| table.name == name) {
                Some(table) => check(table, value),
                None => Err(StoreError::Damaged { table }),
            },
        };
        if let Err(error) = seen {
            self.find(error.to_string());
        }
    }

    fn compare(mut self) -> Inventory {
        let (said, held) = (std::mem::take(&mut self.said), std::mem::take(&mut self.held));
        for (owner, said) in &said {
            let held = held.get(owner).copied().unwrap_or_default();
            if *said != held {
                self.find(format!(
                    "a mailbox says that it holds {}, and holds {}",
                    words(*said),
                    words(held)
                ));
            }
        }
        for _ in held.keys().filter(|owner| !said.contains_key(*owner)) {
            self.find("rows belong to a mailbox that is not there".to_owned());
        }
        self.inventory
    }

    fn find(&mut self, sentence: String) {
        if self.inventory.findings.len() < FINDINGS {
            self.inventory.findings.push(sentence);
        }
    }
}

fn words((usage, prekeys): (Usage, u32)) -> String {
    format!("{} envelopes of {} bytes and {prekeys} prekeys", usage.envelopes, usage.bytes)
}
