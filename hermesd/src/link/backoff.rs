//! How long to wait before the next attempt.

use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use crate::limits::{RETRY_FIRST, RETRY_LAST, RETRY_SOON, RETRY_SOON_FOR, STABLE};

/// Waits between attempts: none before the first retry, at most a second for half a minute (a relay that restarts), then
/// longer and longer. Each is shortened at random, so that the clients of a relay do not come back all at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failing_since: Option<Instant>,
    attempts: u32,
}

impl Backoff {
    /// The wait after a failure at `now`.
    pub(super) fn next(&mut self, now: Instant, rng: &mut impl Rng) -> Duration {
        let since = *self.failing_since.get_or_insert(now);
        let attempt = self.attempts;
        self.attempts = attempt.saturating_add(1);
        if attempt == 0 {
            return Duration::ZERO;
        }
        let doubled = RETRY_FIRST.saturating_mul(1 << (attempt - 1).min(16));
        let wait = if now - since < RETRY_SOON_FOR {
            doubled.min(RETRY_SOON)
        } else {
            // From the long steps on, time itself is the measure: a wait as long as a quarter of the outage.
            ((now - since) / 4).clamp(RETRY_SOON, RETRY_LAST)
        };
        wait.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// A connection lasted until `now`. One that broke at once is no success.
    pub(super) fn succeeded(&mut self, connected: Instant, now: Instant) {
        if now - connected >= STABLE {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;

    #[test]
    fn at_once_then_soon_then_seldom() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        assert_eq!(backoff.next(start, &mut rng()), Duration::ZERO);
        for seconds in 0..29 {
            let wait = backoff.next(start + Duration::from_secs(seconds), &mut rng());
            assert!(wait > Duration::ZERO && wait <= RETRY_SOON, "{wait:?}");
        }
        for seconds in [31, 60, 600, 100_000] {
            let wait = backoff.next(start + Duration::from_secs(seconds), &mut rng());
            assert!(wait >= RETRY_SOON / 2 && wait <= RETRY_LAST, "{wait:?}");
        }
    }

    #[test]
    fn only_a_lasting_connection_starts_over() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        backoff.next(start, &mut rng());
        backoff.succeeded(start, start);
        assert!(backoff.next(start, &mut rng()) > Duration::ZERO);
        backoff.succeeded(start, start + STABLE);
        assert_eq!(backoff.next(start, &mut rng()), Duration::ZERO);
    }
}
