//! The machine's clock: the only place where the relay reads it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hermes_wire::Timestamp;

use crate::limits::{CLOCK_JUMP, CLOCK_PATIENCE};

/// The time of day.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Whether the time of day goes on as time does. What is over is deleted for good, so a clock that was set wrong must not say so
/// before there was time to set it right.
#[derive(Debug)]
pub(crate) struct Steady {
    /// When it was looked at last: as time that passes, and as the time of day.
    seen: (Duration, Timestamp),
    /// When it was found to have jumped ahead, as time that passes.
    jumped: Option<Duration>,
}

impl Steady {
    pub(crate) fn new(passed: Duration, now: Timestamp) -> Self {
        Self { seen: (passed, now), jumped: None }
    }

    /// Looks at the clock when so much time has `passed` since some moment.
    pub(crate) fn look(&mut self, passed: Duration, now: Timestamp) -> Look {
        let (before, then) = std::mem::replace(&mut self.seen, (passed, now));
        if now.since(then) > passed.saturating_sub(before).saturating_add(CLOCK_JUMP) {
            self.jumped = Some(passed);
            return Look::Jumped;
        }
        match self.jumped {
            Some(jumped) if passed.saturating_sub(jumped) < CLOCK_PATIENCE => Look::Unsure,
            _ => Look::Steady,
        }
    }
}

/// What a look at the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It can be believed.
    Steady,
    /// It is far ahead of what it was at the last look.
    Jumped,
    /// It was so not long ago.
    Unsure,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const NOW: u64 = 1_700_000_000;
    const TEN_YEARS: u64 = 10 * 365 * 86_400;

    /// Seconds that have passed, and what the clock shows then.
    fn looks(steady: &mut Steady, at: &[(u64, u64)]) -> Vec<Look> {
        let look =
            |(passed, now): &(u64, u64)| steady.look(Duration::from_secs(*passed), Timestamp(now * 1_000));
        at.iter().map(look).collect()
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_not_believed_before_it_was_steady_for_a_while() {
        let patience = CLOCK_PATIENCE.as_secs();
        use Look::{Jumped, Steady as Good, Unsure};
        let mut steady = Steady::new(Duration::ZERO, Timestamp(NOW * 1_000));
        let ahead = NOW + TEN_YEARS;
        let seen = looks(
            &mut steady,
            &[
                (0, NOW),
                (60, NOW + 60),
                (120, ahead),
                (180, ahead + 60),
                (119 + patience, ahead + patience),
                (120 + patience, ahead + patience),
            ],
        );
        assert_eq!(seen, [Good, Good, Jumped, Unsure, Unsure, Good]);
    }

    #[test]
    fn one_that_goes_back_deletes_nothing_and_one_that_is_set_a_little_is_believed() {
        let mut steady = Steady::new(Duration::ZERO, Timestamp(NOW * 1_000));
        let little =
            [(60, NOW - TEN_YEARS), (120, NOW - TEN_YEARS + HOUR), (120 + HOUR, NOW - TEN_YEARS + 3 * HOUR)];
        assert_eq!(looks(&mut steady, &little), [Look::Steady; 3]);
        // Time that passed without a look, however much, is no jump.
        let later = [(120 + 1_000 * HOUR, NOW - TEN_YEARS + 1_002 * HOUR)];
        assert_eq!(looks(&mut steady, &later), [Look::Steady]);
        // Set right again: that is a jump as well.
        assert_eq!(looks(&mut steady, &[(180 + 1_000 * HOUR, NOW)]), [Look::Jumped]);
    }
}
