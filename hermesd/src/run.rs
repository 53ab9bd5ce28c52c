//! The daemon's life: lock, accounts, socket, and a clean end.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf};

use hermes_api::{ErrorCode, Measure, Problem};
use hermes_config::{LogLevel, Paths, SocketPath};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use crate::{
    daemon::Daemon,
    hardening,
    limits::STOP_REQUESTS,
    local::{self, LocalSocket, SocketError, ToProblem},
    lock::{LockError, LockFile},
    notify::Notifier,
    settings::{self, Settings},
    supervisor,
};

/// Everything that was decided before the daemon starts.
pub(crate) struct Prepared {
    paths: Paths,
    socket: SocketPath,
    settings: Settings,
}

/// Reads the environment and the configuration. What was said on the command line stands above both.
pub(crate) fn prepare(socket: Option<PathBuf>, log: Option<LogLevel>) -> Result<Prepared, Problem> {
    let wrong = |message: String| {
        let (message, hint) = message.split_once("; ").unwrap_or((&message, ""));
        Problem::new(ErrorCode::BadConfig, message, hint)
    };
    let paths = Paths::from_environment().map_err(|error| wrong(error.to_string()))?;
    let settings = Settings::read(paths.clone(), log).map_err(|error| settings::problem(&error))?;
    let socket = match socket {
        Some(path) => SocketPath::new(&path),
        None => paths.socket(),
    };
    let socket = socket.map_err(|error| wrong(error.to_string()))?;
    Ok(Prepared { paths, socket, settings })
}

impl Prepared {
    /// How much to log.
    pub(crate) fn log(&self) -> LogLevel {
        self.settings.config().daemon.log
    }

    /// Takes every measure that protects this process; how each went.
    pub(crate) fn harden(&self) -> Vec<Measure> {
        hardening::harden(&self.paths, &self.socket, &self.settings.config())
    }

    /// Runs until it is told to stop. `set_level` changes how much is logged.
    pub(crate) fn run(
        self,
        set_level: impl Fn(LogLevel) + Send + 'static,
        measures: Vec<Measure>,
    ) -> Result<(), Problem> {
        let _only_one = lock(&self.paths)?;
        let runtime = Runtime::new().map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("cannot start: {error}"),
                "check the limits of this user",
            )
        })?;
        runtime.block_on(self.live(set_level, measures))
    }

    async fn live(
        self,
        set_level: impl Fn(LogLevel) + Send + 'static,
        measures: Vec<Measure>,
    ) -> Result<(), Problem> {
        let notifier = Notifier::start(self.settings.config().notifications);
        let daemon = Daemon::new(self.paths, self.settings, notifier, measures);
        live(daemon, &self.socket, set_level).await
    }
}

async fn live(
    daemon: Daemon,
    socket: &SocketPath,
    set_level: impl Fn(LogLevel) + Send + 'static,
) -> Result<(), Problem> {
    stop_on_signals(&daemon)?;
    reload_on_signals(&daemon)?;
    follow_log_level(&daemon, set_level);
    daemon.open_accounts().await?;
    let socket = listen_at(socket)?;
    supervisor::keep_watchdog();
    tracing::info!("hermesd {} is ready", env!("CARGO_PKG_VERSION"));
    let mut stop = daemon.stop_signal();
    let serving = tokio::spawn(local::serve(socket, daemon.clone()));
    supervisor::ready();
    // An error would mean that the daemon is gone, which is held here.
    let _ = stop.wait_for(|stop| *stop).await;
    tracing::info!("stopping");
    supervisor::stopping().await;
    if timeout(STOP_REQUESTS, serving).await.is_err() {
        tracing::warn!("requests that would not end were cut off");
    }
    daemon.close_accounts().await;
    Ok(())
}

/// The socket that a service manager passed on, else one of our own.
fn listen_at(socket: &SocketPath) -> Result<LocalSocket, Problem> {
    let passed = supervisor::passed_socket(socket.as_path()).map_err(|error| {
        let hint = "correct the unit, or write it anew: hermesctl daemon install";
        Problem::new(ErrorCode::ForeignSocket, error.to_string(), hint)
    })?;
    let socket = match passed {
        Some(listener) => LocalSocket::passed(listener, socket),
        None => LocalSocket::bind(socket),
    };
    socket.map_err(|error| error.problem())
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
        let mut signals = listen(kind)?;
        let daemon = daemon.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                daemon.request_stop();
            }
        });
    }
    Ok(())
}

/// Reads the configuration again whenever the customary signal asks for it.
fn reload_on_signals(daemon: &Daemon) -> Result<(), Problem> {
    let mut signals = listen(SignalKind::hangup())?;
    let daemon = daemon.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            match daemon.settings().reload() {
                Ok(()) => tracing::info!("the configuration was read again"),
                Err(error) => tracing::warn!(%error, "the configuration stays as it was"),
            }
        }
    });
    Ok(())
}

fn follow_log_level(daemon: &Daemon, set_level: impl Fn(LogLevel) + Send + 'static) {
    let mut changes = daemon.settings().subscribe();
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            let level = changes.borrow_and_update().config().daemon.log;
            set_level(level);
        }
    });
}

fn listen(kind: SignalKind) -> Result<Signal, Problem> {
    signal(kind)
        .map_err(|error| Problem::new(ErrorCode::Internal, format!("cannot listen for signals: {error}"), ""))
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
