//! What owners have acknowledged, until the next commit takes it along: nobody waits for it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hermes_wire::{MailboxId, Sequence};

use crate::limits::GROUP_ACKS;

/// Which acknowledgement was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// The only one that waits.
    First,
    /// The one with which as many wait as one commit takes.
    Enough,
    /// Another one.
    Other,
}

/// The highest acknowledgement of each mailbox that waits for a commit. An owner that acknowledges faster than the disk takes it
/// in has it taken in less often. Lost with the process, it is a reason to deliver once more, and no more than that.
#[derive(Debug, Default)]
pub(crate) struct Acks(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    upto: BTreeMap<MailboxId, Sequence>,
    /// Whose was taken last; those behind it come next, so that nobody's waits for ever.
    last: Option<MailboxId>,
}

impl Acks {
    /// Notes one, and says whether the committer has to hear of it.
    pub(crate) fn note(&self, mailbox: MailboxId, upto: Sequence) -> Noted {
        let mut waiting = self.waiting();
        let before = waiting.upto.len();
        let noted = waiting.upto.entry(mailbox).or_default();
        *noted = upto.max(*noted);
        match (before, waiting.upto.len()) {
            (0, _) => Noted::First,
            (before, GROUP_ACKS) if before < GROUP_ACKS => Noted::Enough,
            _ => Noted::Other,
        }
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().upto.is_empty()
    }

    /// Takes up to `most` of them.
    pub(crate) fn take(&self, most: usize) -> Vec<(MailboxId, Sequence)> {
        let mut waiting = self.waiting();
        let after = waiting.last.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = waiting.upto.range((after, Bound::Unbounded));
        let before = waiting.last.into_iter().flat_map(|last| waiting.upto.range(..=last));
        let taken: Vec<_> =
            behind.chain(before).take(most).map(|(mailbox, upto)| (*mailbox, *upto)).collect();
        for (mailbox, _) in &taken {
            waiting.upto.remove(mailbox);
        }
        waiting.last = taken.last().map(|(mailbox, _)| *mailbox);
        taken
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere leaves the map whole: every change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(acks: &Acks, most: usize) -> Vec<(u8, u64)> {
        acks.take(most).into_iter().map(|(mailbox, upto)| (mailbox.0[0], upto.0)).collect()
    }

    #[test]
    fn of_each_mailbox_the_highest_waits_and_all_have_their_turn() {
        let acks = Acks::default();
        let note = |mailbox: u8, upto| acks.note(MailboxId([mailbox; 32]), Sequence(upto));
        assert_eq!(note(2, 7), Noted::First);
        assert_eq!(note(2, 5), Noted::Other);
        assert_eq!(note(1, 1), Noted::Other);
        assert_eq!(note(3, 1), Noted::Other);
        assert_eq!(taken(&acks, 2), [(1, 1), (2, 7)]);
        assert_eq!(note(1, 2), Noted::Other);
        assert_eq!(note(2, 8), Noted::Other);
        assert_eq!(taken(&acks, 2), [(3, 1), (1, 2)]);
        assert_eq!(taken(&acks, 2), [(2, 8)]);
        assert_eq!(taken(&acks, 2), []);
        assert_eq!(note(1, 3), Noted::First, "none waits any more");
        assert_eq!(taken(&acks, 2), [(1, 3)]);
    }
}
