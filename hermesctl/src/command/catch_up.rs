//! Waiting for what is at the relay: a daemon that was just started has not fetched it yet.

use hermes_api::{AccountStatus, ConnectionState};
use tokio::time::{Instant, sleep};

use crate::{
    invocation::Invocation,
    limits,
    output::Line,
    render::{account::relay_host, audit::counted},
};

/// Waits while the account connects for the first time or fetches, and says what there may be beyond: nothing when
/// everything is here. The inbox is listed whatever comes of it, so a daemon that does not answer here is its business.
pub(super) async fn catch_up(account: &str, invocation: &Invocation) -> Option<Line> {
    let mut least = u64::MAX;
    let mut deadline = Instant::now() + limits::CATCH_UP;
    let mut progress = None;
    loop {
        let status = invocation.daemon.repeatable(async |client| client.status().await).await.ok()?;
        let account = status.accounts.into_iter().find(|known| known.name == account)?;
        if account.waiting < least {
            least = account.waiting;
            deadline = Instant::now() + limits::CATCH_UP;
        }
        if !is_under_way(&account) || Instant::now() >= deadline {
            return beyond(&account);
        }
        if account.waiting >= limits::BACKLOG && progress.is_none() {
            progress = Some(invocation.notes.progress("fetching"));
        }
        progress.iter().for_each(|progress| progress.left(account.waiting));
        sleep(limits::LOOK).await;
    }
}

/// Whether it is a matter of moments. An account that has failed to connect may stay so for days.
fn is_under_way(account: &AccountStatus) -> bool {
    match account.connection.state {
        ConnectionState::Connecting | ConnectionState::Registering => account.connection.reason.is_none(),
        ConnectionState::Connected => !account.caught_up,
        ConnectionState::Offline | ConnectionState::Refused => false,
    }
}

fn beyond(account: &AccountStatus) -> Option<Line> {
    let relay = relay_host(&account.relay);
    match account.connection.state {
        ConnectionState::Connected if account.caught_up => None,
        ConnectionState::Connected => {
            let more = match account.waiting {
                0 => "More".to_owned(),
                waiting => format!("More, at most {},", counted(waiting, "envelope")),
            };
            Some(Line::new(format!("{more} is to come from {relay}: hermesctl inbox")))
        }
        _ => Some(Line::new(format!("Not connected to {relay}: there may be more. Why: hermesctl status"))),
    }
}
