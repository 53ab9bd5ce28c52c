//! The Hermes command line: reads arguments, asks the daemon, shows what it says.
//!
//! Deliberately absent: keys, cryptography and every file of the daemon's. What this program knows of messages is what
//! the local API tells it.

mod clean;
mod cli;
mod command;
mod completion;
mod daemon;
mod demo;
mod duration;
mod input;
mod invocation;
mod limits;
mod output;
mod progress;
mod render;
mod service;
mod stop;
mod tui;

use std::{path::Path, process::ExitCode};

use hermes_api::{ErrorCode, Exit, Problem};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Cli, ClientCommand, Command},
    invocation::{Basis, Invocation},
    output::{Line, Notes, Output},
    stop::Stop,
};

fn main() -> ExitCode {
    completion::answer();
    let cli = cli::parse();
    let output = Output::new(&cli.global);
    let notes = Notes::new(&cli.global);
    let exit = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli, output, notes));
            // A thread may still be reading from a terminal where nobody will ever press Enter.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            notes.problem(&Problem::new(ErrorCode::Internal, format!("cannot start: {error}"), ""));
            Exit::Failure
        }
    };
    ExitCode::from(exit.code())
}

async fn run(cli: Cli, mut output: Output, notes: Notes) -> Exit {
    let result = match cli.command {
        command @ (Command::Config(_) | Command::Doctor | Command::Bugreport(_)) => tokio::select! {
            result = look_around(command, &cli.global, output, notes) => result,
            interrupt = interrupted() => Err(interrupt.into()),
        },
        // It has processes to end, so it hears of the interrupt itself.
        Command::Demo => demo::run(output, notes, interrupted()).await,
        Command::Completion(args) => {
            completion::script(args.shell).and_then(|script| output.verbatim(&script))
        }
        Command::Man(args) => manual(&args.directory, notes),
        Command::Client(command) => tokio::select! {
            result = ask_daemon(command, &cli.global, output, notes) => result,
            interrupt = interrupted() => Err(interrupt.into()),
        },
    };
    match result {
        Ok(exit) => exit,
        Err(Stop::PipeClosed) => Exit::Ok,
        Err(Stop::Problem(problem)) => {
            if problem.code != ErrorCode::Interrupted {
                notes.problem(&problem);
            }
            problem.code.exit()
        }
    }
}

fn manual(directory: &Path, notes: Notes) -> Result<Exit, Stop> {
    let pages = completion::manual(directory)?;
    let directory = directory.display();
    notes.say(&Line::new(format!(
        "{pages} pages in {directory}; to read one: man -l {directory}/hermesctl.1"
    )));
    Ok(Exit::Ok)
}

async fn ask_daemon(
    command: ClientCommand,
    global: &cli::Global,
    output: Output,
    notes: Notes,
) -> Result<Exit, Stop> {
    let mut invocation = Invocation::new(global, Basis::new(global, output, notes)?)?;
    let done = command::run(command, &mut invocation).await;
    // Whatever went wrong, this may be why; and if nothing did, something will.
    if let Some(line) = invocation.daemon.other_build() {
        notes.say(&line);
    }
    done
}

/// What must work when nothing else does: with a wrong configuration, and without a daemon.
async fn look_around(
    command: Command,
    global: &cli::Global,
    output: Output,
    notes: Notes,
) -> Result<Exit, Stop> {
    let mut basis = Basis::new(global, output, notes)?;
    match command {
        Command::Config(command) => command::config::run(command, global, &mut basis).await,
        Command::Bugreport(args) => command::doctor::bugreport(args, &mut basis).await,
        _ => command::doctor::run(&mut basis).await,
    }
}

/// Ends when the user, the system or the terminal asks this program to end.
async fn interrupted() -> Problem {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    match (signal(kinds[0]), signal(kinds[1]), signal(kinds[2])) {
        (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            Problem::new(ErrorCode::Interrupted, "interrupted", "")
        }
        (Err(error), ..) | (_, Err(error), _) | (_, _, Err(error)) => {
            Problem::new(ErrorCode::Internal, format!("cannot listen for signals: {error}"), "")
        }
    }
}
