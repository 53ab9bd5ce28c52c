//! Tests that need a program which is not everywhere.

use std::io::{Write, stderr};

/// Says so where nobody overlooks it: the test harness keeps what `eprintln` writes to itself.
pub fn skipped(what: &str, programs: &str) {
    let line = format!("\nSKIPPED: {what}: {programs} is not installed\n");
    stderr().write_all(line.as_bytes()).unwrap();
}
