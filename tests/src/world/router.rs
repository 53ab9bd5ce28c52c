//! A router between one host and all others: the system's own masquerade, which forgets soon who it spoke for.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use serde_json::Value;

use super::wires::{Wires, first, port, with_prefix};

/// The network behind it, which is nobody else's (RFC 1918).
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);

/// A host's router. Gone when this is dropped, and with it the host's way to the others.
#[derive(Debug)]
pub struct Router {
    namespace: String,
    host: u8,
}

impl Router {
    /// Puts a host of `wires` behind a router, which takes over its address and remembers a flow of UDP for no more than so
    /// many seconds of silence. It takes nftables and the kernel's connection tracking.
    pub fn before(wires: &Wires, host: u8, seconds: u32) -> io::Result<Self> {
        let router = Self { namespace: format!("{}-router", wires.namespace(host)), host };
        let (namespace, switch, port) = (router.namespace.as_str(), wires.switch(), port(host));
        let out = format!("out{host}");
        wires.ip(&["netns", "add", namespace])?;
        wires.at(&switch, &["link", "set", &port, "nomaster"])?;
        wires.at(&switch, &["link", "set", &port, "netns", namespace])?;
        let wire = ["link", "add", "outside", "netns", namespace, "type", "veth", "peer", "name", &out];
        wires.ip(&[wire.as_slice(), &["netns", &switch]].concat())?;
        wires.at(&switch, &["link", "set", &out, "master", "bridge", "up"])?;
        for (device, address) in [(port.as_str(), INSIDE), ("outside", first(host))] {
            wires.at(namespace, &["address", "add", &with_prefix(address), "dev", device])?;
            wires.at(namespace, &["link", "set", device, "up"])?;
        }
        let home = wires.namespace(host);
        wires.at(&home, &["address", "replace", &with_prefix(HOST), "dev", "eth0"])?;
        wires.at(&home, &["address", "del", &with_prefix(first(host)), "dev", "eth0"])?;
        wires.at(&home, &["route", "add", "default", "via", &INSIDE.to_string()])?;
        router.masquerade(seconds)?;
        // Without it nobody can tell when it has forgotten.
        router.flows()?;
        Ok(router)
    }

    /// Whether it has forgotten every flow of the host.
    pub fn has_forgotten(&self) -> bool {
        self.flows().expect("they could be read at first").is_empty()
    }

    /// Counts at `at`, a host of the same wires, from how many ports this one's UDP comes.
    pub fn count_ports(&self, wires: &Wires, at: u8) -> io::Result<()> {
        let namespace = wires.namespace(at);
        let from = IpAddr::V4(first(self.host));
        for line in [
            "add table ip seen".to_owned(),
            "add set ip seen ports { type inet_service; flags dynamic; size 1000; }".to_owned(),
            "add chain ip seen in { type filter hook input priority 0; }".to_owned(),
            format!("add rule ip seen in ip saddr {from} meta l4proto udp add @ports {{ udp sport }}"),
        ] {
            inside(&namespace, &["nft", &line])?;
        }
        Ok(())
    }

    /// From how many it came since.
    pub fn ports(&self, wires: &Wires, at: u8) -> usize {
        let list = inside(&wires.namespace(at), &["nft", "-j", "list", "set", "ip", "seen", "ports"]);
        let list: Value = serde_json::from_str(&list.expect("they are counted")).expect("nft prints JSON");
        let sets = list["nftables"].as_array().expect("a list").iter();
        sets.filter_map(|entry| entry["set"]["elem"].as_array()).map(Vec::len).sum()
    }

    fn masquerade(&self, seconds: u32) -> io::Result<()> {
        for line in [
            "add table ip nat",
            "add chain ip nat out { type nat hook postrouting priority srcnat; }",
            // Another port for each flow: one that was forgotten does not come back by chance.
            "add rule ip nat out oifname outside masquerade fully-random",
        ] {
            inside(&self.namespace, &["nft", line])?;
        }
        let settings = ["udp_timeout", "udp_timeout_stream"];
        for setting in settings.map(|name| format!("net.netfilter.nf_conntrack_{name}={seconds}")) {
            inside(&self.namespace, &["sysctl", "-q", "-w", &setting])?;
        }
        inside(&self.namespace, &["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]).map(drop)
    }

    /// What it knows of the host's.
    fn flows(&self) -> io::Result<Vec<String>> {
        let known = inside(&self.namespace, &["cat", "/proc/net/nf_conntrack"])?;
        let of_host = format!("src={HOST} ");
        Ok(known.lines().filter(|line| line.contains(&of_host)).map(str::to_owned).collect())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It may not have come to be.
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).output();
    }
}

/// What a program prints in a namespace.
fn inside(namespace: &str, command: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(["netns", "exec", namespace]).args(command).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
