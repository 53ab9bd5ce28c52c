//! Waiting for something to become true, never for time to pass.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Generous: it only decides how long a broken build hangs, never whether a slow machine passes.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `condition` holds; fails the test when it does not within [`DEADLINE`].
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(DEADLINE, what, condition);
}

/// As [`until`], for what takes longer than usual.
#[track_caller]
pub fn until_within(deadline: Duration, what: &str, condition: impl FnMut() -> bool) {
    assert!(eventually(deadline, condition), "after {deadline:?} still not true: {what}");
}

/// Whether `condition` holds before `deadline` is over, for tests that can say more about what is wrong.
pub fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}
