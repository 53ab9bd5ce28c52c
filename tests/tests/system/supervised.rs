//! The daemon under a service manager: it listens at what it is given if that is right, and says how it fares.

use std::{
    fs::{self, DirBuilder},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{
            fs::DirBuilderExt,
            net::{UnixDatagram, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use hermes_api::Client;
use hermes_config::{
    Paths,
    unit::{ALLOCATOR, Units},
};
use hermes_tests::world::{
    programs::Programs,
    wait::{DEADLINE, eventually, until},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

struct Manager {
    home: TempDir,
    notices: mpsc::Receiver<Vec<u8>>,
}

impl Manager {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        DirBuilder::new().mode(0o700).create(home.path().join("run")).unwrap();
        let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
        let (heard, notices) = mpsc::channel();
        // All the time, as a manager does: the system keeps a few notices (`net.unix.max_dgram_qlen`), and a daemon that is not
        // heard waits in the middle of what it does, also of its end.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                if heard.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { home, notices }
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("run/hermesd.sock")
    }

    /// Starts the daemon with `passed` as its first descriptor beyond the usual three. `variables` are set by a shell,
    /// which knows the process id that they have to name.
    fn start(&self, passed: Option<OwnedFd>, variables: &str) -> Child {
        let script = format!("exec 3<&0 </dev/null; export {variables}; exec \"$0\"");
        Command::new("sh")
            .args(["-c", &script])
            .arg(Programs::get().daemon())
            .env_clear()
            .env("HERMES_HOME", self.home.path())
            .env("NOTIFY_SOCKET", self.home.path().join("notify"))
            .stdin(passed.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn wait_for(&self, notice: &str) {
        loop {
            let heard =
                self.notices.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("no {notice}: {error}"));
            if heard.starts_with(notice.as_bytes()) {
                return;
            }
        }
    }

    fn answers(&self) -> bool {
        let client = Client::new(self.socket());
        Runtime::new().unwrap().block_on(client.status()).is_ok()
    }

    /// Stops the daemon as its users do.
    fn stop(&self, mut daemon: Child) {
        let client = Client::new(self.socket());
        let stopped = Runtime::new().unwrap().block_on(async move {
            client.status().await?;
            client.shutdown().await
        });
        assert_eq!(stopped.unwrap().pid, daemon.id());
        let ended = eventually(DEADLINE, || daemon.try_wait().unwrap().is_some());
        daemon.kill().unwrap();
        let output = daemon.wait_with_output().unwrap();
        assert!(ended && output.status.success(), "{}", said(&output));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ONE: &str = "LISTEN_PID=$$ LISTEN_FDS=1";

#[test]
fn it_says_that_it_is_ready_that_it_lives_and_that_it_stops() {
    let manager = Manager::new();
    let daemon = manager.start(None, "WATCHDOG_USEC=300000");
    manager.wait_for("READY=1");
    assert!(allocator_is_told(daemon.id()));
    (0..3).for_each(|_| manager.wait_for("WATCHDOG=1"));
    manager.stop(daemon);
    manager.wait_for("STOPPING=1");
    assert!(!manager.socket().exists(), "its own socket goes with it");
}

/// The system keeps a few notices for it (`net.unix.max_dgram_qlen`); what more is said waits.
#[test]
fn a_manager_that_does_not_listen_holds_nobody_up() {
    let home = tempfile::tempdir().unwrap();
    let deaf = UnixDatagram::bind(home.path().join("notify")).unwrap();
    let (heard, notices) = mpsc::channel();
    drop(heard);
    let manager = Manager { home, notices };
    let daemon = manager.start(None, "WATCHDOG_USEC=30000");
    let asking = UnixDatagram::unbound().unwrap();
    asking.connect(manager.home.path().join("notify")).unwrap();
    asking.set_nonblocking(true).unwrap();
    until("the daemon answers", || manager.answers());
    until("there is no room for another notice", || asking.send(b"X=1").is_err());
    manager.stop(daemon);
    drop(deaf);
}

/// Also where whoever started the process did not. Only root can look; where nobody can, nothing is shown.
fn allocator_is_told(pid: u32) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return true };
    let variables: Vec<_> = environment.split(|byte| *byte == 0).collect();
    ALLOCATOR.iter().all(|(name, value)| variables.contains(&format!("{name}={value}").as_bytes()))
}

#[test]
fn a_passed_socket_is_used_and_left_to_the_next_daemon() {
    let manager = Manager::new();
    let listener = UnixListener::bind(manager.socket()).unwrap();
    for _ in 0..2 {
        let daemon = manager.start(Some(listener.try_clone().unwrap().into()), ONE);
        manager.wait_for("READY=1");
        manager.stop(daemon);
        assert!(manager.socket().exists());
    }
}

#[test]
fn what_is_not_the_users_socket_is_refused() {
    let manager = Manager::new();
    let elsewhere = UnixListener::bind(manager.home.path().join("other.sock")).unwrap();
    let datagrams = UnixDatagram::bind(manager.home.path().join("datagrams")).unwrap();
    let network = TcpListener::bind("127.0.0.1:0").unwrap();
    let right = UnixListener::bind(manager.socket()).unwrap();
    for (passed, variables, says) in [
        (OwnedFd::from(elsewhere), ONE, "other.sock, not at"),
        (datagrams.into(), ONE, "is no socket to listen at"),
        (network.into(), ONE, "is no socket to listen at"),
        (fs::File::open("/dev/null").unwrap().into(), ONE, "is no socket to listen at"),
        (right.into(), "LISTEN_PID=$$ LISTEN_FDS=2", "2 sockets were passed"),
    ] {
        let output = manager.start(Some(passed), variables).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(says), "{says}: {}", said(&output));
    }
}

#[test]
fn variables_that_were_meant_for_another_process_mean_nothing() {
    let manager = Manager::new();
    let daemon = manager.start(None, "LISTEN_PID=1 LISTEN_FDS=1");
    manager.wait_for("READY=1");
    manager.stop(daemon);
}

#[test]
fn the_units_are_what_systemd_understands() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::under(Path::new("/tmp/with space/100%")).unwrap();
    let socket = paths.socket().unwrap();
    for hermes_home in [None, Some(Path::new("/tmp/with space/100%"))] {
        let units = Units::new(&Programs::get().daemon(), &socket, hermes_home).unwrap();
        fs::write(home.path().join("hermesd.service"), units.service).unwrap();
        fs::write(home.path().join("hermesd.socket"), units.socket).unwrap();
        let verified = Command::new("systemd-analyze")
            .args(["--user", "verify", "./hermesd.service", "./hermesd.socket"])
            .current_dir(home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .output();
        let Ok(verified) = verified else { return eprintln!("skipped: no systemd-analyze") };
        assert!(verified.status.success() && verified.stderr.is_empty(), "{}", said(&verified));
    }
}
