//! The daemon's life: lock, accounts, socket, and a clean end.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf};

use hermes_api::{ErrorCode, Problem};
use hermes_config::{Config, LogLevel, Notifications, Paths, SocketPath};
use hermes_engine::{Audience, Privacy, ReadReceipts};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    daemon::Daemon,
    limits::STOP_REQUESTS,
    local::{self, LocalSocket, SocketError, ToProblem},
    lock::{LockError, LockFile},
    notify::Notifier,
};

/// Everything that was decided before the daemon starts.
pub(crate) struct Prepared {
    paths: Paths,
    passphrase_command: Vec<String>,
    socket: SocketPath,
    log: LogLevel,
    notifications: Notifications,
    privacy: Privacy,
}

/// Reads the environment and the configuration. What was said on the command line stands above both.
pub(crate) fn prepare(socket: Option<PathBuf>, log: Option<LogLevel>) -> Result<Prepared, Problem> {
    let wrong = |message: String| {
        let (message, hint) = message.split_once("; ").unwrap_or((&message, ""));
        Problem::new(ErrorCode::BadConfig, message, hint)
    };
    let paths = Paths::from_environment().map_err(|error| wrong(error.to_string()))?;
    let config = Config::load(&paths).map_err(|error| wrong(error.to_string()))?;
    let socket = match socket {
        Some(path) => SocketPath::new(&path),
        None => paths.socket(),
    };
    let socket = socket.map_err(|error| wrong(error.to_string()))?;
    let privacy = privacy(&config.privacy);
    let log = log.unwrap_or(config.daemon.log);
    let passphrase_command = config.keys.passphrase_command;
    Ok(Prepared { paths, passphrase_command, socket, log, privacy, notifications: config.notifications })
}

fn privacy(settings: &hermes_config::Privacy) -> Privacy {
    Privacy {
        presence: match settings.presence {
            hermes_config::Audience::Contacts => Audience::Contacts,
            hermes_config::Audience::Nobody => Audience::Nobody,
        },
        read_receipts: if settings.read_receipts { ReadReceipts::Sent } else { ReadReceipts::Withheld },
    }
}

impl Prepared {
    /// How much to log.
    pub(crate) fn log(&self) -> LogLevel {
        self.log
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(self) -> Result<(), Problem> {
        let _only_one = lock(&self.paths)?;
        let runtime = Runtime::new().map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("cannot start: {error}"),
                "check the limits of this user",
            )
        })?;
        runtime.block_on(self.live())
    }

    async fn live(self) -> Result<(), Problem> {
        let notifier = Notifier::start(self.notifications);
        let daemon = Daemon::new(self.paths, notifier, self.passphrase_command);
        daemon.set_privacy(self.privacy);
        live(daemon, &self.socket).await
    }
}

async fn live(daemon: Daemon, socket: &SocketPath) -> Result<(), Problem> {
    stop_on_signals(&daemon)?;
    daemon.open_accounts().await?;
    let socket = LocalSocket::bind(socket).map_err(|error| error.problem())?;
    tracing::info!("hermesd {} is ready", env!("CARGO_PKG_VERSION"));
    let mut stop = daemon.stop_signal();
    let serving = tokio::spawn(local::serve(socket, daemon.clone()));
    // An error would mean that the daemon is gone, which is held here.
    let _ = stop.wait_for(|stop| *stop).await;
    tracing::info!("stopping");
    if timeout(STOP_REQUESTS, serving).await.is_err() {
        tracing::warn!("requests that would not end were cut off");
    }
    daemon.close_accounts().await;
    Ok(())
}

fn lock(paths: &Paths) -> Result<LockFile, Problem> {
    let path = paths.daemon_lock();
    let failed = |message: String| {
        Problem::new(ErrorCode::StoreFailed, message, "check its permissions, or set HERMES_HOME elsewhere")
    };
    if let Some(data) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .map_err(|error| failed(format!("cannot make {}: {error}", data.display())))?;
    }
    LockFile::acquire(&path).map_err(|error| match error {
        LockError::Held(pid) => {
            let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            Problem::new(
                ErrorCode::DaemonRunning,
                format!("another hermesd of this user is running{who}"),
                "use that one, or end it: hermesctl daemon stop",
            )
        }
        error @ LockError::Io { .. } => failed(error.to_string()),
    })
}

fn stop_on_signals(daemon: &Daemon) -> Result<(), Problem> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|error| {
            Problem::new(ErrorCode::Internal, format!("cannot listen for signals: {error}"), "")
        })?;
        let daemon = daemon.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                daemon.request_stop();
            }
        });
    }
    Ok(())
}

impl ToProblem for SocketError {
    fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Link(_) | Self::Foreign { .. } => {
                (ErrorCode::ForeignSocket, "choose another place with --socket or HERMES_HOME".to_owned())
            }
            Self::Open { path, .. } => {
                (ErrorCode::ForeignSocket, format!("run: chmod 700 {}", path.display()))
            }
            Self::Occupied(_) => (ErrorCode::ForeignSocket, "move it away".to_owned()),
            Self::Io { .. } => (ErrorCode::DaemonUnreachable, "check the directory's permissions".to_owned()),
        };
        Problem::new(code, self.to_string(), hint)
    }
}
