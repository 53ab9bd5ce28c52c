//! Where OpenMLS keeps a group while it works on it: the rows that the call was given, and what has been written since.
//!
//! Values are in postcard, which writes bytes as bytes: what the library hands out is byte strings nearly throughout, and
//! in a format that describes itself each of their bytes is a number by itself. Nothing is written through: whoever holds a
//! storage asks it for the changes, once, and drops it otherwise.

mod provider;

use std::{borrow::Cow, cell::RefCell};

use hermes_wire::codec;
use postcard::ser_flavors::Size;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    group::{MlsRows, RowChanges},
    limits::GROUP_ROW_BYTES,
};

/// What a row is: the first byte of its key. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Which group the rows are of; ours.
    Group = 1,
    /// The seed of the leaf's signature key; ours.
    LeafKey = 2,
    JoinConfig = 3,
    Tree = 4,
    InterimTranscriptHash = 5,
    Context = 6,
    ConfirmationTag = 7,
    State = 8,
    MessageSecrets = 9,
    ResumptionPsks = 10,
    OwnLeafIndex = 11,
    EpochSecrets = 12,
    ExportTree = 13,
    OwnLeafNodes = 14,
    Proposals = 15,
    Proposal = 16,
    EpochKeyPairs = 17,
    KeyPackage = 18,
    EncryptionKeyPair = 19,
    SignatureKeyPair = 20,
    Psk = 21,
}

/// Why a row cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StorageError {
    /// Of another version of the library, or damaged.
    #[error("a row of the group's state cannot be read ({0:?})")]
    Damaged(Kind),
    /// Longer than a row may be, or of a type that has no encoding.
    #[error("a row of the group's state cannot be written ({0:?})")]
    Unwritable(Kind),
}

/// Rows, and what has become of them.
#[derive(Default)]
pub(super) struct Storage<'a> {
    before: Cow<'a, MlsRows>,
    changes: RefCell<RowChanges>,
}

impl<'a> Storage<'a> {
    pub(super) fn of(rows: &'a MlsRows) -> Self {
        Self { before: Cow::Borrowed(rows), changes: RefCell::default() }
    }

    /// What leads from the rows that were given to those that there are now.
    pub(super) fn changes(&self) -> RowChanges {
        self.real(self.changes.borrow().clone())
    }

    /// The same, without another copy of all that was written.
    pub(super) fn into_changes(self) -> RowChanges {
        self.real(self.changes.take())
    }

    /// The rows as they are.
    pub(super) fn into_rows(self) -> MlsRows {
        let changes = self.real(self.changes.take());
        let mut rows = self.before.into_owned();
        rows.apply(changes);
        rows
    }

    /// Without what changes nothing.
    fn real(&self, mut changes: RowChanges) -> RowChanges {
        changes.put.retain(|key, value| self.before.0.get(key) != Some(value));
        changes.delete.retain(|key| self.before.0.contains_key(key));
        changes
    }

    /// A value of ours, of which there is one.
    pub(super) fn put_own(&self, kind: Kind, value: &[u8; 32]) {
        self.put_bytes(vec![kind as u8], Zeroizing::new(value.to_vec()));
    }

    /// What [`Self::put_own`] put.
    pub(super) fn own(&self, kind: Kind) -> Result<Zeroizing<[u8; 32]>, StorageError> {
        self.with_bytes(&[kind as u8], |bytes| bytes.and_then(|bytes| bytes.try_into().ok()))
            .map(Zeroizing::new)
            .ok_or(StorageError::Damaged(kind))
    }

    fn get<T: DeserializeOwned>(&self, kind: Kind, key: &impl Serialize) -> Result<Option<T>, StorageError> {
        let key = row_key(kind, key)?;
        self.with_bytes(&key, |bytes| bytes.map(|bytes| decode(kind, bytes)).transpose())
    }

    fn put(
        &self,
        kind: Kind,
        key: &impl Serialize,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), StorageError> {
        self.put_bytes(row_key(kind, key)?, encode(kind, value)?);
        Ok(())
    }

    fn remove(&self, kind: Kind, key: &impl Serialize) -> Result<(), StorageError> {
        let key = row_key(kind, key)?;
        let mut changes = self.changes.borrow_mut();
        changes.put.remove(&key);
        changes.delete.insert(key);
        Ok(())
    }

    /// A row that is a list, each item encoded by itself: leaves and references, nothing secret.
    fn list(&self, kind: Kind, key: &impl Serialize) -> Result<Vec<ByteBuf>, StorageError> {
        Ok(self.get(kind, key)?.unwrap_or_default())
    }

    fn items<T: DeserializeOwned>(&self, kind: Kind, key: &impl Serialize) -> Result<Vec<T>, StorageError> {
        self.list(kind, key)?.iter().map(|item| decode(kind, item)).collect()
    }

    fn append(&self, kind: Kind, key: &impl Serialize, item: &impl Serialize) -> Result<(), StorageError> {
        let mut items = self.list(kind, key)?;
        items.push(ByteBuf::from(encode(kind, item)?.to_vec()));
        self.put(kind, key, &items)
    }

    /// For what can only be read from a format that describes itself: CBOR.
    fn put_described(
        &self,
        kind: Kind,
        key: &impl Serialize,
        value: &impl Serialize,
    ) -> Result<(), StorageError> {
        self.put_bytes(row_key(kind, key)?, codec::encode(value).into());
        Ok(())
    }

    fn described<T: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &impl Serialize,
    ) -> Result<Option<T>, StorageError> {
        let key = row_key(kind, key)?;
        self.with_bytes(&key, |bytes| {
            bytes.map(|bytes| codec::decode_tolerant(bytes, GROUP_ROW_BYTES)).transpose()
        })
        .map_err(|_| StorageError::Damaged(kind))
    }

    fn put_bytes(&self, key: Vec<u8>, value: Zeroizing<Vec<u8>>) {
        let mut changes = self.changes.borrow_mut();
        changes.delete.remove(&key);
        changes.put.insert(key, value);
    }

    fn with_bytes<T>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> T) -> T {
        let changes = self.changes.borrow();
        let before = || self.before.0.get(key).filter(|_| !changes.delete.contains(key));
        read(changes.put.get(key).or_else(before).map(|value| value.as_slice()))
    }
}

/// A row's key: what it is, and a hash of the library's key for it, which may be as long as a public key.
fn row_key(kind: Kind, key: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    let key = encode(kind, key)?;
    Ok([&[kind as u8][..], &Sha256::digest(&key)].concat())
}

/// Into a buffer of the right size: a growing one would leave copies of keys behind.
fn encode(kind: Kind, value: &(impl Serialize + ?Sized)) -> Result<Zeroizing<Vec<u8>>, StorageError> {
    let unwritable = StorageError::Unwritable(kind);
    let size = postcard::serialize_with_flavor(value, Size::default()).map_err(|_| unwritable)?;
    if size > GROUP_ROW_BYTES {
        return Err(unwritable);
    }
    let mut bytes = Zeroizing::new(vec![0; size]);
    postcard::to_slice(value, &mut bytes).map_err(|_| unwritable)?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, StorageError> {
    if bytes.len() > GROUP_ROW_BYTES {
        return Err(StorageError::Damaged(kind));
    }
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(StorageError::Damaged(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_limit_and_a_key_of_one_length() {
        let storage = Storage::default();
        let put = |length: usize| storage.put(Kind::Tree, &vec![7_u8; 2_000], &vec![0_u8; length]);
        // Two or three bytes say how many there are.
        assert_eq!(put(GROUP_ROW_BYTES), Err(StorageError::Unwritable(Kind::Tree)));
        assert_eq!(put(GROUP_ROW_BYTES - 4), Ok(()));
        assert_eq!(storage.into_rows().0.keys().map(Vec::len).collect::<Vec<_>>(), [33]);
    }

    #[test]
    fn what_is_written_and_taken_back_is_no_change() {
        let mut rows = MlsRows::default();
        let storage = Storage::of(&rows);
        storage.put(Kind::Context, &1, "first").unwrap();
        storage.put(Kind::State, &1, "gone").unwrap();
        storage.remove(Kind::State, &1).unwrap();
        assert_eq!(storage.get::<String>(Kind::State, &1), Ok(None));
        let changes = storage.changes();
        assert_eq!((changes.put.len(), changes.delete.len()), (1, 0));
        rows.apply(changes);

        let storage = Storage::of(&rows);
        assert_eq!(storage.get::<String>(Kind::Context, &1), Ok(Some("first".to_owned())));
        storage.put(Kind::Context, &1, "first").unwrap();
        assert!(storage.changes() == RowChanges::default());
        storage.remove(Kind::Context, &1).unwrap();
        assert_eq!(storage.get::<String>(Kind::Context, &1), Ok(None));
        assert_eq!(storage.changes().delete.len(), 1);
        assert!(storage.into_rows() == MlsRows::default());
    }

    #[test]
    fn a_value_of_another_type_is_damage() {
        let storage = Storage::default();
        storage.put(Kind::Context, &1, &(1_u8, 2_u8)).unwrap();
        let read = storage.get::<u8>(Kind::Context, &1);
        assert_eq!(read, Err(StorageError::Damaged(Kind::Context)), "a byte is left over");
        assert_eq!(storage.own(Kind::LeafKey).unwrap_err(), StorageError::Damaged(Kind::LeafKey));
    }
}
