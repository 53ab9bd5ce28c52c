//! The library's storage as rows: opaque keys and values that the caller keeps sealed.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

/// All rows of one group, or of one key package. Keys are at most 33 bytes; the value with the tree grows with the group
/// (about 2.5 kB per member), that with a commit whose fate is open too.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MlsRows(pub BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>);

/// What a step does to the rows of its group. No row is both put and deleted.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows that are new or differ.
    pub put: BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    /// Keys of rows that are gone.
    pub delete: BTreeSet<Vec<u8>>,
}

impl MlsRows {
    /// Carries changes out, as the caller's store does.
    pub fn apply(&mut self, changes: RowChanges) {
        for key in &changes.delete {
            self.0.remove(key);
        }
        self.0.extend(changes.put);
    }
}
