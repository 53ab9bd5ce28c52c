//! Gaps: which of a peer's messages have not arrived, and whether those that have fit together.
//!
//! A text carries its author's count in the chat and the hash of the author's text before it (docs/protocol.md,
//! section 8). The count shows what a relay swallowed; the hash shows an author whose history is not one any more,
//! because its store was put back from an old copy, or who lies. The last messages of a chat have none behind them that
//! would show a gap: those are missed by their sender, as messages that nobody confirms. What a contact sent while it was
//! blocked is refused and takes its numbers along: such a gap is known for what it is, and nothing is missing there.
//!
//! Deliberately absent: consequences. A message with an odd place is stored and shown like any other.

use hermes_protocol::content::{Body, ChatPlace, Content, WithdrawnPlace};
use hermes_wire::Timestamp;
use serde_bytes::ByteArray;

use crate::{
    id::ChatId,
    limits::{GAPS, NUMBER_JUMP},
    row::{Finding, FindingKind, GapRecord, Neighbour, Received, Sighting, Unlisted},
    rows::{self, GapKey, IndexRow, Key, StoreResult},
    store::{Order, Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Notes the place of a message that the history is about to take as its `number`th.
    pub(crate) fn note_place(
        &mut self,
        chat: ChatId,
        received: &mut Received,
        content: &Content,
        number: u64,
    ) -> StoreResult<(), V> {
        let sighting = Sighting { number, at: self.now };
        received.messages = received.messages.saturating_add(1);
        let Some(place) = content.place.filter(|place| place.counter > 0) else {
            received.find(FindingKind::Unnumbered, sighting);
            return Ok(());
        };
        let hash = ByteArray::new(content.hash());
        let here = Neighbour { hash, number, sent: content.sent, stored: self.now };
        let missing = received.missing;
        let finding = match place.counter.checked_sub(received.highest) {
            None | Some(0) => self.late(chat, received, place, here)?,
            Some(ahead) if ahead > NUMBER_JUMP => Some(FindingKind::NumberImplausible),
            Some(_) => self.ahead(chat, received, place, here),
        };
        if let Some(kind) = finding {
            received.find(kind, sighting);
        }
        if let Body::Unsend { message, place: Some(withdrawn) } = &content.body
            && self.get::<IndexRow>(message)?.is_none()
        {
            self.never_comes(chat, received, withdrawn, Neighbour { hash: withdrawn.hash.into(), ..here })?;
        }
        self.counters.missing =
            self.counters.missing.saturating_sub(missing).saturating_add(received.missing);
        Ok(())
    }

    /// A message behind all others: what it passes over is missing.
    fn ahead(
        &mut self,
        chat: ChatId,
        received: &mut Received,
        place: ChatPlace,
        here: Neighbour,
    ) -> Option<FindingKind> {
        let first = received.highest.saturating_add(1);
        let before = received.newest.replace(here);
        let while_blocked = std::mem::take(&mut received.let_in);
        received.highest = place.counter;
        if first < place.counter {
            let last = place.counter.saturating_sub(1);
            let gap = GapRecord { last, before, after: naming(place, here), while_blocked };
            let absent = received.absent(&gap);
            *absent = absent.saturating_add(length(first, last));
            self.put_gap(received, GapKey { chat, first }, &gap);
            return None;
        }
        (hash_of(before) != place.previous).then_some(FindingKind::HistoryMismatch)
    }

    /// A message among the others: it fills its place in a gap, or there is none for it.
    fn late(
        &mut self,
        chat: ChatId,
        received: &mut Received,
        place: ChatPlace,
        here: Neighbour,
    ) -> StoreResult<Option<FindingKind>, V> {
        let Some((key, gap)) = self.gap_around(chat, place.counter)? else {
            return Ok(received.fill_unlisted(place.counter).err());
        };
        let fits_before = place.counter > key.first || hash_of(gap.before) == place.previous;
        let fits_after = place.counter < gap.last || gap.after.hash == here.hash;
        self.delete::<GapRecord>(&key);
        received.gaps = received.gaps.saturating_sub(1);
        let absent = received.absent(&gap);
        *absent = absent.saturating_sub(1);
        if key.first < place.counter {
            let last = place.counter.saturating_sub(1);
            let lower = GapRecord { last, after: naming(place, here), ..gap };
            self.put_gap(received, key, &lower);
        }
        if place.counter < gap.last {
            let first = place.counter.saturating_add(1);
            let upper = GapRecord { before: Some(here), ..gap };
            self.put_gap(received, GapKey { chat, first }, &upper);
        }
        Ok((!fits_before || !fits_after).then_some(FindingKind::HistoryMismatch))
    }

    /// Has the place of a message that its author withdrew count as taken, though it has not arrived.
    fn never_comes(
        &mut self,
        chat: ChatId,
        received: &mut Received,
        withdrawn: &WithdrawnPlace,
        here: Neighbour,
    ) -> StoreResult<(), V> {
        if (1..received.highest).contains(&withdrawn.place.counter) {
            // Where nothing is missing, it has been taken so before.
            let _finding = self.late(chat, received, withdrawn.place, here)?;
        }
        Ok(())
    }

    fn gap_around(&self, chat: ChatId, number: u64) -> StoreResult<Option<(GapKey, GapRecord)>, V> {
        let behind = GapKey { chat, first: number.saturating_add(1) };
        let range = Range { from: chat.to_bytes(), to: Some(behind.to_bytes()) };
        Ok(self.last::<GapRecord>(&range)?.filter(|(_, gap)| number <= gap.last))
    }

    fn put_gap(&mut self, received: &mut Received, key: GapKey, gap: &GapRecord) {
        if received.gaps < GAPS {
            received.gaps = received.gaps.saturating_add(1);
            self.put(&key, gap);
        } else {
            let left_out = length(key.first, gap.last);
            if gap.while_blocked {
                // Without a row, nothing says why they are not here.
                received.refused = received.refused.saturating_sub(left_out);
                received.missing = received.missing.saturating_add(left_out);
            }
            received.leave_out(key.first, left_out);
        }
    }
}

impl Received {
    /// The number through which everything has arrived.
    pub(crate) fn through(&self, first_gap: Option<u64>) -> u64 {
        let unlisted = self.unlisted.map(|unlisted| unlisted.from);
        let first = [first_gap, unlisted].into_iter().flatten().min();
        first.map_or(self.highest, |first| first.saturating_sub(1))
    }

    /// Has everything before this message count as here.
    pub(crate) fn begin(&mut self, content: &Content, number: u64, stored: Timestamp) {
        let Some(place) = content.place.filter(|place| place.counter > 0) else { return };
        self.highest = place.counter.saturating_sub(1);
        let hash = ByteArray::new(place.previous);
        self.newest = Some(Neighbour { hash, number, sent: content.sent, stored });
    }

    /// The same numbers with nothing missing below them, and nothing found.
    pub(crate) fn forget_gaps(self) -> Self {
        let findings = Vec::new();
        Self { missing: 0, gaps: 0, unlisted: None, refused: 0, let_in: false, findings, ..self }
    }

    /// The count of the numbers that are not here for the same reason as those of a gap.
    fn absent(&mut self, gap: &GapRecord) -> &mut u64 {
        if gap.while_blocked { &mut self.refused } else { &mut self.missing }
    }

    fn find(&mut self, kind: FindingKind, here: Sighting) {
        match self.findings.iter_mut().find(|finding| finding.kind == kind) {
            Some(finding) => {
                finding.count = finding.count.saturating_add(1);
                finding.last = here;
            }
            None => self.findings.push(Finding { kind, count: 1, first: here, last: here }),
        }
    }

    fn leave_out(&mut self, from: u64, missing: u64) {
        let unlisted = self.unlisted.get_or_insert(Unlisted { from, missing: 0 });
        unlisted.from = unlisted.from.min(from);
        unlisted.missing = unlisted.missing.saturating_add(missing);
    }

    /// Counts a number that no gap has. Where numbers are missing of which only the count is kept, it is taken for one
    /// of them.
    fn fill_unlisted(&mut self, number: u64) -> Result<(), FindingKind> {
        let Some(unlisted) = self.unlisted.as_mut().filter(|unlisted| number >= unlisted.from) else {
            return Err(FindingKind::NumberRepeated);
        };
        self.missing = self.missing.saturating_sub(1);
        unlisted.missing = unlisted.missing.saturating_sub(1);
        if unlisted.missing == 0 {
            self.unlisted = None;
        }
        Ok(())
    }
}

/// The gaps of a chat, lowest first, each with its first missing number.
pub(crate) fn gaps<V: View>(view: &V, chat: ChatId, limit: usize) -> StoreResult<Vec<(u64, GapRecord)>, V> {
    let rows = rows::scan::<GapRecord, _>(view, &Range::prefix(&chat.to_bytes()), Order::Ascending, limit)?;
    Ok(rows.into_iter().map(|(key, gap)| (key.first, gap)).collect())
}

/// Numbers from `first` to `last`, both counted.
pub(crate) fn length(first: u64, last: u64) -> u64 {
    last.saturating_sub(first).saturating_add(1)
}

/// The message behind a gap, with the hash that it names.
fn naming(place: ChatPlace, here: Neighbour) -> Neighbour {
    Neighbour { hash: ByteArray::new(place.previous), ..here }
}

/// What the message after `before` has to name: zeros at the beginning of a chat.
fn hash_of(before: Option<Neighbour>) -> [u8; 32] {
    before.map(|before| before.hash.into_array()).unwrap_or_default()
}
