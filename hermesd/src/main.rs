//! `hermesd`: one daemon per user. It holds the keys and the stores, talks to the relays, and serves the local API.
//!
//! Decisions about messages are the engine's. This program gives it a disk, a network, a clock and randomness, and gives
//! the user's programs a socket.

mod account;
mod allocator;
mod backup;
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
mod settings;
mod store;
mod supervisor;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

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
    if cfg!(target_env = "gnu") {
        allocator::tell();
    }
    match run::prepare(options.socket, options.log).and_then(|prepared| {
        let level = log_to_stderr(prepared.log());
        let measures = prepared.harden();
        prepared.run(level, measures)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem);
            ExitCode::from(problem.code.exit().code())
        }
    }
}

/// Begins to log; returns what changes how much.
fn log_to_stderr(level: LogLevel) -> impl Fn(LogLevel) + Send + 'static {
    let ansi = std::io::stderr().is_terminal();
    let logger = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        // A log that cannot be written is said on stderr otherwise, which panics where that is the log.
        .log_internal_errors(false)
        .with_env_filter(filter(level))
        .with_filter_reloading();
    let handle = logger.reload_handle();
    logger.init();
    move |level| {
        if let Err(error) = handle.reload(filter(level)) {
            tracing::warn!(%error, "the log level cannot be changed");
        }
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    // Other crates could log what we would not.
    EnvFilter::new(format!("off,hermesd={level}"))
}

fn report(problem: &Problem) {
    // Nobody can be told that nobody can be told.
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "hermesd: {}", problem.message);
    if !problem.hint.is_empty() {
        let _ = writeln!(stderr, "  {}", problem.hint);
    }
}
