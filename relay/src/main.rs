//! `hermes-relay`: the relay as a program. It parses, starts, prints and stops; everything else is the library's.

mod cli;
mod command;
mod greeting;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let filter =
        EnvFilter::try_from_env("HERMES_LOG").unwrap_or_else(|_| EnvFilter::new("hermes_relay=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A log that cannot be written is said on stderr otherwise, which panics where that is the log.
        .log_internal_errors(false)
        .with_target(false)
        .init();
    let done = match &cli.command {
        Some(command) => command::carry_out(command),
        None => command::run(&cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody can be told that nobody can be told.
            let _ = writeln!(io::stderr(), "hermes-relay: {failure}");
            failure.exit_code()
        }
    }
}
