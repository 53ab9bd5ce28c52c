//! What a starting relay says: its address, how to get in, and what to type next.

use std::{
    io::{self, IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
};

use hermes_relay::config::Config;
use hermes_wire::{AddressError, RelayAddress, RelayName, RelayPin, introduction::PORT};
use qrcode::{QrCode, render::unicode};
use serde::Serialize;

/// The machine-readable form, one line. It only ever grows.
#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    address: String,
    name: Option<String>,
    token: Option<&'a str>,
    listen: SocketAddr,
    monitor: Option<SocketAddr>,
}

/// What there is to say.
pub struct Greeting {
    pub address: RelayAddress,
    /// What finds out the address, as long as the relay has a certificate.
    pub name: Option<RelayName>,
    /// Whether the host in the address is a guess.
    pub guessed: bool,
    pub listen: SocketAddr,
    /// Where metrics and health are shown.
    pub monitor: Option<SocketAddr>,
    /// The first registration token, at the first start.
    pub token: Option<String>,
}

impl Greeting {
    pub fn print_json(&self) -> io::Result<()> {
        let line = Line {
            v: 1,
            address: self.address.to_string(),
            name: self.name.as_ref().map(RelayName::to_string),
            token: self.token.as_deref(),
            listen: self.listen,
            monitor: self.monitor,
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
        out.flush()
    }

    pub fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        // First, because it is taller than many screens: what is read and typed stays in sight below it.
        if out.is_terminal()
            && let Ok(code) = QrCode::new(self.address.to_string())
        {
            writeln!(out, "{}", code.render::<unicode::Dense1x2>().build())?;
        }
        writeln!(out, "Relay address\n\n  {}\n", self.address)?;
        if let Some(name) = &self.name {
            writeln!(
                out,
                "New clients find it by its name as well, as long as its certificate is good\n\n  {name}\n"
            )?;
        }
        if self.guessed {
            writeln!(
                out,
                "The host in it is a guess. If clients reach this machine under another name, start it\n\
                 with --public-address NAME, or put public_address = \"NAME\" into a config file (--config FILE).\n"
            )?;
        }
        match &self.token {
            Some(token) => writeln!(
                out,
                "Registration token, for one account (more with: hermes-relay token new)\n\n  {token}\n"
            )?,
            None => writeln!(out, "Registration tokens for new accounts: hermes-relay token new\n")?,
        }
        writeln!(out, "Next, on a client:\n\n  hermesctl init --name NAME --relay '{}'\n", self.address)?;
        if let Some(monitor) = self.monitor {
            writeln!(out, "Metrics and health: http://{monitor}/metrics, /healthz, /readyz")?;
        }
        writeln!(out, "Listening on {} (UDP). Ctrl-C stops the relay.", self.listen)?;
        out.flush()
    }
}

/// The address that clients use, and whether its host is guessed.
pub fn public_address(
    config: &Config,
    listen: SocketAddr,
    pin: RelayPin,
) -> Result<(RelayAddress, bool), AddressError> {
    if let Some(name) = &config.public_address {
        let (host, port) = split_port(name, listen.port());
        return Ok((RelayAddress::new(host, port, pin)?, false));
    }
    let (host, guessed) =
        if listen.ip().is_unspecified() { (own_address(), true) } else { (listen.ip(), false) };
    Ok((RelayAddress::new(&host.to_string(), listen.port(), pin)?, guessed))
}

/// What clients could reach a relay under that has this `public_address`.
pub fn public_name(name: &str) -> Result<RelayName, AddressError> {
    let (host, port) = split_port(name, PORT);
    RelayName::new(host, port)
}

/// `HOST`, `HOST:PORT`, `V6` or `[V6]:PORT`.
fn split_port(name: &str, default: u16) -> (&str, u16) {
    if name.parse::<IpAddr>().is_ok() {
        return (name, default);
    }
    match name.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => (host.trim_start_matches('[').trim_end_matches(']'), port),
        None => (name, default),
    }
}

/// The address this machine would send from, as its routing table says. Connecting a UDP socket sends nothing.
fn own_address() -> IpAddr {
    // A documentation address (RFC 5737): any address that lies outside does.
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr())
    });
    probe.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_may_have_a_port() {
        assert_eq!(split_port("relay.example", 4433), ("relay.example", 4433));
        assert_eq!(split_port("relay.example:443", 4433), ("relay.example", 443));
        assert_eq!(split_port("2001:db8::1", 4433), ("2001:db8::1", 4433));
        assert_eq!(split_port("[2001:db8::1]:443", 4433), ("2001:db8::1", 443));
    }
}
