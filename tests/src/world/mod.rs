//! A world that reads as a script: one real relay, homes with real daemons in them, real command lines.
//!
//! ```no_run
//! use hermes_tests::world::World;
//!
//! let world = World::new();
//! let (alice, bob) = world.pair("alice", "bob");
//! alice.send("bob", "hi");
//! world.until("bob has it", || bob.unread() == ["hi"]);
//! ```
//!
//! Everything lives in one temporary directory; every process is a child of the test and dies with its [`World`],
//! whether the test passes or not. Waiting is always for a condition ([`wait`]), never for time. Deliberately absent:
//! any look into the stores, which are sealed.

pub mod account;
pub mod disk;
pub mod home;
pub mod log;
pub mod memory;
pub mod outcome;
pub mod power;
pub mod process;
pub mod programs;
pub mod relay;
pub mod road;
pub mod router;
pub mod trap;
pub mod wait;
pub mod wires;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

pub use self::{
    account::Account, home::Home, log::Log, outcome::Outcome, process::Process, programs::Programs,
    relay::Relay,
};

/// A relay and a directory for everyone who uses it.
#[derive(Debug)]
pub struct World {
    /// The relay of everyone in this world.
    pub relay: Relay,
    log: Log,
    /// Last, so that nobody is left running in it when it goes.
    directory: TempDir,
}

impl World {
    /// Starts a relay that takes everyone.
    #[expect(clippy::new_without_default, reason = "a world starts programs, which is no default")]
    pub fn new() -> Self {
        Self::start(None, Log::Own)
    }

    /// Starts a relay with this configuration (TOML).
    pub fn with_relay_config(config: &str) -> Self {
        Self::start(Some(config), Log::Own)
    }

    /// As [`Self::new`]; all programs log all they can.
    pub fn with_everything_logged() -> Self {
        Self::start(None, Log::Everything)
    }

    fn start(relay_config: Option<&str>, log: Log) -> Self {
        // Short, because the path of a socket has about a hundred bytes.
        let directory = tempfile::Builder::new().prefix("hm").tempdir().expect("a directory can be made");
        let relay = Relay::start(&directory.path().join("relay"), relay_config, log);
        Self { relay, log, directory }
    }

    /// A new home without a daemon.
    pub fn home(&self, name: &str) -> Arc<Home> {
        Arc::new(Home::new(self.directory.path().join(name), self.log))
    }

    /// An account in a home of its own, whose daemon announces messages on the session bus at this address.
    pub fn account_with_session_bus(&self, name: &str, address: &str) -> Account {
        let home = Home::new(self.directory.path().join(name), self.log).with_session_bus(address);
        self.settle(&Arc::new(home), name)
    }

    /// A home without a daemon, which will trust the authorities in this file.
    pub fn home_with_authorities(&self, name: &str, file: &Path) -> Arc<Home> {
        let home = Home::new(self.directory.path().join(name), self.log);
        Arc::new(home.with_authorities(file))
    }

    /// A path that nothing else in this world has.
    pub fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another daemon for a home that has one.
    pub fn second_daemon(&self, home: &Home) -> Process {
        let directory = self.directory.path().join("second");
        fs::create_dir_all(&directory).expect("a directory can be made");
        Process::new(Programs::get().daemon(), &directory).env("HERMES_HOME", home.path())
    }

    /// An account in a home of its own, registered, its daemon running.
    pub fn account(&self, name: &str) -> Account {
        self.settle(&self.home(name), name)
    }

    /// The same at another relay.
    pub fn account_at(&self, name: &str, relay: &Relay) -> Account {
        let home = self.home(name);
        home.start();
        Account::create(&home, name, &relay.address().to_string())
    }

    /// Another relay that takes everyone. It lives in this world's directory, so it has to go first.
    pub fn another_relay(&self, name: &str) -> Relay {
        Relay::start(&self.directory.path().join(name), None, self.log)
    }

    fn settle(&self, home: &Arc<Home>, name: &str) -> Account {
        home.start();
        Account::create(home, name, &self.relay.address().to_string())
    }

    /// Two accounts in homes of their own that can write to each other.
    pub fn pair(&self, first: &str, second: &str) -> (Account, Account) {
        let (first, second) = (self.account(first), self.account(second));
        first.pair(&second);
        (first, second)
    }

    /// Looks until `condition` holds; fails the test when it does not within a generous deadline.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        wait::until(what, condition);
    }
}
