//! `hermes-relay`: the relay as a program. It parses, starts, prints and stops; everything else is the library's.

mod cli;
mod command;
mod greeting;

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let asked = env::var("HERMES_LOG").ok().and_then(|asked| asked.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_target("hermes_relay", Level::INFO));
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A log that cannot be written is said on stderr otherwise, which panics where that is the log.
        .log_internal_errors(false)
        .with_target(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
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
