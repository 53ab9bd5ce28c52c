//! Time as the work has it: what the thread spent on a processor. On a machine with other work to do the wall clock says
//! more about the scheduler, and nothing measured here waits for anything.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Counts the thread's processor time, user and system.
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Begins.
    pub fn start() -> Self {
        Self(now())
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        now().saturating_sub(self.0)
    }
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
