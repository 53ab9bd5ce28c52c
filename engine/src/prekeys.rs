//! Prekeys: made, uploaded, refilled. Ids are persisted before a relay sees them and never given twice.

use hermes_protocol::prekey::PrekeySecret;
use hermes_wire::{
    Sequence, Timestamp,
    mailbox::PrekeyStock,
    prekey::{PrekeyId, PrekeyKind},
};

use crate::{
    effect::Effect,
    limits::{
        ONE_TIME_PREKEYS, ONE_TIME_PREKEYS_LOW, PREKEY_SECRETS, PREKEY_SECRETS_ALL, PREKEY_VALIDITY,
        QUERY_ROWS, SWEEP_ROWS,
    },
    row::{PrekeyRecord, SecretBuf},
    rows::{Key, StoreResult, UploadRow},
    store::{Range, View},
    turn::Turn,
};

/// A relay may ask to skip this many ids, as after its own loss of data; a larger jump would burn the number space.
const PREKEY_ID_JUMP: u64 = 1 << 32;

impl<V: View> Turn<'_, V> {
    /// The relay has opened the mailbox.
    pub(crate) fn registered(
        &mut self,
        next: PrekeyId,
        stock: &[PrekeyStock],
        relay_time: Timestamp,
        head: Sequence,
    ) -> StoreResult<(), V> {
        // A relay restored from an old copy numbers anew; what it repeats is a duplicate to the ratchet.
        self.counters.cursor = self.counters.cursor.min(head);
        let ours = self.counters.next_prekey;
        let mut stock = stock;
        let pending = self.scan::<UploadRow>(&Range::all(), 1)?.pop();
        let confirmed_below = pending.map_or(ours, |(id, _)| id);
        if next > ours && next.0.saturating_sub(ours.0) <= PREKEY_ID_JUMP {
            // This store went back: nobody has the secrets of what it uploaded meanwhile.
            self.counters.next_prekey = next;
            self.counters.prekey_floor = next;
            stock = &[];
        }
        // What the relay numbers past, it has: its answer to the upload was lost.
        self.mark_stored(PrekeyId(next.0.saturating_sub(1)))?;
        // The relay went back: it gives out keys that were replaced long ago.
        if next < confirmed_below {
            self.replace_all_prekeys()?;
        }
        self.note_given_out(stock)?;
        self.refill_prekeys(stock)?;
        self.note_registration()?;
        self.counters.head = head;
        self.note_drained(relay_time);
        self.note_head_for_groups(head, None)?;
        self.keep_prekeys_fresh()
    }

    /// The relay has these durably.
    pub(crate) fn prekeys_stored(&mut self, through: PrekeyId) -> StoreResult<(), V> {
        self.mark_stored(through)?;
        self.note_registration()
    }

    /// The account counts as registered once strangers can find its keys: an invite made earlier would lead nowhere.
    fn note_registration(&mut self) -> StoreResult<(), V> {
        if !self.counters.registered {
            self.counters.registered = self.scan::<UploadRow>(&Range::all(), 1)?.is_empty();
        }
        Ok(())
    }

    fn mark_stored(&mut self, through: PrekeyId) -> StoreResult<(), V> {
        let stored = Range { from: Vec::new(), to: Some(PrekeyId(through.0.saturating_add(1)).to_bytes()) };
        for (id, _) in self.scan::<UploadRow>(&stored, QUERY_ROWS)? {
            self.delete::<UploadRow>(&id);
        }
        if !self.scan::<UploadRow>(&Range::all(), 1)?.is_empty() {
            self.effects.push(Effect::Prekeys);
        }
        Ok(())
    }

    /// One-time keys that a relay no longer has were given out, the oldest first. They are used soon or never, and until then
    /// must neither live as long as an unused key nor stand in the way of new ones.
    fn note_given_out(&mut self, stock: &[PrekeyStock]) -> StoreResult<(), V> {
        let under_way = self.scan::<UploadRow>(&Range::all(), QUERY_ROWS)?;
        let first_under_way = under_way.first().map(|(id, _)| *id);
        let kept = self.scan::<PrekeyRecord>(&Range::all(), SWEEP_ROWS)?;
        for kind in PrekeyKind::ALL.into_iter().filter(|kind| kind.is_one_time()) {
            let left = stock.iter().find(|stock| stock.kind == kind).map_or(0, |stock| stock.count);
            let uploaded = |(id, record): &&(PrekeyId, PrekeyRecord)| {
                record.kind == kind
                    && record.replaced.is_none()
                    && first_under_way.is_none_or(|first| *id < first)
            };
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            for (id, record) in kept.iter().rev().filter(uploaded).skip(left) {
                self.put(id, &PrekeyRecord { replaced: Some(self.now), ..record.clone() });
            }
        }
        Ok(())
    }

    /// Makes what the relay lacks, counting what is on its way there.
    pub(crate) fn refill_prekeys(&mut self, stock: &[PrekeyStock]) -> StoreResult<(), V> {
        let at_relay = |kind| stock.iter().find(|s| s.kind == kind).map_or(0, |s| s.count);
        // What every bundle needs goes up first.
        let mut kinds = PrekeyKind::ALL;
        kinds.sort_by_key(|kind| kind.is_one_time());
        let low: Vec<_> = kinds.into_iter().filter(|k| at_relay(*k) < floor(*k)).collect();
        if low.is_empty() {
            return Ok(());
        }
        let under_way = self.scan::<UploadRow>(&Range::all(), QUERY_ROWS)?;
        let kept = self.scan::<PrekeyRecord>(&Range::all(), SWEEP_ROWS)?;
        for kind in low {
            let of_kind = || kept.iter().filter(|(_, record)| record.kind == kind);
            let waiting_for_use = of_kind().filter(|(_, record)| record.replaced.is_none()).count();
            if waiting_for_use >= PREKEY_SECRETS || of_kind().count() >= PREKEY_SECRETS_ALL {
                continue;
            }
            let waiting = under_way.iter().filter(|(_, UploadRow(entry))| entry.kind == kind).count();
            let have = at_relay(kind).saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX));
            if have < floor(kind) {
                for _ in have..ceiling(kind) {
                    self.make_prekey(kind);
                }
            }
        }
        self.effects.push(Effect::Prekeys);
        Ok(())
    }

    pub(crate) fn make_prekey(&mut self, kind: PrekeyKind) {
        let id = self.counters.next_prekey;
        self.counters.next_prekey = PrekeyId(id.0.saturating_add(1));
        let secret = PrekeySecret::generate(kind, id, self.rng);
        let expiry = self.now.after(PREKEY_VALIDITY);
        let entry = secret.publish(&self.account.identity, expiry, &self.account.bundle_key, self.rng);
        let record = PrekeyRecord {
            kind,
            secret: SecretBuf::new(&secret.to_bytes()),
            created: self.now,
            replaced: None,
        };
        self.put(&id, &record);
        self.put(&id, &UploadRow(entry));
    }
}

/// Below this many at the relay, more are made.
fn floor(kind: PrekeyKind) -> u32 {
    if kind.is_one_time() { ONE_TIME_PREKEYS_LOW } else { 1 }
}

/// This many are made up to.
fn ceiling(kind: PrekeyKind) -> u32 {
    if kind.is_one_time() { ONE_TIME_PREKEYS } else { 1 }
}
