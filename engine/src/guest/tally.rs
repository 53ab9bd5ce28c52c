//! What comes to a guest mailbox and is of no use, and what waits there: no relay but the account's own has a say in the
//! account's records.

use hermes_wire::Timestamp;
use serde::{Deserialize, Serialize};

use super::GuestPlace;
use crate::{
    effect::Effect,
    group::apart,
    id::GuestId,
    limits::{EARLY_BYTES, EARLY_BYTES_OF_GUEST, GUEST_STRAYS, GUEST_STRAYS_IN},
    rows::{Key, StoreResult, rows},
    store::View,
    turn::Turn,
};

/// Counts of one guest mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GuestTally {
    /// Envelopes that could not be read, ever.
    pub(crate) unreadable: u64,
    /// Envelopes that the relay says it has dropped, ever.
    pub(crate) expired: u64,
    /// When either was last counted.
    pub(crate) last: Timestamp,
    /// When the first of `strays` came.
    strays_since: Timestamp,
    /// Frames that were of no use, in the hour that began then.
    strays: u32,
    /// Bytes of the copies from there that cannot be taken yet.
    early: u64,
}

rows! {
    GuestTally: Guest by GuestTallyKey;
}

/// Stands right behind the mailbox's position.
#[derive(Clone, Copy)]
pub(crate) struct GuestTallyKey(pub(crate) GuestId);

impl GuestTally {
    const NONE: Self = Self {
        unreadable: 0,
        expired: 0,
        last: Timestamp(0),
        strays_since: Timestamp(0),
        strays: 0,
        early: 0,
    };

    /// As another store has it that takes the place of this one: what waited does not come with it.
    pub(crate) fn left_behind(self) -> Self {
        Self { early: 0, ..self }
    }

    /// Whether there have been too many.
    fn note_stray(&mut self, now: Timestamp) -> bool {
        if self.strays == 0 || apart(now, self.strays_since) >= GUEST_STRAYS_IN {
            (self.strays_since, self.strays) = (now, 0);
        }
        self.strays = self.strays.saturating_add(1);
        self.strays >= GUEST_STRAYS
    }
}

impl<V: View> Turn<'_, V> {
    fn guest_tally(&self, guest: GuestId) -> StoreResult<GuestTally, V> {
        Ok(self.get(&GuestTallyKey(guest))?.unwrap_or(GuestTally::NONE))
    }

    /// An envelope in a guest mailbox cannot be read. Nobody is told of each: the relay could make them without end.
    pub(crate) fn guest_unreadable(&mut self, guest: GuestId) -> StoreResult<(), V> {
        let mut tally = self.guest_tally(guest)?;
        tally.unreadable = tally.unreadable.saturating_add(1);
        tally.last = self.now;
        self.put(&GuestTallyKey(guest), &tally);
        Ok(())
    }

    /// A guest's relay has said something of no use: an envelope under no card of the mailbox, or that the card's key does
    /// not open, or that was there before; or that one is gone.
    pub(super) fn guest_stray(&mut self, guest: GuestId) -> StoreResult<(), V> {
        let mut tally = self.guest_tally(guest)?;
        if tally.note_stray(self.now) {
            self.effects.push(Effect::GuestStrays(guest));
        }
        self.put(&GuestTallyKey(guest), &tally);
        Ok(())
    }

    /// Envelopes in a guest mailbox will not come, as its relay says.
    pub(super) fn guest_expired(&mut self, guest: GuestId, envelopes: u64) -> StoreResult<(), V> {
        let mut tally = self.guest_tally(guest)?;
        tally.expired = tally.expired.saturating_add(envelopes);
        tally.last = self.now;
        self.put(&GuestTallyKey(guest), &tally);
        Ok(())
    }

    /// Whether there is room for so many bytes more of copies that cannot be taken yet; they are counted then. Each
    /// guest mailbox has room of its own, so that its relay takes none from the others.
    pub(crate) fn take_early_room(&mut self, at: Option<GuestPlace>, bytes: u64) -> StoreResult<bool, V> {
        let Some(place) = at else {
            let early = self.counters.early.saturating_add(bytes);
            let room = early <= EARLY_BYTES;
            if room {
                self.counters.early = early;
            }
            return Ok(room);
        };
        let tally = self.guest_tally(place.guest)?;
        let early = tally.early.saturating_add(bytes);
        let room = early <= EARLY_BYTES_OF_GUEST;
        if room {
            self.put(&GuestTallyKey(place.guest), &GuestTally { early, ..tally });
        }
        Ok(room)
    }

    /// So many of them have been taken, or are not kept any more.
    pub(crate) fn free_early_room(&mut self, at: Option<GuestPlace>, bytes: u64) -> StoreResult<(), V> {
        let Some(place) = at else {
            self.counters.early = self.counters.early.saturating_sub(bytes);
            return Ok(());
        };
        // The mailbox may have been given up.
        let Some(tally) = self.get::<GuestTally>(&GuestTallyKey(place.guest))? else { return Ok(()) };
        let early = tally.early.saturating_sub(bytes);
        self.put(&GuestTallyKey(place.guest), &GuestTally { early, ..tally });
        Ok(())
    }
}

impl Key for GuestTallyKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &[2]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (guest, rest) = bytes.split_first_chunk()?;
        (rest == [2]).then_some(Self(GuestId(*guest)))
    }
}
