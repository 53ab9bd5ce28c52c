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
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

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
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        // A log that cannot be written is said on stderr otherwise, which panics where that is the log.
        .log_internal_errors(false);
    let (filter, handle) = reload::Layer::new(only_ours(level));
    tracing_subscriber::registry().with(filter).with(lines).init();
    move |level| {
        if let Err(error) = handle.reload(only_ours(level)) {
            tracing::warn!(%error, "the log level cannot be changed");
        }
    }
}

/// Other crates could log what we would not.
fn only_ours(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    Targets::new().with_target("hermesd", level)
}

fn report(problem: &Problem) {
    // Nobody can be told that nobody can be told.
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "hermesd: {}", problem.message);
    if !problem.hint.is_empty() {
        let _ = writeln!(stderr, "  {}", problem.hint);
    }
}
