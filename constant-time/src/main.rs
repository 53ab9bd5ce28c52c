//! Runs what touches secrets with the secrets marked undefined, under Valgrind's memcheck (the method of Langley's
//! ctgrind): memcheck reports each branch and each address that depends on an undefined byte.
//!
//! What becomes public on the way is marked defined where this program has it in hand, and named in `public.supp` where
//! it has not. `./check` builds and runs it.

#![forbid(unsafe_code)]

mod control;
mod ephemeral;
mod handshake;
mod invite;
mod ratchet;
mod retired;
mod store;
#[path = "../../protocol/tests/support/mod.rs"]
mod support;
mod taint;

// The daemon is a program and no library, so its sealing is compiled in from where it stands.
#[path = "../../hermesd/src/random.rs"]
mod random;
#[path = "../../hermesd/src/store/sealing.rs"]
mod sealing;
use store::keystore;

use std::process::ExitCode;

use crabgrind::RunMode;

/// What a case has to come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Nothing depends on a secret.
    Quiet,
    /// The check has to find what was put there for it.
    Reported,
}

use Expected::{Quiet, Reported};

const CASES: &[(&str, Expected, fn())] = &[
    ("control: a comparison that stops at the first difference", Reported, control::early_exit),
    ("control: a table looked up by a secret", Reported, control::lookup),
    ("control: a comparison in constant time", Quiet, control::constant_time),
    ("identity keys", Quiet, handshake::identity),
    ("prekeys are made and signed", Quiet, handshake::publish),
    ("initiator", Quiet, handshake::initiator),
    ("responder opens the sealed identity", Quiet, handshake::open_identity),
    ("responder", Quiet, handshake::responder),
    ("ratchet: seal", Quiet, ratchet::seal),
    ("ratchet: seal with an ML-KEM offer", Quiet, ratchet::seal_offer),
    ("ratchet: seal with an ML-KEM answer", Quiet, ratchet::seal_answer),
    ("ratchet: trials of header keys", Quiet, ratchet::header_trials),
    ("ratchet: open in order", Quiet, ratchet::open_next),
    ("ratchet: open and skip", Quiet, ratchet::open_ahead),
    ("ratchet: open with a skipped key", Quiet, ratchet::open_skipped),
    ("ratchet: open a turn", Quiet, ratchet::open_turn),
    ("ratchet: open a turn with an ML-KEM offer", Quiet, ratchet::open_offer),
    ("ratchet: open a turn with an ML-KEM answer", Quiet, ratchet::open_answer),
    ("ratchet: a forged message", Quiet, ratchet::open_forged),
    ("ephemeral: seal", Quiet, ephemeral::seal),
    ("ephemeral: open", Quiet, ephemeral::open),
    ("ephemeral: open under the previous key", Quiet, ephemeral::open_late),
    ("ephemeral: a forged message", Quiet, ephemeral::open_forged),
    ("retired: open in order", Quiet, retired::open_next),
    ("retired: open with a skipped key", Quiet, retired::open_skipped),
    ("retired: trials of header keys", Quiet, retired::header_trials),
    ("retired: a forged message", Quiet, retired::open_forged),
    ("invite: proof made and checked", Quiet, invite::proof),
    ("store: a row sealed and opened", Quiet, store::row),
];

fn main() -> ExitCode {
    if crabgrind::run_mode() == RunMode::Native {
        eprintln!("this program finds nothing outside of Valgrind\n  → run ./check");
        return ExitCode::from(2);
    }
    let mut failed = false;
    for (name, expected, case) in CASES {
        let before = crabgrind::count_errors();
        case();
        let reports = crabgrind::count_errors() - before;
        let verdict = match (expected, reports) {
            (Quiet, 0) | (Reported, 1..) => "ok  ",
            _ => "FAIL",
        };
        failed |= verdict != "ok  ";
        println!("{verdict} {name}: {reports} reports");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
