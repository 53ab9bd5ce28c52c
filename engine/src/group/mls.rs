//! The rows of the key agreement, and the change from one epoch to the next.

use std::{collections::BTreeMap, ops::ControlFlow};

use hermes_protocol::group::{Epoch, EpochKeys, EpochSecrets, Member, MlsRows, RowChanges};
use hermes_wire::channel::{Roster, RosterEntry, RosterError, RosterHash};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::{
    GroupRecord, KeyPackageRow, MemberKey, MemberRecord, SenderChainRow, SenderSkippedKey, SenderSkippedRow,
};
use crate::{
    id::ChatId,
    limits::GROUP_ROWS,
    row::SecretBuf,
    rows::{Key, ReadError, StoreResult},
    store::{Order, Range, Table, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    pub(super) fn mls_rows(&self, chat: ChatId) -> StoreResult<MlsRows, V> {
        mls_rows(&self.overlay(), chat)
    }

    pub(super) fn apply_mls(&mut self, chat: ChatId, changes: RowChanges) {
        let row = |key: &[u8]| [&chat.0[..], key].concat();
        for key in &changes.delete {
            self.changes.delete(Table::Mls, row(key));
        }
        for (key, value) in changes.put {
            self.changes.put(Table::Mls, row(&key), value.into());
        }
    }

    /// What every message of the current epoch needs.
    pub(super) fn epoch_keys(&self, group: &GroupRecord) -> StoreResult<EpochKeys, V> {
        EpochKeys::from_bytes(group.keys.expose()).map_err(|_| ReadError::Corrupt(Table::Group))
    }

    /// The next epoch begins: nothing of the one before stays.
    pub(super) fn begin_epoch(
        &mut self,
        chat: ChatId,
        group: &mut GroupRecord,
        epoch: &Epoch,
        secrets: &EpochSecrets,
    ) -> StoreResult<(), V> {
        self.forget_epoch(chat)?;
        for (leaf, chain) in &secrets.chains {
            self.put(&MemberKey(chat, *leaf), &SenderChainRow(SecretBuf::new(&chain.to_bytes())));
        }
        self.put_members(chat, &epoch.members)?;
        group.confirming = self.confirming(epoch)?;
        group.begun = self.now;
        group.place_to_fill = epoch.place_to_fill;
        let before = epoch.members.range(..epoch.me).count();
        group.place_in_tree = u32::try_from(before).unwrap_or(u32::MAX);
        group.keys = SecretBuf::new(&secrets.keys.to_bytes());
        group.epoch = epoch.number;
        group.overtaken = None;
        group.context = epoch.context.clone();
        group.members = u32::try_from(epoch.members.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Deletes the keys of the current epoch.
    pub(super) fn forget_epoch(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let rows = Range::prefix(&chat.0);
        for (key, _) in self.scan::<SenderChainRow>(&rows, GROUP_ROWS)? {
            self.delete::<SenderChainRow>(&key);
        }
        for (key, _) in self.scan::<SenderSkippedRow>(&rows, GROUP_ROWS)? {
            let SenderSkippedKey(..) = key;
            self.delete::<SenderSkippedRow>(&key);
        }
        Ok(())
    }

    pub(super) fn put_members(
        &mut self,
        chat: ChatId,
        members: &BTreeMap<hermes_protocol::group::Leaf, Member>,
    ) -> StoreResult<(), V> {
        let old: BTreeMap<_, _> = self
            .scan::<MemberRecord>(&Range::prefix(&chat.0), GROUP_ROWS)?
            .into_iter()
            .map(|(MemberKey(_, leaf), member)| (leaf, member))
            .collect();
        let known: BTreeMap<_, _> = old.values().map(|member| (member.fingerprint, member.since)).collect();
        for leaf in old.keys().filter(|leaf| !members.contains_key(*leaf)) {
            self.delete::<MemberRecord>(&MemberKey(chat, *leaf));
        }
        for (leaf, member) in members {
            let fingerprint = member.identity.fingerprint();
            let since = known.get(&fingerprint).copied().unwrap_or(self.now);
            let row = MemberRecord { fingerprint, since, profile_name: member.card.name.clone() };
            if old.get(leaf) != Some(&row) {
                self.put(&MemberKey(chat, *leaf), &row);
            }
        }
        Ok(())
    }

    /// Puts these in the place of whatever rows there are.
    pub(super) fn replace_mls(&mut self, chat: ChatId, rows: MlsRows) -> StoreResult<(), V> {
        let delete = self.mls_rows(chat)?.0.into_keys().filter(|key| !rows.0.contains_key(key)).collect();
        self.apply_mls(chat, RowChanges { put: rows.0, delete });
        Ok(())
    }

    /// Deletes everything of a group's key agreement.
    pub(super) fn forget_agreement(&mut self, chat: ChatId) -> StoreResult<(), V> {
        self.forget_epoch(chat)?;
        self.forget_frozen_epoch(chat)?;
        self.replace_mls(chat, MlsRows::default())?;
        self.delete::<super::NextRow>(&super::NextKey(chat));
        Ok(())
    }
}

/// The library's rows of a group.
pub(crate) fn mls_rows<V: View>(view: &V, chat: ChatId) -> StoreResult<MlsRows, V> {
    let mut rows = BTreeMap::new();
    let prefix = chat.to_bytes();
    view.scan(Table::Mls, &Range::prefix(&prefix), Order::Ascending, &mut |key, value| {
        rows.insert(key.get(prefix.len()..).unwrap_or_default().to_vec(), value.into());
        ControlFlow::Continue(())
    })
    .map_err(ReadError::Store)?;
    Ok(MlsRows(rows))
}

impl KeyPackageRow {
    pub(super) fn new(rows: &MlsRows) -> Self {
        let rows = rows.0.iter().map(|(key, value)| (ByteBuf::from(key.clone()), SecretBuf::new(value)));
        Self(rows.collect())
    }

    pub(super) fn rows(&self) -> MlsRows {
        let rows = self.0.iter().map(|(key, value)| (key.to_vec(), Zeroizing::new(value.expose().to_vec())));
        MlsRows(rows.collect())
    }
}

/// Whether the roster that the relay has is this epoch's.
pub(super) fn is_copied_to(epoch: &Epoch, attested: RosterHash) -> bool {
    roster(epoch).map(|roster| roster.hash(epoch.context.channel)) == Ok(attested)
}

/// What the relay needs of these members.
pub(super) fn roster(epoch: &Epoch) -> Result<Roster, RosterError> {
    Roster::new(epoch.members.iter().map(|(leaf, member)| {
        let card = &member.card;
        let entry =
            RosterEntry { mailbox: card.mailbox, token: card.token.clone(), key: card.copy_key.clone() };
        (leaf.0, entry)
    }))
}
