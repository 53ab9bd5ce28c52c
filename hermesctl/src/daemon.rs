//! Reaching the daemon: the client, and starting hermesd in the background when nobody answers.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use hermes_api::{Client, ClientError, DaemonStatus, ErrorCode, Exit, OtherBuild, Problem};
use hermes_config::{SocketPath, unit::ALLOCATOR};
use tokio::time::{Instant, sleep};

use crate::{
    limits,
    output::{Line, Notes, WARN},
    service,
};

/// How hermesd begins the line that says why it ends.
const REPORT: &str = "hermesd: ";

/// Whether the daemon may be started when it is not running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Autostart {
    /// Started, and said so.
    On,
    /// The user or the configuration said no.
    Off,
}

/// The daemon of this user.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    pub(crate) client: Client,
    pub(crate) socket: SocketPath,
    /// Where a daemon that is started here writes its log.
    pub(crate) log: PathBuf,
    /// The file in which a living daemon says its process id.
    pub(crate) lock: PathBuf,
    pub(crate) autostart: Autostart,
    pub(crate) notes: Notes,
}

impl Daemon {
    /// Sends a request that must not be repeated once it may have reached the daemon.
    pub(crate) async fn once<R>(
        &self,
        request: impl AsyncFn(&Client) -> Result<R, ClientError>,
    ) -> Result<R, ClientError> {
        match request(&self.client).await {
            Err(ClientError::NotRunning { .. }) if self.autostart == Autostart::On => {
                self.start().await?;
                request(&self.client).await
            }
            answer => answer,
        }
    }

    /// Sends a request that changes nothing or carries an idempotency key, again and again while daemons die under it.
    pub(crate) async fn repeatable<R>(
        &self,
        request: impl AsyncFn(&Client) -> Result<R, ClientError>,
    ) -> Result<R, ClientError> {
        for _ in 1..limits::ATTEMPTS {
            match self.once(&request).await {
                Err(ClientError::Broken(_)) => {}
                answer => return answer,
            }
        }
        self.once(&request).await
    }

    /// Sends a request that changes something under a key of its own, so that it can be repeated like any other.
    pub(crate) async fn keyed<R>(
        &self,
        request: impl AsyncFn(&Client) -> Result<R, ClientError>,
    ) -> Result<R, ClientError> {
        let key = format!("{:032x}", rand::random::<u128>());
        let keyed = Self { client: self.client.under(key), ..self.clone() };
        keyed.repeatable(request).await
    }

    /// Starts hermesd and waits until it answers: as the service where that is installed, else in the background.
    pub(crate) async fn start(&self) -> Result<DaemonStatus, Problem> {
        match service::keeper(&self.socket).await {
            Some(manager) => {
                manager.start().await?;
                self.client.status().await.map_err(|error| error.problem())
            }
            None => self.start_in_background().await,
        }
    }

    /// Another one that wins the race to start is as good.
    async fn start_in_background(&self) -> Result<DaemonStatus, Problem> {
        let program = sibling("hermesd")?;
        let (_, log_start) = self.open_log()?;
        let deadline = Instant::now() + limits::START;
        let mut child: Option<Child> = None;
        loop {
            match self.client.status().await {
                Ok(status) => {
                    if child.is_some_and(|child| child.id() == status.pid) {
                        self.say_started(&status);
                    }
                    return Ok(status);
                }
                Err(ClientError::NotRunning { .. } | ClientError::Broken(_)) => {}
                Err(error) => return Err(error.problem()),
            }
            if Instant::now() >= deadline {
                let message = format!("hermesd did not answer within {} s", limits::START.as_secs());
                return Err(Problem::new(ErrorCode::DaemonUnreachable, message, self.see_log()));
            }
            // Another daemon is starting, and will answer, or stopping, and will make room.
            let other = self.lock_holder().is_some_and(is_running);
            match &mut child {
                None if !other => child = Some(self.spawn(&program)?),
                None => {}
                Some(running) => {
                    if let Ok(Some(ended)) = running.try_wait() {
                        if !other {
                            return Err(self.ended_early(ended, log_start));
                        }
                        child = None;
                    }
                }
            }
            sleep(limits::LOOK).await;
        }
    }

    fn spawn(&self, program: &Path) -> Result<Child, Problem> {
        let (log, _) = self.open_log()?;
        // What a script has open, a pipe or a lock, must not stay open for as long as the daemon lives.
        close_fds::set_fds_cloexec(3, &[]);
        let spawned = Command::new(program)
            .arg("--socket")
            .arg(self.socket.as_path())
            // A directory that someone will want to unmount or delete is no place to live in.
            .current_dir("/")
            .envs(ALLOCATOR)
            // Whoever supervises this program, or passed sockets to it, did not mean the daemon.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Its own process group: the terminal's Ctrl-C is meant for this program, not for the daemon.
            .process_group(0)
            .spawn();
        spawned.map_err(|error| {
            let message = format!("cannot start {}: {error}", program.display());
            Problem::new(ErrorCode::DaemonUnreachable, message, "reinstall Hermes, or start hermesd by hand")
        })
    }

    fn say_started(&self, status: &DaemonStatus) {
        let started =
            format!("started hermesd in the background (pid {}, log {})", status.pid, self.log.display());
        self.notes.say(&Line::new(started));
    }

    /// What is to be said when the daemon and this program were not made together.
    pub(crate) fn other_build(&self) -> Option<Line> {
        let build = self.client.other_build()?;
        let pid = self.lock_holder();
        let made = |program: &Path| std::fs::metadata(program).and_then(|file| file.modified()).ok();
        // The file that it runs, also when another one has taken its place.
        let daemon = pid.and_then(|pid| made(Path::new(&format!("/proc/{pid}/exe"))));
        let own = std::env::current_exe().ok().and_then(|own| made(&own));
        let (than, what) = match daemon.zip(own).map(|(daemon, own)| daemon.cmp(&own)) {
            _ if build == OtherBuild::Silent => ("older than", "hermesctl daemon restart"),
            Some(std::cmp::Ordering::Greater) => ("newer than", "install the hermesctl that came with it"),
            Some(std::cmp::Ordering::Less) => ("older than", "hermesctl daemon restart"),
            _ => ("of another build than", "hermesctl daemon restart"),
        };
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let said = format!("hermesd{pid} is {than} hermesctl: {what}");
        Some(Line::default().styled(WARN, "warning: ").plain(said))
    }

    fn lock_holder(&self) -> Option<u32> {
        std::fs::read_to_string(&self.lock).ok()?.trim().parse().ok()
    }

    /// Opens the log for appending; with it, where what comes next will begin.
    fn open_log(&self) -> Result<(File, u64), Problem> {
        let open = || {
            if let Some(directory) = self.log.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            }
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.log)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        open().map_err(|error: io::Error| {
            let message = format!("cannot write the daemon's log {}: {error}", self.log.display());
            Problem::new(
                ErrorCode::Io,
                message,
                "make the directory writable, or set HERMES_HOME to another place",
            )
        })
    }

    fn ended_early(&self, status: ExitStatus, log_start: u64) -> Problem {
        let code = match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) if code == Exit::Daemon.code() => ErrorCode::StoreFailed,
            Some(code) if code == Exit::Locked.code() => ErrorCode::Locked,
            Some(code) if code == Exit::Usage.code() => ErrorCode::BadConfig,
            _ => ErrorCode::Internal,
        };
        let (reason, hint) =
            last_report(&self.log, log_start).unwrap_or_else(|| (status.to_string(), String::new()));
        let hint = if hint.is_empty() { self.see_log() } else { hint };
        Problem::new(code, format!("hermesd could not start: {reason}"), hint)
    }

    fn see_log(&self) -> String {
        format!("its log is {}", self.log.display())
    }
}

/// A program that was installed beside this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, Problem> {
    let missing = |place: String| {
        let message = format!("there is no {name} {place}");
        let hint = format!("install {name} beside hermesctl, or start it by hand");
        Problem::new(ErrorCode::DaemonUnreachable, message, hint)
    };
    let own = std::env::current_exe().map_err(|error| missing(format!("to be found: {error}")))?;
    let path = own.with_file_name(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(missing(format!("beside {}", own.display()))),
    }
}

/// The last `bytes` of a file as text, and where it ended.
pub(crate) fn tail(path: &Path, bytes: u64) -> io::Result<(String, u64)> {
    read_from(path, 0, bytes)
}

/// The same of what stands behind `start`.
fn read_from(path: &Path, start: u64, bytes: u64) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let from = start.max(file.metadata()?.len().saturating_sub(bytes));
    file.seek(SeekFrom::Start(from))?;
    let mut read = Vec::new();
    file.take(bytes).read_to_end(&mut read)?;
    let end = from + read.len() as u64;
    Ok((String::from_utf8_lossy(&read).into_owned(), end))
}

/// What the log says last from `start` on: what happened and what to do.
fn last_report(path: &Path, start: u64) -> Option<(String, String)> {
    let (text, _) = read_from(path, start, limits::LOG_TAIL_BYTES).ok()?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.iter().rposition(|line| line.starts_with(REPORT)) {
        Some(report) => Some((lines[report][REPORT.len()..].to_owned(), lines[report + 1..].join(" "))),
        // It ended in a way that it had no words for.
        None => lines.last().map(|line| ((*line).to_owned(), String::new())),
    }
}

/// Waits until a process has ended.
pub(crate) async fn wait_until_gone(pid: u32) -> Result<(), Problem> {
    let deadline = Instant::now() + limits::STOP;
    while is_running(pid) {
        if Instant::now() >= deadline {
            let message = format!("hermesd (pid {pid}) is still running after {} s", limits::STOP.as_secs());
            return Err(Problem::new(ErrorCode::Internal, message, format!("end it with: kill {pid}")));
        }
        sleep(limits::LOOK).await;
    }
    Ok(())
}

/// Whether a process of that number lives.
pub(crate) fn is_running(pid: u32) -> bool {
    let Some(process) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    if rustix::process::test_kill_process(process).is_err() {
        return false;
    }
    // In a container without an init nobody collects the dead, and they answer signals for ever.
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    state != Some('Z')
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn daemon(home: &Path) -> Daemon {
        let socket = SocketPath::new(&home.join("d.sock")).unwrap();
        let cli = Cli::parse_from(["hermesctl", "status"]);
        Daemon {
            client: Client::new(socket.as_path()),
            socket,
            log: home.join("state/hermesd.log"),
            lock: home.join("lock"),
            autostart: Autostart::On,
            notes: Notes::new(&cli.global),
        }
    }

    #[test]
    fn the_last_report_is_of_this_start_only() {
        let home = tempfile::tempdir().unwrap();
        let daemon = daemon(home.path());
        let report = |start| last_report(&daemon.log, start);
        let text = |message: &str, hint: &str| Some((message.to_owned(), hint.to_owned()));
        let (mut log, start) = daemon.open_log().unwrap();
        assert_eq!((start, report(start)), (0, None));
        log.write_all(b"hermesd: old failure\n").unwrap();
        let (mut log, start) = daemon.open_log().unwrap();
        assert_eq!(report(start), None);
        log.write_all(b"INFO up\nthread panicked\n\n").unwrap();
        assert_eq!(report(start), text("thread panicked", ""));
        log.write_all(b"hermesd: the store is damaged\n  restore a backup\n").unwrap();
        assert_eq!(report(start), text("the store is damaged", "restore a backup"));
        assert_eq!(daemon.log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(daemon.log.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_daemon_that_ends_early_passes_its_exit_code_on() {
        let home = tempfile::tempdir().unwrap();
        let daemon = daemon(home.path());
        for (code, exit) in [(3, Exit::Daemon), (4, Exit::Locked), (2, Exit::Usage), (101, Exit::Failure)] {
            let status = Command::new("sh").args(["-c", &format!("exit {code}")]).status().unwrap();
            let problem = daemon.ended_early(status, 0);
            assert_eq!(problem.code.exit(), exit);
            assert!(problem.hint.contains("hermesd.log"), "{}", problem.hint);
        }
    }

    #[tokio::test]
    async fn a_dead_process_is_gone_even_while_nobody_collects_it() {
        assert!(is_running(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        wait_until_gone(child.id()).await.unwrap();
        child.wait().unwrap();
        assert!(!is_running(child.id()));
        assert!(!is_running(u32::MAX));
    }
}
