//! What a service manager and this daemon say to each other: the socket it listens on, that it is ready, that it lives.
//!
//! The protocol is systemd's (`sd_listen_fds(3)`, `sd_notify(3)`). Where nobody supervises, nothing here does anything.

use std::{
    env, io,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::limits::{STOPPING_TOLD, WATCHDOG_PINGS};

/// Why a socket that was passed on is not listened at.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// More than one, of which nobody says what the others are for.
    #[error("{0} sockets were passed to hermesd, which takes one")]
    Several(usize),
    /// It is no listening Unix socket.
    #[error("what was passed to hermesd is no socket to listen at: {0}")]
    Kind(io::Error),
    /// Clients look for the daemon elsewhere.
    #[error("the socket that was passed to hermesd is at {}, not at {expected}", .found.display(), expected = .expected.display())]
    Elsewhere {
        /// Where it is; empty when it has no place.
        found: PathBuf,
        /// Where the configuration says.
        expected: PathBuf,
    },
}

/// Takes the listening socket that whoever started this process passed to it; nothing when none was passed.
/// It has to be one, of the right kind, and at `expected`. Its directory and owner are for the caller to check.
pub(crate) fn passed_socket(expected: &Path) -> Result<Option<UnixListener>, PassedError> {
    // The variables outlive the process they were meant for. The library would take their word without a process id.
    let ours = env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    if !ours {
        return Ok(None);
    }
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        several => return Err(PassedError::Several(several)),
    }
    let Some(listener) = passed.take_unix_listener(0).map_err(PassedError::Kind)? else { return Ok(None) };
    listens_at(&listener, expected)?;
    Ok(Some(listener))
}

fn listens_at(listener: &UnixListener, expected: &Path) -> Result<(), PassedError> {
    let address = listener.local_addr().map_err(PassedError::Kind)?;
    if address.as_pathname() != Some(expected) {
        let found = address.as_pathname().unwrap_or(Path::new("")).to_owned();
        return Err(PassedError::Elsewhere { found, expected: expected.to_owned() });
    }
    match rustix::net::sockopt::socket_acceptconn(listener) {
        Ok(true) => Ok(()),
        Ok(false) => Err(PassedError::Kind(io::Error::from(io::ErrorKind::NotConnected))),
        Err(error) => Err(PassedError::Kind(error.into())),
    }
}

/// Whether somebody is told how this daemon is doing.
pub(crate) fn is_supervised() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
}

/// Requests are answered from here on.
pub(crate) fn ready() {
    apart(|| tell(NotifyState::Ready));
}

/// The daemon ends, and may take a moment. It ends all the same where nobody listens.
pub(crate) async fn stopping() {
    let (told, heard) = oneshot::channel();
    apart(move || {
        tell(NotifyState::Stopping);
        let _ = told.send(());
    });
    let _ = timeout(STOPPING_TOLD, heard).await;
}

/// Says that the daemon lives for as long as it does, if somebody wants to hear it: a daemon whose tasks do not run any
/// more is killed and started again.
pub(crate) fn keep_watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| *patience > Duration::ZERO) else {
        return;
    };
    let (ping, due) = mpsc::sync_channel(1);
    apart(move || due.iter().for_each(|()| tell(NotifyState::Watchdog)));
    tokio::spawn(async move {
        let mut pings = interval(patience / WATCHDOG_PINGS);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pings.tick().await;
            // One that is not told yet stands for this one as well.
            let _ = ping.try_send(());
        }
    });
}

/// Tells something on a thread of its own: the socket takes a few notices that nobody has read, and whoever tells one more
/// waits, which is no reason for messages to wait.
fn apart(telling: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name("supervisor".to_owned()).spawn(telling) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_to_be_where_clients_look() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("d.sock");
        let listener = UnixListener::bind(&path).unwrap();
        listens_at(&listener, &path).unwrap();
        let elsewhere = home.path().join("other.sock");
        assert!(matches!(listens_at(&listener, &elsewhere), Err(PassedError::Elsewhere { .. })));
    }

    #[test]
    fn variables_of_another_process_are_not_ours() {
        // Nobody passed anything to a test.
        assert!(passed_socket(Path::new("/nowhere")).unwrap().is_none());
    }
}
