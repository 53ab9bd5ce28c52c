//! A program that meets with something at one of its system calls: the end, or an error from the disk.
//!
//! Between two calls of the system nothing happens that anybody else could see, so to end a program at the entry of each of
//! them is to end it before and after every step that counts.

use std::{ffi::OsString, io, path::Path, process::Command};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The program is killed before the call does anything.
    Kill,
    /// The call does nothing and fails (`EIO`). The next one is as always.
    Fails,
}

/// Where it happens. Said in strace, because tracing takes `unsafe`.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// A call's name.
    pub call: &'static str,
    /// The how-maniest of a thread, counted from 1.
    pub number: usize,
    /// What happens.
    pub mishap: Mishap,
}

impl Trap {
    /// An error where programs cannot be traced.
    pub fn possible() -> io::Result<()> {
        let trap = Self { call: "close", number: 1, mishap: Mishap::Kill };
        let mut command = Command::new("strace");
        let ended = command.args(trap.arguments(Path::new("/dev/null"))).arg("true").output()?;
        match ended.status.success() {
            // It came to its own end.
            true => Err(io::Error::other("strace changes nothing here")),
            false if ended.stderr.is_empty() => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&ended.stderr).into_owned())),
        }
    }

    /// The command that runs `program` with it, as a process of that number. What it did goes to `log`.
    pub(super) fn command(&self, program: &Path, log: &Path) -> Command {
        let mut command = Command::new("strace");
        command.args(self.arguments(log)).arg(program);
        command
    }

    fn arguments(&self, log: &Path) -> Vec<OsString> {
        let Self { call, number, .. } = self;
        let happens = match self.mishap {
            Mishap::Kill => "signal=KILL",
            Mishap::Fails => "error=EIO",
        };
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{happens}:when={number}"));
        // Whoever starts it is the program's parent, as without it.
        let arguments = ["-D", "-f", "-qqq", "-e", "signal=none", "-e", &trace, "-e", &inject, "-o"];
        arguments.into_iter().map(OsString::from).chain([log.into()]).collect()
    }
}
