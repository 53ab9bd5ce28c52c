//! Waiting for what is at the relay: a daemon that was just started has not fetched it yet.

use hermes_api::{AccountStatus, ConnectionState};
use tokio::time::{Instant, sleep};

use crate::{daemon::Daemon, limits, output::Line, render::account::relay_host};

/// Waits while the account connects for the first time or fetches, and says what there may be beyond: nothing when
/// everything is here. The inbox is listed whatever comes of it, so a daemon that does not answer here is its business.
pub(super) async fn catch_up(account: &str, daemon: &Daemon) -> Option<Line> {
    let deadline = Instant::now() + limits::CATCH_UP;
    loop {
        let status = daemon.repeatable(async |client| client.status().await).await.ok()?;
        let account = status.accounts.into_iter().find(|known| known.name == account)?;
        if !is_under_way(&account) || Instant::now() >= deadline {
            return beyond(&account);
        }
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
            Some(Line::new(format!("More is coming from {relay}: hermesctl inbox")))
        }
        _ => Some(Line::new(format!("Not connected to {relay}: there may be more. Why: hermesctl status"))),
    }
}
