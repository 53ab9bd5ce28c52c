//! The commands, one file each: ask the daemon, show the answer.

pub(crate) mod accept;
pub(crate) mod contact;
pub(crate) mod daemon;
pub(crate) mod inbox;
pub(crate) mod init;
pub(crate) mod invite;
pub(crate) mod log;
pub(crate) mod send;
pub(crate) mod status;

use std::time::SystemTime;

use hermes_api::{Exit, UnixMillis};

use crate::{cli::Command, invocation::Invocation, stop::Stop};

/// Runs one command. `demo` is none of them: it needs no daemon of the user's.
pub(crate) async fn run(command: Command, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let exit = match command {
        Command::Init(args) => init::run(args, invocation).await,
        Command::Invite(args) => invite::run(args, invocation).await,
        Command::Accept(args) => accept::run(args, invocation).await,
        Command::Contact(args) => contact::run(args, invocation).await,
        Command::Send(args) => send::run(args, invocation).await,
        Command::Inbox(args) => inbox::run(args, invocation).await,
        Command::Log(args) => log::run(args, invocation).await,
        Command::Status => status::run(invocation).await,
        Command::Daemon(args) => daemon::run(args, invocation).await,
        Command::Demo => Ok(Exit::Ok),
    };
    let exit = exit?;
    invocation.output.flush()?;
    Ok(exit)
}

fn now() -> UnixMillis {
    SystemTime::now().into()
}
