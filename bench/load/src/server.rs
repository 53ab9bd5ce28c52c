//! The servers under load: each with its own configuration in its own directory, on loopback, ended by its process id.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use hermes_wire::RelayAddress;
use tempfile::TempDir;

use crate::wire::nats;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);
/// `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// `hermes-relay`.
    Hermes,
    /// Mosquitto, QoS 1.
    Mosquitto,
    /// NATS JetStream, file storage.
    Nats,
    /// Redis streams, `appendfsync always`.
    Redis,
}

impl System {
    /// In the order of the tables.
    pub const ALL: [Self; 4] = [Self::Hermes, Self::Mosquitto, Self::Nats, Self::Redis];

    /// As tables say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hermes => "hermes-relay",
            Self::Mosquitto => "mosquitto",
            Self::Nats => "nats jetstream",
            Self::Redis => "redis streams",
        }
    }

    /// Whether it is on the disk before it is acknowledged, and who encrypts.
    pub fn promises(self) -> &'static str {
        match self {
            Self::Hermes => "fsync before each receipt; TLS 1.3",
            Self::Mosquitto => "no fsync; plain TCP",
            Self::Nats => "file without fsync (every 2 min); plain TCP",
            Self::Redis => "fsync before each reply; plain TCP",
        }
    }

    fn program(self, relay: &Path) -> PathBuf {
        match self {
            Self::Hermes => relay.to_owned(),
            Self::Mosquitto => "/usr/sbin/mosquitto".into(),
            Self::Nats => "/usr/sbin/nats-server".into(),
            Self::Redis => "/usr/bin/redis-server".into(),
        }
    }

    /// Whether its program is here.
    pub fn installed(self, relay: &Path) -> bool {
        self.program(relay).exists()
    }
}

/// A running server, killed when dropped.
pub struct Server {
    /// Which one.
    pub system: System,
    /// Where it listens.
    pub address: SocketAddr,
    /// The relay's address, if it is one.
    pub relay: Option<RelayAddress>,
    child: Child,
    directory: TempDir,
    program: PathBuf,
}

impl Server {
    /// Starts one with an empty store under `parent`, which should be on a real disk.
    pub async fn start(system: System, relay: &Path, parent: &Path) -> Result<Self> {
        let directory = TempDir::new_in(parent)?;
        let port = match system {
            System::Hermes => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
            _ => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        std::fs::write(directory.path().join("config"), configuration(system, address, directory.path()))?;
        let program = system.program(relay);
        let child = spawn(system, &program, address, directory.path())?;
        let mut server = Self { system, address, relay: None, child, directory, program };
        server.ready().await?;
        if system == System::Nats {
            nats::make_stream(address).await?;
        }
        Ok(server)
    }

    /// Kills it, so that all its clients are cut off, and starts it again on its store.
    pub async fn restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(self.system, &self.program, self.address, self.directory.path())?;
        self.ready().await
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("a short stat")?.parse()?) };
        Ok(Duration::from_secs_f64((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("no VmRSS")?.parse()?)
    }

    async fn ready(&mut self) -> Result<()> {
        if self.system == System::Hermes {
            let mut line = String::new();
            BufReader::new(self.child.stdout.take().context("no output")?).read_line(&mut line)?;
            let said: serde_json::Value = serde_json::from_str(&line).context("the relay did not start")?;
            self.relay = Some(said["address"].as_str().context("no address")?.parse()?);
            return Ok(());
        }
        let begun = std::time::Instant::now();
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            if begun.elapsed() > START || self.child.try_wait()?.is_some() {
                bail!("{} does not listen", self.system.name());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(system: System, program: &Path, address: SocketAddr, directory: &Path) -> Result<Child> {
    let config = directory.join("config");
    let mut command = Command::new(program);
    match system {
        System::Hermes => command
            .args(["--json", "--registration", "open", "--listen", &address.to_string(), "--config"])
            .arg(config)
            .arg("--state-dir")
            .arg(directory.join("state")),
        System::Mosquitto | System::Nats => command.arg("-c").arg(config),
        System::Redis => command.arg(config),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if system != System::Hermes {
        command.stdout(Stdio::null());
    }
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

/// Limits that exist to protect a public server are out of the way; what is durable is as [`System::promises`] says.
fn configuration(system: System, address: SocketAddr, directory: &Path) -> String {
    let (port, directory) = (address.port(), directory.display());
    match system {
        System::Hermes => {
            "connections = 20000\n[limits]\nmailbox_envelopes = 10000000\nmailbox_mib = 65536\n\
            contact_percent = 100\ndeposit_burst = 1000000000\ndeposits_per_second = 1000\n\
            post_burst = 1000000000\nposts_per_second = 1000\n"
                .to_owned()
        }
        System::Mosquitto => format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {directory}/\n\
             max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_type none\nuser root\n"
        ),
        System::Nats => format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{directory}/js\" }}\nmax_connections: 20000\n"
        ),
        System::Redis => format!(
            "bind 127.0.0.1\nport {port}\ndir {directory}\nappendonly yes\nappendfsync always\nsave \"\"\n\
             maxclients 19000\n"
        ),
    }
}
