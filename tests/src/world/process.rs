//! One program that runs, is killed, and runs again.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{trap::Trap, wait::until};

/// A program with its arguments, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    arguments: Mutex<Vec<OsString>>,
    environment: Vec<(OsString, OsString)>,
    /// The network namespace that it runs in, if not the test's own.
    namespace: Option<String>,
    /// Whether it leaves the processors to others.
    gives_way: bool,
    output: PathBuf,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Describes a program; nothing runs yet. Standard output goes to `directory/stdout`, which starts empty each
    /// time, standard error to the end of `directory/log`.
    pub fn new(program: PathBuf, directory: &Path) -> Self {
        Self {
            program,
            arguments: Mutex::default(),
            environment: Vec::new(),
            namespace: None,
            gives_way: false,
            output: directory.join("stdout"),
            log: directory.join("log"),
            child: Mutex::default(),
        }
    }

    /// Sets a variable of the program's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has the program run in a network namespace.
    pub fn inside(mut self, namespace: String) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Has the program leave the processors to others that want them (nice(1), which executes it in its own place).
    pub fn giving_way(mut self) -> Self {
        self.gives_way = true;
        self
    }

    /// Sets the arguments of the next start and those after it.
    pub fn set_arguments(&self, arguments: Vec<OsString>) {
        *self.arguments.lock().unwrap_or_else(PoisonError::into_inner) = arguments;
    }

    /// Starts the program.
    pub fn start(&self) {
        self.start_with(None);
    }

    /// Starts the program so that something happens to it.
    pub fn start_trapped(&self, trap: &Trap) {
        self.start_with(Some(trap));
    }

    /// Whether a call was made to fail since the program was last started so.
    pub fn was_trapped(&self) -> bool {
        std::fs::read_to_string(self.trap_log()).is_ok_and(|log| log.contains("(INJECTED)"))
    }

    fn trap_log(&self) -> PathBuf {
        self.log.with_extension("trap")
    }

    fn start_with(&self, trap: Option<&Trap>) {
        let mut child = self.child();
        assert!(child.is_none(), "{} is running already", self.program.display());
        let output = File::create(&self.output).expect("the output file can be made");
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("the log can be made");
        let arguments = self.arguments.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut command = match trap {
            Some(trap) => trap.command(&self.program, &self.trap_log()),
            None => self.command(),
        };
        let started = command
            .args(arguments)
            .env_remove("HERMES_SOCKET")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.program.display()));
        *child = Some(started);
    }

    fn command(&self) -> Command {
        // They execute the program in their own place, so that the process is the program.
        let ways = [
            self.gives_way.then(|| vec!["nice", "-n", "5"]),
            self.namespace.as_ref().map(|namespace| vec!["ip", "netns", "exec", namespace]),
        ];
        let mut words =
            ways.into_iter().flatten().flatten().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_else(|| unreachable!("the program is one")));
        command.args(words);
        command
    }

    /// Has the program stand still, as on a computer that sleeps, or go on.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.expect("the program runs"), signal).expect("a child can be signalled");
    }

    /// Kills the program with SIGKILL, if it runs, and waits for its end.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Asks the program to end with SIGTERM and waits until it has.
    pub fn terminate(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child().take().expect("the program runs");
        let mut status = None;
        until(&format!("{} ends", self.program.display()), || {
            status = child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Waits until the program ends by itself.
    pub fn wait(&self) -> ExitStatus {
        let mut status = None;
        until(&format!("{} ends", self.program.display()), || {
            status = self.ended();
            status.is_some()
        });
        self.child().take();
        status.expect("it has ended")
    }

    /// How the program ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().as_mut()?.try_wait().expect("a child can be waited for")
    }

    /// The process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Standard output since the last start.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The file with everything that the program ever wrote to standard error.
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        if thread::panicking() {
            let lines: Vec<_> = log.lines().collect();
            println!("---- {} (last lines)", self.log.display());
            lines[lines.len().saturating_sub(SHOWN)..].iter().for_each(|line| println!("{line}"));
        } else {
            // Whatever a test is about, no program panics in it.
            assert!(!log.contains("panicked at"), "{} panicked: {log}", self.program.display());
        }
    }
}

/// Lines of a log shown when a test fails.
const SHOWN: usize = 60;
