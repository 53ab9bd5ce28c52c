//! What time takes away: prekeys that were replaced, and everything that only they kept alive.
//!
//! A prekey secret that lies around opens every first message recorded for it, so it has to die; one that dies early
//! loses first messages still on their way. Depositors give up after 6 days and relays keep an envelope for 30, so 40
//! days after a key was replaced nothing can arrive for it, once the mailbox has been emptied after that. A clock that
//! jumps must delete nothing: time counts only while the own clock and the relay's agree.

use std::time::Duration;

use hermes_protocol::ratchet::{SessionId, SkippedChain, SkippedKey};
use hermes_wire::{
    Timestamp,
    prekey::{PrekeyId, PrekeyKind},
};

use crate::{
    limits::{
        CLOCK_DIFFERENCE, CONTACTS, PREKEY_RETENTION, PREKEY_ROTATION, PREKEY_SECRETS, PREKEY_VALIDITY,
        RETIRED_LIFETIME, SWEEP_ROWS,
    },
    row::{ContactRecord, PrekeyRecord, ReplayRecord, SessionRecord, Standing},
    rows::{SkippedChainRow, SkippedKeyRow, StoreResult},
    store::{Range, View},
    turn::Turn,
};

/// Kinds that a relay gives out again and again, and that are therefore replaced by time.
const ROTATED: [PrekeyKind; 3] = [PrekeyKind::Signed, PrekeyKind::SignedFf, PrekeyKind::LastResortKem];

impl<V: View> Turn<'_, V> {
    /// Notes that the mailbox is empty, as far as the last connection told. `relay_time` was read just now: it comes
    /// with the evidence, so that a clock that has jumped since an earlier comparison deletes nothing.
    pub(crate) fn note_drained(&mut self, relay_time: Timestamp) {
        let apart = self.now.since(relay_time).max(relay_time.since(self.now));
        if apart <= CLOCK_DIFFERENCE && self.counters.cursor >= self.counters.head {
            self.counters.drained = self.now;
        }
    }

    /// Replaces what is due and deletes what is over.
    pub(crate) fn keep_prekeys_fresh(&mut self) -> StoreResult<(), V> {
        if !self.counters.registered {
            return Ok(());
        }
        let prekeys = self.scan::<PrekeyRecord>(&Range::all(), SWEEP_ROWS)?;
        for kind in ROTATED {
            let mut newest_first = prekeys.iter().rev().filter(|(_, record)| record.kind == kind);
            if let Some((id, record)) = newest_first.next()
                && self.is_due(record.created)
            {
                self.replace_prekey(*id, record);
            }
            // A relay that had lost its keys was given new ones beside these, which would live for ever.
            for (id, record) in newest_first.filter(|(_, record)| record.replaced.is_none()) {
                self.note_replaced(*id, record);
            }
        }
        let over: Vec<_> = prekeys.iter().filter(|(_, r)| self.is_over(r)).map(|(id, _)| *id).collect();
        for id in &over {
            self.delete::<PrekeyRecord>(id);
        }
        if !over.is_empty() {
            self.forget_replays(&over)?;
        }
        self.drop_expired_skipped()?;
        self.drop_expired_sessions()
    }

    /// A key from the future was made while the clock was wrong.
    fn is_due(&self, created: Timestamp) -> bool {
        self.now.since(created) >= PREKEY_ROTATION || created.since(self.now) > CLOCK_DIFFERENCE
    }

    /// Replaces what a relay gives out again and again, as far as another secret may be kept.
    pub(crate) fn replace_all_prekeys(&mut self) -> StoreResult<(), V> {
        let prekeys = self.scan::<PrekeyRecord>(&Range::all(), SWEEP_ROWS)?;
        for kind in ROTATED {
            let same: Vec<_> = prekeys.iter().filter(|(_, record)| record.kind == kind).collect();
            if let Some((id, record)) = same.last()
                && same.len() < PREKEY_SECRETS
            {
                self.replace_prekey(*id, record);
            }
        }
        Ok(())
    }

    fn note_replaced(&mut self, id: PrekeyId, record: &PrekeyRecord) {
        self.put(&id, &PrekeyRecord { replaced: Some(self.now), ..record.clone() });
    }

    fn replace_prekey(&mut self, id: PrekeyId, record: &PrekeyRecord) {
        self.note_replaced(id, record);
        self.make_prekey(record.kind);
        self.effects.push(crate::Effect::Prekeys);
    }

    /// Whether nothing can arrive for the key any more: the mailbox was emptied after its last day.
    fn is_over(&self, record: &PrekeyRecord) -> bool {
        let last_day = match record.replaced {
            Some(replaced) => replaced.after(PREKEY_RETENTION),
            // A one-time key that nobody used, or that was given to somebody who never wrote.
            None if record.kind.is_one_time() => record.created.after(PREKEY_VALIDITY + PREKEY_RETENTION),
            None => return false,
        };
        self.counters.drained > last_day
    }

    /// A handshake can be replayed as long as its keys exist, and is remembered as long; one of a request for as long as
    /// that waits, because every message of it repeats the handshake.
    fn forget_replays(&mut self, gone: &[PrekeyId]) -> StoreResult<(), V> {
        let requests = self.requests()?;
        let waits =
            |session: &SessionId| requests.iter().any(|(_, request)| request.next.has_session(session));
        for (replay, record) in self.scan::<ReplayRecord>(&Range::all(), SWEEP_ROWS)? {
            let over = gone.contains(&record.signed) || gone.contains(&record.kem);
            if over && !waits(&record.session) {
                self.delete::<ReplayRecord>(&replay);
            }
        }
        Ok(())
    }

    /// Skipped keys that are past their time open nothing; on the disk they could.
    fn drop_expired_skipped(&mut self) -> StoreResult<(), V> {
        let now = self.counters.drained;
        for (key, row) in self.scan::<SkippedKeyRow>(&Range::all(), SWEEP_ROWS)? {
            if SkippedKey::from_bytes(row.0.expose()).is_ok_and(|skipped| skipped.is_expired(now)) {
                self.delete::<SkippedKeyRow>(&key);
            }
        }
        for (key, row) in self.scan::<SkippedChainRow>(&Range::all(), SWEEP_ROWS)? {
            if SkippedChain::from_bytes(row.0.expose()).is_ok_and(|chain| chain.is_expired(now)) {
                self.delete::<SkippedChainRow>(&key);
            }
        }
        Ok(())
    }
}

impl<V: View> Turn<'_, V> {
    /// A session that gave way opens what was under way then; that has arrived or never will.
    fn drop_expired_sessions(&mut self) -> StoreResult<(), V> {
        let limit = usize::try_from(CONTACTS).unwrap_or(usize::MAX);
        for (chat, mut contact) in self.scan::<ContactRecord>(&Range::all(), limit)? {
            let mut over = Vec::new();
            for id in &contact.retired {
                let since = match self.get::<SessionRecord>(id)?.map(|record| record.standing) {
                    Some(Standing::Retired(since)) => since,
                    _ => continue,
                };
                if self.counters.drained > since.after(RETIRED_LIFETIME) {
                    over.push(*id);
                }
            }
            if over.is_empty() {
                continue;
            }
            contact.retired.retain(|id| !over.contains(id));
            self.put(&chat, &contact);
            for id in over {
                self.drop_session(id)?;
            }
        }
        Ok(())
    }
}

// What is deleted by time is deleted after the longest life of an envelope: given up after, plus kept by a relay for.
const _: () =
    assert!(PREKEY_RETENTION.as_secs() >= crate::limits::OUTBOX_AGE.as_secs() + RELAY_TTL.as_secs());
const RELAY_TTL: Duration = Duration::from_secs(30 * 86_400);
