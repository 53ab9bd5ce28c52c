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
pub fn until_within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < deadline, "after {deadline:?} still not true: {what}");
        thread::sleep(PAUSE);
    }
}
