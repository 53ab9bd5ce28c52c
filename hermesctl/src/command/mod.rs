//! The commands, one file each: ask the daemon, show the answer.

pub(crate) mod accept;
pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod block;
mod catch_up;
pub(crate) mod chat;
pub(crate) mod config;
pub(crate) mod contact;
pub(crate) mod daemon;
pub(crate) mod dnd;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod group;
pub(crate) mod inbox;
pub(crate) mod init;
pub(crate) mod invite;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod mark;
pub(crate) mod on;
pub(crate) mod outbox;
pub(crate) mod peers;
pub(crate) mod profile;
pub(crate) mod read;
pub(crate) mod recover;
pub(crate) mod requests;
pub(crate) mod search;
pub(crate) mod send;
pub(crate) mod status;
mod stuck;
pub(crate) mod verify;

use std::time::SystemTime;

use hermes_api::{Exit, Problem, UnixMillis};

use crate::{
    cli::{self, ClientCommand},
    invocation::Invocation,
    output::{Format, Line, WARN},
    render::qr,
    stop::Stop,
    tui,
};

/// Runs one command and writes its results out.
pub(crate) async fn run(command: ClientCommand, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let exit = match command {
        ClientCommand::Init(args) => init::run(args, invocation).await,
        ClientCommand::Account(args) => {
            account::run(args.command.unwrap_or(cli::Account::Ls), invocation).await
        }
        ClientCommand::Profile(args) => profile::run(args, invocation).await,
        ClientCommand::Invite(args) => invite::run(args, invocation).await,
        ClientCommand::Accept(args) => accept::run(args, invocation).await,
        ClientCommand::Requests(args) => {
            requests::run(args.command.unwrap_or(cli::Requests::Ls), invocation).await
        }
        ClientCommand::Contact(args) => {
            contact::run(args.command.unwrap_or(cli::Contact::Ls), invocation).await
        }
        ClientCommand::Block { contact } => block::block(&contact, invocation).await,
        ClientCommand::Unblock { contact } => block::unblock(&contact, invocation).await,
        ClientCommand::Peers => peers::list(invocation).await,
        ClientCommand::Ping(args) => peers::ping(args, invocation).await,
        ClientCommand::Group(args) => group::run(args.command.unwrap_or(cli::Group::Ls), invocation).await,
        ClientCommand::Chat(args) => {
            chat::run(args.command.unwrap_or(cli::Chat::Ls { all: false }), invocation).await
        }
        ClientCommand::Send(args) => send::run(args, invocation).await,
        ClientCommand::Inbox(args) => inbox::run(args, invocation).await,
        ClientCommand::React(args) => mark::react(args, invocation).await,
        ClientCommand::Edit(args) => mark::edit(args, invocation).await,
        ClientCommand::Unsend(args) => mark::unsend(args, invocation).await,
        ClientCommand::Read(args) => read::run(args, invocation).await,
        ClientCommand::Log(args) => log::run(args, invocation).await,
        ClientCommand::Search(args) => search::run(args, invocation).await,
        ClientCommand::Outbox(args) => {
            outbox::run(args.command.unwrap_or(cli::Outbox::Ls { chat: None }), invocation).await
        }
        ClientCommand::Dnd(args) => dnd::run(args, invocation).await,
        ClientCommand::Tui(args) => tui::run(args, invocation).await,
        ClientCommand::Audit(args) => audit::run(args, invocation).await,
        ClientCommand::Recover(args) => recover::run(args, invocation).await,
        ClientCommand::Backup(args) => backup::back_up(args, invocation).await,
        ClientCommand::Restore(args) => backup::restore(args, invocation).await,
        ClientCommand::Export(args) => export::run(args, invocation).await,
        ClientCommand::Lock => keys::lock(invocation).await,
        ClientCommand::Unlock => keys::unlock(invocation).await,
        ClientCommand::Keys(args) => keys::run(args, invocation).await,
        ClientCommand::On(args) => on::run(args, invocation).await,
        ClientCommand::Events(args) => events::run(args.command.unwrap_or(cli::Events::Ls), invocation).await,
        ClientCommand::Api(args) => api::run(args, invocation).await,
        ClientCommand::Status => status::run(invocation).await,
        ClientCommand::Daemon(args) => daemon::run(args, invocation).await,
    };
    let exit = exit?;
    invocation.output.flush()?;
    Ok(exit)
}

/// A text's QR code, for people. Where it cannot be drawn the text is still there.
fn show_qr(text: &str, invocation: &mut Invocation) {
    if invocation.output.format == Format::Json {
        return;
    }
    match qr::lines(text, invocation.output.width) {
        Ok(lines) => lines.iter().for_each(|line| invocation.output.line(line)),
        Err(Problem { message, hint, .. }) => {
            let warning = Line::default().styled(WARN, "warning: ").plain(format!("{message}: {hint}"));
            invocation.notes.say(&warning);
        }
    }
}

fn now() -> UnixMillis {
    SystemTime::now().into()
}
