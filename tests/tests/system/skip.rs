//! Tests that need a program or a right which is not everywhere.

use std::io::{Write, stderr};

/// Says that a program is missing.
pub fn skipped(what: &str, programs: &str) {
    skipped_because(what, &format!("{programs} is not installed"));
}

/// Says so where nobody overlooks it: the test harness keeps what `eprintln` writes to itself.
pub fn skipped_because(what: &str, why: &str) {
    let line = format!("\nSKIPPED: {what}: {why}\n");
    stderr().write_all(line.as_bytes()).unwrap();
}
