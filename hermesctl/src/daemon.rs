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

use hermes_api::{Client, ClientError, DaemonStatus, ErrorCode, Exit, Problem};
use hermes_config::SocketPath;
use tokio::time::{Instant, sleep};

use crate::{
    limits,
    output::{Line, Notes},
};

/// What hermesd says, among other words, when it ends because another one is running.
const ALREADY_RUNNING: &str = "already running";

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

    /// Starts hermesd in the background and waits until it answers. Another one that wins the race to start is as good.
    pub(crate) async fn start(&self) -> Result<DaemonStatus, Problem> {
        let program = sibling("hermesd")?;
        let (log, before) = open_log(&self.log).map_err(|error| {
            let message = format!("cannot write the daemon's log {}: {error}", self.log.display());
            Problem::new(
                ErrorCode::Io,
                message,
                "make the directory writable, or set HERMES_HOME to another place",
            )
        })?;
        let mut child = self.spawn(&program, log).map_err(|error| {
            let message = format!("cannot start {}: {error}", program.display());
            Problem::new(ErrorCode::DaemonUnreachable, message, "reinstall Hermes, or start hermesd by hand")
        })?;
        let status = self.wait_until_ready(&mut child, before).await?;
        let place = self.log.display();
        let started = format!("started hermesd in the background (pid {}, log {place})", status.pid);
        self.notes.say(&Line::new(started));
        Ok(status)
    }

    fn spawn(&self, program: &Path, log: File) -> Result<Child, io::Error> {
        Command::new(program)
            .arg("--socket")
            .arg(self.socket.as_path())
            // A directory that someone will want to unmount or delete is no place to live in.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Its own process group: the terminal's Ctrl-C is meant for this program, not for the daemon.
            .process_group(0)
            .spawn()
    }

    async fn wait_until_ready(&self, child: &mut Child, log_start: u64) -> Result<DaemonStatus, Problem> {
        let deadline = Instant::now() + limits::START;
        let mut lost_race = false;
        loop {
            match self.client.status().await {
                Ok(status) => return Ok(status),
                Err(ClientError::NotRunning { .. } | ClientError::Broken(_)) => {}
                Err(error) => return Err(error.problem()),
            }
            if Instant::now() >= deadline {
                let seconds = limits::START.as_secs();
                let message = format!("hermesd (pid {}) did not answer within {seconds} s", child.id());
                return Err(Problem::new(ErrorCode::DaemonUnreachable, message, self.see_log()));
            }
            if !lost_race && let Ok(Some(ended)) = child.try_wait() {
                let last = last_line(&self.log, log_start).unwrap_or_default();
                if !last.contains(ALREADY_RUNNING) {
                    return Err(self.ended_early(ended, &last));
                }
                lost_race = true;
            }
            sleep(limits::LOOK).await;
        }
    }

    fn ended_early(&self, status: ExitStatus, last: &str) -> Problem {
        let code = match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) if code == Exit::Daemon.code() => ErrorCode::StoreFailed,
            Some(code) if code == Exit::Locked.code() => ErrorCode::Locked,
            Some(code) if code == Exit::Usage.code() => ErrorCode::BadConfig,
            _ => ErrorCode::Internal,
        };
        let reason = if last.is_empty() { status.to_string() } else { last.to_owned() };
        Problem::new(code, format!("hermesd could not start: {reason}"), self.see_log())
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

/// Opens the log for appending; with it, where what comes next will begin.
fn open_log(path: &Path) -> Result<(File, u64), io::Error> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The last line that is not blank of what the log holds from `start` on.
fn last_line(path: &Path, start: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(limits::LOG_TAIL_BYTES)))).ok()?;
    let mut bytes = Vec::new();
    file.take(limits::LOG_TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.trim();
    Some(line.strip_prefix("hermesd: ").unwrap_or(line).to_owned())
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

fn is_running(pid: u32) -> bool {
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_last_line_is_of_this_start_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/hermesd.log");
        let (mut log, before) = open_log(&path).unwrap();
        assert_eq!((before, last_line(&path, before)), (0, None));
        io::Write::write_all(&mut log, b"old failure\n").unwrap();
        let (mut log, before) = open_log(&path).unwrap();
        assert_eq!(last_line(&path, before), None);
        io::Write::write_all(&mut log, b"INFO up\nhermesd: the store is damaged\n\n").unwrap();
        assert_eq!(last_line(&path, before).as_deref(), Some("the store is damaged"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
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
