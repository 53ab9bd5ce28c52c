//! When messages are announced singly, and when a flood of them becomes one summary. Knows no clock and no desktop.

use std::collections::VecDeque;

use hermes_engine::Reference;
use tokio::time::Instant;

use crate::limits::{
    NOTIFY_BURST, NOTIFY_COUNTED, NOTIFY_GATHER, NOTIFY_GATHER_MOST, NOTIFY_SINGLES, NOTIFY_SUMMARY_PAUSE,
};

/// What has arrived and is not announced yet, and what the desktop has been shown lately.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// At most [`NOTIFY_COUNTED`].
    waiting: Vec<Reference>,
    /// Whether there was more than that.
    more: bool,
    /// When the first and the last of them arrived.
    arrived: Option<(Instant, Instant)>,
    /// When single notifications were shown. At most [`NOTIFY_SINGLES`].
    singles: VecDeque<Instant>,
    summary: Option<Summary>,
}

/// A notification of several messages, to which more are added while they keep arriving.
#[derive(Debug)]
struct Summary {
    /// What it counts. At most [`NOTIFY_COUNTED`].
    of: Vec<Reference>,
    more: bool,
    at: Instant,
}

/// How something is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// One notification each.
    Singly,
    /// One for all, in the place of the last summary or as a new one.
    Summary {
        /// Whether it takes the last one's place.
        replace: bool,
    },
    /// Not at all: everything has been read.
    Nothing,
}

impl Gathering {
    /// A message arrived.
    pub(super) fn arrived(&mut self, reference: Reference, at: Instant) {
        self.note(at);
        if self.waiting.len() < NOTIFY_COUNTED {
            self.waiting.push(reference);
        } else {
            self.more = true;
        }
    }

    /// Messages arrived of which nobody knows which.
    pub(super) fn lost(&mut self, at: Instant) {
        self.note(at);
        self.more = true;
    }

    fn note(&mut self, at: Instant) {
        let first = self.arrived.map_or(at, |(first, _)| first);
        self.arrived = Some((first, at));
    }

    /// When [`Gathering::take`] is to be called; nothing as long as there is nothing to announce.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.arrived?;
        let gathered = (last + NOTIFY_GATHER).min(first + NOTIFY_GATHER_MOST);
        Some(match &self.summary {
            Some(summary) if first < summary.at + NOTIFY_BURST => {
                gathered.max(summary.at + NOTIFY_SUMMARY_PAUSE)
            }
            _ => gathered,
        })
    }

    /// What is to be looked at now, and whether there is more: what has arrived, and what the summary on the desktop
    /// counts if it is to grow.
    pub(super) fn take(&mut self, now: Instant) -> (Vec<Reference>, bool) {
        if self.summary.as_ref().is_some_and(|summary| summary.at + NOTIFY_BURST <= now) {
            self.summary = None;
        }
        let (mut all, mut more) =
            self.summary.as_ref().map_or_else(Default::default, |summary| (summary.of.clone(), summary.more));
        more |= self.more;
        let room = NOTIFY_COUNTED - all.len();
        more |= self.waiting.len() > room;
        all.extend(self.waiting.drain(..).take(room));
        (self.arrived, self.more) = (None, false);
        (all, more)
    }

    /// How what was taken is announced, of which `unread` is left.
    pub(super) fn shown<'a>(
        &mut self,
        unread: impl ExactSizeIterator<Item = &'a Reference>,
        more: bool,
        now: Instant,
    ) -> Shown {
        self.singles.retain(|at| *at + NOTIFY_BURST > now);
        let replace = self.summary.is_some();
        if unread.len() == 0 && !more {
            return Shown::Nothing;
        }
        if !replace && !more && self.singles.len() + unread.len() <= NOTIFY_SINGLES {
            self.singles.extend(unread.map(|_| now));
            return Shown::Singly;
        }
        self.summary = Some(Summary { of: unread.cloned().collect(), more, at: now });
        Shown::Summary { replace }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Bench {
        gathering: Gathering,
        now: Instant,
        number: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { gathering: Gathering::default(), now: Instant::now(), number: 0 }
        }

        fn arrive(&mut self, count: u64) {
            for _ in 0..count {
                self.number += 1;
                let reference = Reference::new("bob", self.number);
                self.gathering.arrived(reference, self.now);
            }
        }

        /// Goes on to when something is due; says how it is announced, and how many messages it counts.
        fn announce(&mut self, read: usize) -> (Shown, usize, bool) {
            self.now = self.gathering.due().unwrap();
            let (all, more) = self.gathering.take(self.now);
            let unread = &all[read..];
            (self.gathering.shown(unread.iter(), more, self.now), unread.len(), more)
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
        }
    }

    const SUMMARY: Shown = Shown::Summary { replace: false };
    const GROWN: Shown = Shown::Summary { replace: true };

    #[test]
    fn nothing_is_due_when_nothing_arrived() {
        let mut bench = Bench::new();
        assert_eq!(bench.gathering.due(), None);
        bench.arrive(1);
        assert_eq!(bench.announce(0), (Shown::Singly, 1, false));
        assert_eq!(bench.gathering.due(), None);
    }

    #[test]
    fn a_few_messages_are_announced_singly_and_many_at_once_as_one_summary() {
        let mut bench = Bench::new();
        bench.arrive(NOTIFY_SINGLES as u64);
        assert_eq!(bench.announce(0), (Shown::Singly, NOTIFY_SINGLES, false));
        let mut bench = Bench::new();
        bench.arrive(NOTIFY_SINGLES as u64 + 1);
        assert_eq!(bench.announce(0), (SUMMARY, NOTIFY_SINGLES + 1, false));
    }

    #[test]
    fn a_steady_stream_becomes_a_summary_that_grows_and_ends_with_the_stream() {
        let mut bench = Bench::new();
        for _ in 0..NOTIFY_SINGLES {
            bench.arrive(1);
            assert_eq!(bench.announce(0), (Shown::Singly, 1, false));
            bench.pass(Duration::from_secs(2));
        }
        bench.arrive(1);
        assert_eq!(bench.announce(0), (SUMMARY, 1, false));
        let shown = bench.now;
        bench.arrive(3);
        assert_eq!(bench.announce(0), (GROWN, 4, false));
        assert_eq!(bench.now, shown + NOTIFY_SUMMARY_PAUSE, "not sooner");
        bench.pass(NOTIFY_BURST);
        bench.arrive(1);
        assert_eq!(bench.announce(0), (Shown::Singly, 1, false));
    }

    #[test]
    fn a_backlog_without_a_pause_is_announced_before_its_end() {
        let mut bench = Bench::new();
        let start = bench.now;
        while bench.gathering.due().is_none_or(|due| due > bench.now) {
            bench.arrive(10);
            bench.pass(NOTIFY_GATHER / 2);
        }
        assert!(bench.now < start + NOTIFY_GATHER_MOST + NOTIFY_GATHER);
        let (shown, counted, more) = bench.announce(0);
        assert_eq!((shown, counted, more), (SUMMARY, usize::try_from(bench.number).unwrap(), false));
    }

    #[test]
    fn what_was_read_meanwhile_is_not_counted() {
        let mut bench = Bench::new();
        bench.arrive(10);
        assert_eq!(bench.announce(10), (Shown::Nothing, 0, false));
        bench.arrive(10);
        assert_eq!(bench.announce(7), (Shown::Singly, 3, false));
        bench.arrive(5);
        assert_eq!(bench.announce(0), (SUMMARY, 5, false));
        bench.arrive(2);
        assert_eq!(bench.announce(4), (GROWN, 3, false));
    }

    #[test]
    fn memory_is_bounded_and_what_is_beyond_is_said() {
        let mut bench = Bench::new();
        bench.arrive(NOTIFY_COUNTED as u64 + 1);
        assert_eq!(bench.announce(0), (SUMMARY, NOTIFY_COUNTED, true));
        bench.arrive(NOTIFY_COUNTED as u64);
        assert_eq!(bench.announce(0), (GROWN, NOTIFY_COUNTED, true));
        let mut bench = Bench::new();
        bench.gathering.lost(bench.now);
        assert_eq!(bench.announce(0), (SUMMARY, 0, true));
    }
}
