//! A relay of the world's own.

use std::{
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use hermes_wire::address::RelayAddress;
use serde_json::Value;

use super::{log::Log, process::Process, programs::Programs, wait::until};

/// A real relay that listens on the same port after every restart.
#[derive(Debug)]
pub struct Relay {
    process: Process,
    state: PathBuf,
    address: RelayAddress,
    listen: SocketAddr,
    /// Those that never change.
    arguments: Vec<OsString>,
}

impl Relay {
    /// Starts a relay that takes everyone, with its state and its log under `directory`. `config` is its TOML.
    pub fn start(directory: &Path, config: Option<&str>, log: Log) -> Self {
        Self::run(directory, config, process(directory, log), Ipv4Addr::LOCALHOST.into())
    }

    /// The same at an address of a network namespace.
    pub fn start_inside(directory: &Path, (namespace, at): (String, IpAddr), log: Log) -> Self {
        Self::run(directory, None, process(directory, log).inside(namespace), at)
    }

    fn run(directory: &Path, config: Option<&str>, process: Process, at: IpAddr) -> Self {
        let state = directory.join("state");
        let mut arguments: Vec<OsString> = ["--json", "--state-dir"].map(OsString::from).into();
        arguments.push(state.clone().into());
        if let Some(config) = config {
            let file = directory.join("relay.toml");
            fs::write(&file, config).expect("the relay's configuration can be written");
            arguments.extend(["--config".into(), file.into()]);
        }
        let started = (0..PORTS_TRIED).find_map(|_| {
            let listen = SocketAddr::new(at, quiet_port());
            process.set_arguments(with(&arguments, "open", listen));
            process.start();
            let address = heard_from(&process);
            if address.is_none() {
                process.kill();
            }
            Some((listen, address?))
        });
        let (listen, address) = started.expect("the relay starts at one of several ports");
        Self { process, state, address, listen, arguments }
    }

    /// What accounts are made with.
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// The relay as a process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it, starts it again, and waits until it listens.
    pub fn restart(&self) {
        self.process.kill();
        self.process.start();
        announced(&self.process);
    }

    /// Asks it to end, which sends everyone away in order, and starts it again.
    pub fn drain_and_restart(&self) {
        self.process.terminate();
        self.process.start();
        announced(&self.process);
    }

    /// Asks it to end and starts it again at another address of its machine, on the same port.
    pub fn move_to(&mut self, at: IpAddr) {
        self.process.terminate();
        self.listen.set_ip(at);
        self.process.set_arguments(with(&self.arguments, "open", self.listen));
        self.process.start();
        announced(&self.process);
    }

    /// Restarts it as one that takes new mailboxes only with a registration token.
    pub fn ask_for_tokens(&self) {
        self.process.set_arguments(with(&self.arguments, "token", self.listen));
        self.restart();
    }

    /// A new registration token.
    pub fn token(&self) -> String {
        let output = Command::new(Programs::get().relay())
            .args(["token", "new", "--json", "--state-dir"])
            .arg(&self.state)
            .output()
            .expect("the relay's program runs");
        assert!(output.status.success(), "{output:?}");
        let line: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
        line["token"].as_str().expect("a token is text").to_owned()
    }

    /// Directory of everything it keeps.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> &Path {
        self.process.log()
    }
}

fn process(directory: &Path, log: Log) -> Process {
    fs::create_dir_all(directory).expect("the relay's directory can be made");
    Process::new(Programs::get().relay(), directory)
        .env("HERMES_HOME", directory)
        .env("HERMES_LOG", log.relay())
}

fn with(arguments: &[OsString], registration: &str, listen: SocketAddr) -> Vec<OsString> {
    let more = ["--registration", registration, "--listen", &listen.to_string()].map(OsString::from);
    arguments.iter().cloned().chain(more).collect()
}

/// Another port each time, of those that no system gives out by itself: while a relay does not run, nobody who wants just any port
/// takes its own. Some other program may have it.
fn quiet_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let given_out = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = given_out.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
    let end: u16 = first.filter(|first| *first > FIRST_PORT + QUIET_PORTS).unwrap_or(32_768);
    // Tests of several processes begin at different places.
    let place = process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
    end - 1 - (place % u32::from(QUIET_PORTS)) as u16
}

/// So many ports are below those that are given out, and above those of services.
const QUIET_PORTS: u16 = 10_000;
const FIRST_PORT: u16 = 1_024;
/// Somebody may have one of them.
const PORTS_TRIED: usize = 5;

/// Waits until the relay says where it listens.
fn announced(process: &Process) -> RelayAddress {
    heard_from(process).unwrap_or_else(|| panic!("the relay ended: {:?}", process.ended()))
}

/// The same; nothing if it ends before.
fn heard_from(process: &Process) -> Option<RelayAddress> {
    let mut address = None;
    until("the relay says where it listens", || {
        address = process.output().lines().find_map(address_in);
        address.is_some() || process.ended().is_some()
    });
    address
}

fn address_in(line: &str) -> Option<RelayAddress> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["address"].as_str()?.parse().ok()
}
