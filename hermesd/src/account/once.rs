//! Requests that carry an idempotency key: what they ask of the engine is done once.
//!
//! A key belongs to a request, not to a command, so it travels with the request's task; no handler has to think of it, and
//! none can forget it.

use std::{cell::Cell, future::Future};

use hermes_engine::{Command, Idempotency};

/// A request's key and what it asks for.
pub(crate) type Once = Idempotency;

tokio::task_local! {
    /// Taken by the request's first command: one request asks for one thing.
    static ASKED: Cell<Option<Idempotency>>;
}

/// Runs a request's handler under its key.
pub(crate) async fn carry_out_once<T>(asked: Once, handler: impl Future<Output = T>) -> T {
    ASKED.scope(Cell::new(Some(asked)), handler).await
}

/// The command as it is to be carried out.
pub(super) fn once(command: Command) -> Command {
    // Outside of a request with a key there is none to take.
    let Some(asked) = ASKED.try_with(Cell::take).ok().flatten() else { return command };
    match command {
        // Sending knows keys itself. One in the request's body was meant first.
        Command::Send(mut send) => {
            send.idempotency = send.idempotency.or(Some(asked.key));
            Command::Send(send)
        }
        other => Command::Once(asked, Box::new(other)),
    }
}
