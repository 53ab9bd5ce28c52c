//! What one run of the command line did.

use std::process::Output;

use serde_json::Value;

/// Exit code and both streams of a finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What was run, for the messages of failed tests.
    pub command: String,
}

impl Outcome {
    pub(super) fn new(arguments: &[&str], output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
            command: format!("hermesctl {}", arguments.join(" ")),
        }
    }

    /// Fails the test unless the run ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}: {self:#?}");
        self
    }

    /// Fails the test unless the run succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(0)
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// Standard error as one JSON value, which it is when standard output would be.
    #[track_caller]
    pub fn json_error(&self) -> Value {
        serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// Fails the test unless the run ended with `code` and told people in one line what happened and in a second one
    /// what to do, in words for people.
    #[track_caller]
    pub fn refused(self, code: i32) -> Self {
        let outcome = self.expect(code);
        let lines: Vec<_> = outcome.stderr.lines().collect();
        let [what, next] = lines.as_slice() else { panic!("not one sentence and what to do: {outcome:#?}") };
        assert!(what.starts_with("error: ") && what.len() > "error: ".len(), "{outcome:#?}");
        assert!(next.starts_with("  → ") && next.len() > "  → ".len(), "{outcome:#?}");
        for word in PROGRAM_WORDS {
            assert!(!outcome.stderr.contains(word), "{word:?} is no word for people: {outcome:#?}");
        }
        outcome
    }

    /// Fails the test unless standard error contains each of `parts`.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing: {self:#?}");
        }
        self
    }
}

/// Traces of a program's insides that must not reach people.
const PROGRAM_WORDS: [&str; 6] = ["panicked", "unwrap", "Err(", "Some(", "Error {", "RUST_BACKTRACE"];
