//! The program as its operator runs it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use hermes_wire::RelayAddress;

/// A command, to be started.
pub fn hermes_relay(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermes-relay"));
    command.args(arguments).arg("--state-dir").arg(state).stdin(Stdio::null());
    command
}

/// What a command says and how it ends.
pub fn order(state: &Path, arguments: &[&str]) -> Output {
    hermes_relay(state, arguments).output().unwrap()
}

/// What a command that succeeds says in JSON.
pub fn order_json(state: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = order(state, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running relay, killed when dropped.
pub struct Running {
    child: Child,
    pub ready: serde_json::Value,
}

impl Running {
    pub fn start(state: &Path, listen: &str) -> Self {
        let arguments = ["--json", "--registration", "open", "--listen", listen];
        Self::with(hermes_relay(state, &arguments))
    }

    pub fn with(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    pub fn address(&self) -> RelayAddress {
        self.ready["address"].as_str().unwrap().parse().unwrap()
    }

    /// Its largest size in memory so far, in bytes (Linux).
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// Has it write nothing more into any file (Linux). It must ignore SIGXFSZ.
    #[cfg(target_os = "linux")]
    pub fn limit_files(&self) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let limit = Rlimit { current: Some(0), maximum: Some(0) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    /// Sends it SIGHUP.
    pub fn hang_up(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl std::ops::Drop for Running {
    fn drop(&mut self) {
        // SIGKILL: the relay gets to do nothing more. One that has ended cannot be killed.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
