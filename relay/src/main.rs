//! `hermes-relay`: the relay as a program. It parses, starts, prints and stops; everything else is the library's.

mod cli;
mod command;
mod greeting;

use std::{
    io::{self, IsTerminal},
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
        .with_target(false)
        .init();
    let done = match &cli.command {
        Some(command) => command::carry_out(command),
        None => command::run(&cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hermes-relay: {failure}");
            failure.exit_code()
        }
    }
}
