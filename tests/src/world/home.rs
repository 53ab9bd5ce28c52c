//! One user of Hermes: a home directory, the daemon in it, the accounts of that daemon.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

use hermes_api::Client;
use hermes_config::unit::ALLOCATOR;
use tokio::runtime::Runtime;

use super::{log::Log, outcome::Outcome, process::Process, programs::Programs, wait::until};

/// A directory of its own, standing for a user of Hermes on a machine of their own.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    daemon: Process,
}

/// What a backup has of an account.
#[derive(Clone, Debug)]
pub struct StoreCopy {
    store: Vec<u8>,
    key: Vec<u8>,
}

/// Drives the API's client, which is asynchronous, from tests, which are not.
pub(super) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime can be made"));

impl Home {
    /// Makes the directory; no daemon runs.
    pub fn new(path: PathBuf, log: Log) -> Self {
        fs::create_dir_all(&path).expect("a home can be made");
        let daemon = Process::new(Programs::get().daemon(), &path)
            .env("HERMES_HOME", &path)
            .env("HERMES_LOG", log.daemon())
            .env("HERMES_NO_NOTIFICATIONS", "1");
        let daemon = ALLOCATOR.into_iter().fold(daemon, |daemon, (name, value)| daemon.env(name, value));
        Self { path, daemon }
    }

    /// Gives the daemon a desktop to announce messages on: the session bus at this address.
    pub fn with_session_bus(self, address: &str) -> Self {
        let daemon = self.daemon.env("HERMES_NO_NOTIFICATIONS", "0").env("DBUS_SESSION_BUS_ADDRESS", address);
        Self { daemon, ..self }
    }

    /// Has the daemon run in a network namespace.
    pub fn inside(self, namespace: String) -> Self {
        Self { daemon: self.daemon.inside(namespace), ..self }
    }

    /// Has the daemon leave the processors to others that want them.
    pub fn giving_way(self) -> Self {
        Self { daemon: self.daemon.giving_way(), ..self }
    }

    /// Has the daemon trust the authorities in this file, and no others.
    pub fn with_authorities(self, file: &Path) -> Self {
        Self { daemon: self.daemon.env("SSL_CERT_FILE", file), ..self }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join("run/hermesd.sock")
    }

    /// The database of an account.
    pub fn store(&self, account: &str) -> PathBuf {
        self.path.join("data/accounts").join(account).join("store.db")
    }

    /// The key file of an account.
    pub fn key_file(&self, account: &str) -> PathBuf {
        self.path.join("config/keys").join(format!("{account}.key"))
    }

    /// The store and the key file of an account whose daemon is stopped, as a backup would have them.
    pub fn copy_store(&self, account: &str) -> StoreCopy {
        let read = |path: PathBuf| fs::read(path).expect("it can be read");
        StoreCopy { store: read(self.store(account)), key: read(self.key_file(account)) }
    }

    /// Puts a copy in the place of an account's store. No daemon runs.
    pub fn put_store_back(&self, account: &str, copy: &StoreCopy) {
        for (path, bytes) in [(self.store(account), &copy.store), (self.key_file(account), &copy.key)] {
            let directory = path.parent().expect("a file has a directory");
            // The same rights as the daemon gives: it opens nothing that others can read.
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.expect("a directory can be made");
            let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
            file.and_then(|mut file| file.write_all(bytes)).expect("it can be written");
        }
    }

    /// What the daemon wrote to standard error.
    pub fn log(&self) -> &Path {
        self.daemon.log()
    }

    /// The daemon as a process.
    pub fn daemon(&self) -> &Process {
        &self.daemon
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&self) {
        self.daemon.start();
        until("the daemon answers", || {
            if let Some(status) = self.daemon.ended() {
                panic!("the daemon ended: {status}");
            }
            self.answers()
        });
    }

    /// Whether the daemon answers.
    pub fn answers(&self) -> bool {
        RUNTIME.block_on(self.client().status()).is_ok()
    }

    /// Kills the daemon with SIGKILL.
    pub fn kill(&self) {
        self.daemon.kill();
    }

    /// Asks the daemon to end and waits for that.
    pub fn stop(&self) {
        let status = self.daemon.terminate();
        assert!(status.success(), "the daemon did not end well: {status}");
    }

    /// A client of the daemon's API.
    pub fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// Runs the command line to its end. It never starts a daemon by itself, so that only those run that this home
    /// started.
    pub fn ctl(&self, arguments: &[&str]) -> Outcome {
        self.ctl_with_input(arguments, b"")
    }

    /// As [`Self::ctl`], with something on standard input.
    pub fn ctl_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut child = self.spawn_ctl(arguments);
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A command that refuses its arguments ends without reading.
        let _unread = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().expect("a child can be waited for");
        Outcome::new(arguments, output)
    }

    /// As [`Self::ctl`], free to start a daemon. Whoever uses it stops that daemon.
    pub fn ctl_with_autostart(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("hermesctl runs");
        Outcome::new(arguments, output)
    }

    /// Starts the command line with pipes for all three streams.
    pub fn spawn_ctl(&self, arguments: &[&str]) -> Child {
        let arguments = [&["--no-autostart"], arguments].concat();
        self.command(&arguments).spawn().expect("hermesctl starts")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(Programs::get().ctl());
        command
            .args(arguments)
            .env("HERMES_HOME", &self.path)
            .env_remove("HERMES_ACCOUNT")
            .env_remove("HERMES_SOCKET")
            .env_remove("HERMES_NO_AUTOSTART")
            // For daemons that it starts: the user who runs the tests has nothing to be told.
            .env("HERMES_NO_NOTIFICATIONS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}
