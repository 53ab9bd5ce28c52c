//! Hosts on one Ethernet, each in a network namespace of the system's: the real network code, with the plugs in the test's
//! hands.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicUsize, Ordering},
};

/// As many hosts as were asked for, numbered from 0, and what connects them. Gone when this is dropped.
#[derive(Debug)]
pub struct Wires {
    hosts: u8,
    /// What the names of its namespaces begin with, and no others.
    prefix: String,
}

impl Wires {
    /// Connects so many hosts. It takes rights and a program that not every machine gives its tests.
    pub fn lay(hosts: u8) -> io::Result<Self> {
        static LAID: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("hm{}-{}", process::id(), LAID.fetch_add(1, Ordering::Relaxed));
        let wires = Self { hosts, prefix };
        wires.ip(&["netns", "add", &wires.switch()])?;
        wires.at(&wires.switch(), &["link", "add", "bridge", "type", "bridge"])?;
        wires.at(&wires.switch(), &["link", "set", "bridge", "up"])?;
        for host in 0..hosts {
            wires.connect(host)?;
        }
        Ok(wires)
    }

    /// The namespace of a host.
    pub fn namespace(&self, host: u8) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// The address of a host at first.
    pub fn address(&self, host: u8) -> IpAddr {
        IpAddr::V4(first(host))
    }

    /// Pulls a host's plug, at the other end of the wire: the host notices nothing.
    pub fn cut(&self, host: u8) {
        self.at(&self.switch(), &["link", "set", &port(host), "down"]).expect("it is up");
    }

    /// Puts it in again.
    pub fn mend(&self, host: u8) {
        self.at(&self.switch(), &["link", "set", &port(host), "up"]).expect("it is down");
    }

    /// From here on no packet of more bytes gets to a host or away from it.
    pub fn narrow(&self, host: u8, bytes: u16) {
        let bytes = bytes.to_string();
        self.at(&self.switch(), &["link", "set", &port(host), "mtu", &bytes]).expect("it is a size");
        self.at(&self.namespace(host), &["link", "set", "eth0", "mtu", &bytes]).expect("it is a size");
    }

    /// The address that [`Self::renumber`] gives to a host.
    pub fn next_address(&self, host: u8) -> IpAddr {
        IpAddr::V4(second(host))
    }

    /// Who asks on any of the hosts finds this name at this address. Programs that run already have to have been named
    /// something before they started.
    pub fn name(&self, name: &str, address: IpAddr) -> io::Result<()> {
        for host in 0..self.hosts {
            // It stands in the place of `/etc/hosts` there (ip-netns(8)), as the same file when it is written again.
            let directory = self.files(host);
            fs::create_dir_all(&directory)?;
            fs::write(directory.join("hosts"), format!("127.0.0.1 localhost\n{address} {name}\n"))?;
        }
        Ok(())
    }

    /// The host has another address from here on, and not the first one any more.
    pub fn renumber(&self, host: u8) {
        let (old, new) = (with_prefix(first(host)), with_prefix(second(host)));
        self.at(&self.namespace(host), &["address", "del", &old, "dev", "eth0"])
            .expect("it has this address");
        self.at(&self.namespace(host), &["address", "add", &new, "dev", "eth0"])
            .expect("nobody has this one");
    }

    fn connect(&self, host: u8) -> io::Result<()> {
        let (namespace, switch, port) = (self.namespace(host), self.switch(), port(host));
        self.ip(&["netns", "add", &namespace])?;
        let wire = ["link", "add", "eth0", "netns", &namespace, "type", "veth", "peer", "name", &port];
        self.ip(&[wire.as_slice(), &["netns", &switch]].concat())?;
        self.at(&switch, &["link", "set", &port, "master", "bridge", "up"])?;
        self.at(&namespace, &["address", "add", &with_prefix(first(host)), "dev", "eth0"])?;
        self.at(&namespace, &["link", "set", "lo", "up"])?;
        self.at(&namespace, &["link", "set", "eth0", "up"])
    }

    fn files(&self, host: u8) -> PathBuf {
        PathBuf::from("/etc/netns").join(self.namespace(host))
    }

    pub(super) fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }

    pub(super) fn at(&self, namespace: &str, arguments: &[&str]) -> io::Result<()> {
        self.ip(&[&["-n", namespace], arguments].concat())
    }

    pub(super) fn ip(&self, arguments: &[&str]) -> io::Result<()> {
        let output = Command::new("ip").args(arguments).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        let hosts = (0..self.hosts).map(|host| self.namespace(host));
        for namespace in hosts.chain([self.switch()]) {
            // It may not have come to be.
            let _ = self.ip(&["netns", "del", &namespace]);
        }
        for host in 0..self.hosts {
            let _ = fs::remove_dir_all(self.files(host));
        }
    }
}

pub(super) fn port(host: u8) -> String {
    format!("port{host}")
}

pub(super) fn first(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host + 1)
}

fn second(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host + 101)
}

pub(super) fn with_prefix(address: Ipv4Addr) -> String {
    format!("{address}/24")
}
