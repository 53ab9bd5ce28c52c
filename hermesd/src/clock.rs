//! The wall clock, as the engine is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use hermes_wire::Timestamp;

/// The time. A clock before 1970 counts as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().after(since)
}
