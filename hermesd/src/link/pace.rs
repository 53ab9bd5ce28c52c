//! How often a relay is heard that a contact chose: whatever it says costs a commit.

use tokio::time::{Instant, sleep_until};

use crate::limits::{GUEST_BURST, GUEST_FRAME};

/// Counts what one connection brings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When all that came so far would have come at the rate.
    even: Instant,
}

impl Pace {
    /// Of a connection that has brought nothing.
    pub(super) fn new(now: Instant) -> Self {
        Self { even: now }
    }

    /// So many frames came.
    pub(super) fn count(&mut self, frames: usize, now: Instant) {
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.even = self.even.max(now) + GUEST_FRAME.saturating_mul(frames);
    }

    /// When the next is to be read.
    fn ready_at(self) -> Instant {
        self.even.checked_sub(GUEST_BURST).unwrap_or(self.even)
    }

    /// Waits until the next is to be read. Cancel-safe.
    pub(super) async fn ready(self) {
        sleep_until(self.ready_at()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_at_once_and_then_fifty_a_second() {
        let start = Instant::now() + GUEST_BURST;
        let mut pace = Pace::new(start);
        pace.count(250, start);
        assert!(pace.ready_at() <= start, "a credit's worth does not wait");
        let mut now = start;
        for _ in 0..1_000 {
            now = now.max(pace.ready_at());
            pace.count(1, now);
        }
        let taken = now - start;
        assert!(taken >= Duration::from_secs(19) && taken <= Duration::from_secs(21), "{taken:?}");
        // What was not said in an hour is not saved up.
        let later = now + Duration::from_secs(3_600);
        pace.count(250, later);
        pace.count(50, later);
        assert_eq!(pace.ready_at(), later + Duration::from_secs(1));
    }
}
