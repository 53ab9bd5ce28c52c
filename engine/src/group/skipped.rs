//! Keys of a group's messages that have not arrived, as the protocol reads them.

use std::cell::RefCell;

use hermes_protocol::group::{GroupSkippedChanges, GroupSkippedKey, GroupSkippedKeys, Leaf};

use super::{SenderSkippedKey, SenderSkippedRow};
use crate::{
    changes::Overlay,
    id::ChatId,
    limits::GROUP_ROWS,
    row::SecretBuf,
    rows::{ReadError, StoreResult},
    store::{Order, Range, Table, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Lends the keys of a group's skipped messages.
    pub(super) fn with_sender_skipped<T>(
        &mut self,
        chat: ChatId,
        act: impl FnOnce(&SenderSkippedRows<'_, V>) -> T,
    ) -> StoreResult<T, V> {
        let rows = SenderSkippedRows {
            view: Overlay { base: self.view, changes: self.changes },
            chat,
            failure: RefCell::new(None),
        };
        let result = act(&rows);
        match rows.failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(result),
        }
    }

    pub(super) fn apply_sender_skipped(&mut self, chat: ChatId, changes: &GroupSkippedChanges) {
        for key in &changes.put {
            let row = SenderSkippedRow(SecretBuf::new(&key.to_bytes()));
            self.put(&SenderSkippedKey(chat, key.leaf, key.iteration), &row);
        }
        for (leaf, iteration) in &changes.delete {
            self.delete::<SenderSkippedRow>(&SenderSkippedKey(chat, *leaf, *iteration));
        }
    }
}

/// Skipped keys of one group. The protocol cannot be told of a failed read, so that is kept aside.
pub(super) struct SenderSkippedRows<'a, V: View> {
    view: Overlay<'a, V>,
    chat: ChatId,
    failure: RefCell<Option<ReadError<V::Error>>>,
}

impl<V: View> SenderSkippedRows<'_, V> {
    fn checked<T: Default>(&self, result: StoreResult<T, V>) -> T {
        result.unwrap_or_else(|error| {
            *self.failure.borrow_mut() = Some(error);
            T::default()
        })
    }
}

impl<V: View> GroupSkippedKeys for SenderSkippedRows<'_, V> {
    fn message_key(&self, leaf: Leaf, iteration: u32) -> Option<GroupSkippedKey> {
        let key = SenderSkippedKey(self.chat, leaf, iteration);
        let row: Option<SenderSkippedRow> = self.checked(crate::rows::get(&self.view, &key));
        row.and_then(|row| {
            let parsed = GroupSkippedKey::from_bytes(row.0.expose()).map(Some);
            self.checked(parsed.map_err(|_| ReadError::Corrupt(Table::SenderSkipped)))
        })
    }

    fn stored(&self) -> Vec<(Leaf, u32)> {
        let range = Range::prefix(&self.chat.0);
        let rows = crate::rows::scan::<SenderSkippedRow, _>(&self.view, &range, Order::Ascending, GROUP_ROWS);
        self.checked(rows).into_iter().map(|(key, _)| (key.1, key.2)).collect()
    }
}
