//! The demo's directory and processes.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use hermes_api::{Client, ErrorCode, Problem};
use hermes_config::{Paths, SocketPath};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{daemon::sibling, limits, output::Line};

/// How long any single program of the demo may take. They take tenths of a second.
pub(super) const STEP: Duration = Duration::from_secs(60);

/// How long a program may take to end by itself when the demo is over.
const END: Duration = Duration::from_secs(3);

/// Lines of each log that are shown when the demo fails.
const LAST_LINES: usize = 5;

/// One of the demo's people: a home directory and the daemon in it.
pub(super) struct Person {
    pub(super) name: &'static str,
    home: PathBuf,
    daemon: Option<Child>,
}

/// Everything that has to be gone at the end.
pub(super) struct Stage {
    directory: TempDir,
    relay: Option<Child>,
    pub(super) alice: Person,
    pub(super) bob: Person,
    pub(super) carol: Person,
}

/// The first line that a relay prints with `--json`.
#[derive(Deserialize)]
struct RelayReady {
    address: String,
}

impl Stage {
    /// Makes a private directory whose path leaves room for a socket's name.
    pub(super) fn build() -> Result<Self, Problem> {
        let directory =
            directory().map_err(|error| failed(format!("cannot make a temporary directory: {error}")))?;
        let person = |name: &'static str| Person { name, home: directory.path().join(name), daemon: None };
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(person);
        Ok(Self { relay: None, alice, bob, carol, directory })
    }

    /// The directory that everything lives in.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a relay that lets anyone in, on a free port of the loopback interface; returns its address.
    pub(super) async fn start_relay(&mut self) -> Result<String, Problem> {
        let mut child = service(&sibling("hermes-relay")?, &self.path().join("relay"))
            .args(["--listen", "127.0.0.1:0", "--registration", "open", "--json", "--state-dir"])
            .arg(self.path().join("relay"))
            .stdout(Stdio::piped())
            .stderr(log(&self.path().join("relay.log"))?)
            .spawn()
            .map_err(|error| failed(format!("cannot start the relay: {error}")))?;
        let stdout = child.stdout.take();
        self.relay = Some(child);
        let stdout = stdout.ok_or_else(|| failed("the relay has no output"))?;
        let mut line = String::new();
        let read = timeout(STEP, BufReader::new(stdout).read_line(&mut line)).await;
        match read {
            Ok(Ok(length)) if length > 0 => {}
            _ => return Err(failed("the relay did not start")),
        }
        let ready: RelayReady = serde_json::from_str(&line)
            .map_err(|error| failed(format!("the relay said {line:?}: {error}")))?;
        Ok(ready.address)
    }

    /// Takes everything down: asks every process to end, ends those that do not, removes the directory.
    pub(super) async fn clear(mut self) -> Result<(), Problem> {
        let people = [&mut self.alice, &mut self.bob, &mut self.carol];
        let daemons: Vec<_> = people.into_iter().map(|person| person.daemon.take()).collect();
        let children = daemons.into_iter().chain([self.relay.take()]);
        for mut child in children.flatten() {
            terminate(&child);
            if timeout(END, child.wait()).await.is_err() {
                // The last resort; the directory goes with everything they might still have written.
                child.kill().await.map_err(|error| failed(format!("cannot end a process: {error}")))?;
            }
        }
        self.directory.close().map_err(|error| failed(format!("cannot remove the demo's directory: {error}")))
    }

    /// The ends of the programs' logs, for a demo that failed.
    pub(super) fn last_words(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for name in ["relay", "alice", "bob", "carol"] {
            let text = fs::read_to_string(self.path().join(format!("{name}.log"))).unwrap_or_default();
            let all: Vec<&str> = text.lines().collect();
            let last = &all[all.len().saturating_sub(LAST_LINES)..];
            lines.extend(last.iter().map(|line| Line::new(format!("{name}: {line}"))));
        }
        lines
    }
}

impl Person {
    /// Starts this person's daemon and waits until it answers.
    pub(super) async fn start_daemon(&mut self) -> Result<(), Problem> {
        let child = service(&sibling("hermesd")?, &self.home)
            .stdout(Stdio::null())
            .stderr(log(&self.home.with_extension("log"))?)
            .spawn()
            .map_err(|error| failed(format!("cannot start {}'s daemon: {error}", self.name)))?;
        let child = self.daemon.insert(child);
        let paths = Paths::under(&self.home).map_err(|error| failed(error.to_string()))?;
        let socket = paths.socket().map_err(|error| failed(error.to_string()))?;
        let client = Client::new(socket.as_path());
        let ready = async {
            while client.status().await.is_err() {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(failed(format!("{}'s daemon ended at once: {status}", self.name)));
                }
                sleep(limits::LOOK).await;
            }
            Ok(())
        };
        let late = failed(format!("{}'s daemon does not answer", self.name));
        timeout(STEP, ready).await.map_err(|_| late)?
    }

    /// Waits for the daemon that was told to stop, so that nothing of it is left.
    pub(super) async fn daemon_ended(&mut self) -> Result<(), Problem> {
        let Some(mut child) = self.daemon.take() else { return Ok(()) };
        let ended = timeout(STEP, child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(failed(format!("{}'s daemon ended badly: {status}", self.name))),
            _ => Err(failed(format!("{}'s daemon did not end", self.name))),
        }
    }

    /// Runs this very program as this person would, on the user's own terminal.
    pub(super) async fn show(&self, arguments: &[&str]) -> Result<ExitStatus, Problem> {
        finish(self.hermesctl(arguments)?.status()).await
    }

    /// Runs this very program and returns what it prints on standard output; the rest is for the user's eyes.
    pub(super) async fn read(&self, arguments: &[&str]) -> Result<Output, Problem> {
        let child = self.hermesctl(arguments)?.stdout(Stdio::piped()).spawn();
        finish(async { child?.wait_with_output().await }).await
    }

    /// Runs this very program and returns what it prints on both streams, to be shown in the order of a terminal.
    pub(super) async fn capture(&self, arguments: &[&str]) -> Result<Output, Problem> {
        let child = self.hermesctl(arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        finish(async { child?.wait_with_output().await }).await
    }

    fn hermesctl(&self, arguments: &[&str]) -> Result<Command, Problem> {
        let own =
            std::env::current_exe().map_err(|error| failed(format!("cannot find hermesctl: {error}")))?;
        let mut command = program(&own, &self.home);
        command.arg("--no-autostart").args(arguments);
        Ok(command)
    }
}

async fn finish<T>(run: impl Future<Output = io::Result<T>>) -> Result<T, Problem> {
    match timeout(STEP, run).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failed(format!("cannot run hermesctl: {error}"))),
        Err(_) => Err(failed(format!("hermesctl did not finish within {} s", STEP.as_secs()))),
    }
}

/// A program that runs on in the background, deaf to the terminal's Ctrl-C: the demo ends it itself, in order.
fn service(path: &Path, home: &Path) -> Command {
    let mut command = program(path, home);
    command.process_group(0);
    command
}

/// A program in a world of its own, killed with the demo.
fn program(path: &Path, home: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HERMES_")) {
        command.env_remove(name);
    }
    // What is played here is nobody's news.
    command.env("HERMES_NO_NOTIFICATIONS", "1");
    command.env("HERMES_HOME", home).stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // One that has ended already needs no signal.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn log(path: &Path) -> Result<File, Problem> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| failed(format!("cannot write {}: {error}", path.display())))
}

fn directory() -> Result<TempDir, io::Error> {
    let make = |place: &Path| tempfile::Builder::new().prefix("hermes-").tempdir_in(place);
    let usual = make(&std::env::temp_dir())?;
    let socket = Paths::under(&usual.path().join("alice")).ok().and_then(|paths| paths.socket().ok());
    match socket.as_ref().map(SocketPath::as_path) {
        Some(_) => Ok(usual),
        // Some systems give every user a temporary directory with a long name.
        None => make(Path::new("/tmp")),
    }
}

pub(super) fn failed(message: impl Into<String>) -> Problem {
    Problem::new(ErrorCode::Internal, message, "the demo was taken down; hermesctl demo starts it afresh")
}
