//! `hermesd`: one daemon per user. It holds the keys and the stores, talks to the relays, and serves the local API.
//!
//! Decisions about messages are the engine's. This program gives it a disk, a network, a clock and randomness, and gives
//! the user's programs a socket.

mod account;
mod birth;
mod clock;
mod daemon;
mod hardening;
mod keystore;
mod limits;
mod link;
mod local;
mod lock;
mod notify;
mod passphrase;
mod random;
mod run;
mod store;

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::Parser;
use hermes_api::Problem;
use hermes_config::LogLevel;
use tracing_subscriber::EnvFilter;

/// The Hermes daemon: keeps your keys, sends and receives your messages.
///
/// It runs in the foreground and logs to stderr. hermesctl starts it in the background when it is needed.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Listen at this socket instead of the one in the runtime directory
    #[arg(long, value_name = "PATH", env = "HERMES_SOCKET")]
    socket: Option<PathBuf>,
    /// How much to log: error, warn, info, debug or trace [env: HERMES_LOG]
    #[arg(long, value_name = "LEVEL")]
    log: Option<LogLevel>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run::prepare(options.socket, options.log).and_then(|prepared| {
        log_to_stderr(prepared.log());
        hardening::harden();
        prepared.run()
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem);
            ExitCode::from(problem.code.exit().code())
        }
    }
}

fn log_to_stderr(level: LogLevel) {
    // Other crates could log what we would not.
    let filter = EnvFilter::new(format!("off,hermesd={level}"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
}

fn report(problem: &Problem) {
    eprintln!("hermesd: {}", problem.message);
    if !problem.hint.is_empty() {
        eprintln!("  {}", problem.hint);
    }
}
