//! What owners have acknowledged, until the next commit takes it along: nobody waits for it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hermes_wire::{MailboxId, Sequence};

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
    /// Notes one. Whether none waited before, and the committer has to hear of it.
    pub(crate) fn note(&self, mailbox: MailboxId, upto: Sequence) -> bool {
        let mut waiting = self.waiting();
        let is_first = waiting.upto.is_empty();
        let noted = waiting.upto.entry(mailbox).or_default();
        *noted = upto.max(*noted);
        is_first
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
        assert!(note(2, 7));
        assert!(!note(2, 5));
        assert!(!note(1, 1));
        assert!(!note(3, 1));
        assert_eq!(taken(&acks, 2), [(1, 1), (2, 7)]);
        assert!(!note(1, 2));
        assert!(!note(2, 8));
        assert_eq!(taken(&acks, 2), [(3, 1), (1, 2)]);
        assert_eq!(taken(&acks, 2), [(2, 8)]);
        assert_eq!(taken(&acks, 2), []);
        assert!(note(1, 3), "none waits any more");
        assert_eq!(taken(&acks, 2), [(1, 3)]);
    }
}
