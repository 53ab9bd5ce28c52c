//! Relay addresses: `hermes://HOST:PORT#PIN`.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

use crate::id::RelayPin;

/// Longest DNS name (RFC 1035, section 2.3.4).
const HOST_CHARS: usize = 253;

/// Where a relay listens and which key it must prove. Without the pin an address is worth nothing, so it is no option.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayAddress {
    host: String,
    port: u16,
    pin: RelayPin,
}

/// What is wrong with a relay address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `hermes://…`.
    #[error("a relay address starts with hermes://")]
    Scheme,
    /// The part after `#` is missing or not a pin.
    #[error("a relay address ends with # and 52 letters and digits, the relay's key fingerprint")]
    Pin,
    /// No host, or characters that no host has.
    #[error("a relay address names a host, like hermes://relay.example:4433#…")]
    Host,
    /// No port, or not a number from 1 to 65535.
    #[error("a relay address names a port, like hermes://relay.example:4433#…")]
    Port,
}

impl RelayAddress {
    /// Builds an address; `host` is a DNS name, an IPv4 address or an IPv6 address without brackets.
    pub fn new(host: &str, port: u16, pin: RelayPin) -> Result<Self, AddressError> {
        let (host, port) = checked(host, port)?;
        Ok(Self { host, port, pin })
    }

    /// DNS name or IP address, an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is the same relay, under whatever name: a relay is its key.
    pub fn is_same(&self, other: &Self) -> bool {
        self.pin == other.pin
    }

    /// SHA-256 of the key the relay must prove.
    pub fn pin(&self) -> RelayPin {
        self.pin
    }
}

impl FromStr for RelayAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.trim().strip_prefix("hermes://").ok_or(AddressError::Scheme)?;
        let (authority, pin) = rest.split_once('#').ok_or(AddressError::Pin)?;
        let pin = BASE32_NOPAD.decode(pin.to_ascii_uppercase().as_bytes()).map_err(|_| AddressError::Pin)?;
        let pin = RelayPin(pin.try_into().map_err(|_| AddressError::Pin)?);
        let (host, port) = host_and_port(authority)?;
        Self::new(host, port, pin)
    }
}

/// A host that names one, in lower case, and a port.
pub(crate) fn checked(host: &str, port: u16) -> Result<(String, u16), AddressError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    if host.is_empty() || host.len() > HOST_CHARS || !host.chars().all(allowed) {
        return Err(AddressError::Host);
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(AddressError::Host);
    }
    if port == 0 {
        return Err(AddressError::Port);
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// The parts of `HOST:PORT`, the host without brackets.
pub(crate) fn host_and_port(authority: &str) -> Result<(&str, u16), AddressError> {
    let (host, port) = authority.rsplit_once(':').ok_or(AddressError::Port)?;
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(AddressError::Host);
    }
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    // `u16::from_str` takes a leading plus; an address has one spelling.
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::Port);
    }
    Ok((host, port.parse().map_err(|_| AddressError::Port)?))
}

/// `hermes://HOST:PORT`, an IPv6 address in brackets.
pub(crate) fn write_authority(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') {
        write!(f, "hermes://[{host}]:{port}")
    } else {
        write!(f, "hermes://{host}:{port}")
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pin = BASE32_NOPAD.encode(self.pin.as_bytes()).to_ascii_lowercase();
        write_authority(f, &self.host, self.port)?;
        write!(f, "#{pin}")
    }
}

impl TryFrom<String> for RelayAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<RelayAddress> for String {
    fn from(address: RelayAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for host in ["relay.example", "127.0.0.1", "::1"] {
            let address = RelayAddress::new(host, 4433, RelayPin([7; 32])).unwrap();
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        let pin = "a".repeat(51) + "q";
        let parse = |text: &str| text.replace("PIN", &pin).parse::<RelayAddress>();
        assert!(parse("hermes://h:1#PIN").is_ok());
        assert_eq!(parse("https://h:1#PIN"), Err(AddressError::Scheme));
        assert_eq!(parse("hermes://h:1"), Err(AddressError::Pin));
        assert_eq!(parse("hermes://h:1#abc"), Err(AddressError::Pin));
        assert_eq!(parse("hermes://h#PIN"), Err(AddressError::Port));
        assert_eq!(parse("hermes://h:0#PIN"), Err(AddressError::Port));
        assert_eq!(parse("hermes://h:+1#PIN"), Err(AddressError::Port));
        assert_eq!(parse("hermes://:1#PIN"), Err(AddressError::Host));
        assert_eq!(parse("hermes://a b:1#PIN"), Err(AddressError::Host));
        assert_eq!(parse("hermes://::1:1#PIN"), Err(AddressError::Host));
    }
}
