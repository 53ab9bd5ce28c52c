//! A relay that is known by its name only, and how it says which key it is (ALPN [`ALPN`]).
//!
//! A name is good for one thing: to find out the relay's address, which has its pin. The relay shows a certificate for the
//! name on a connection of this kind, and [`Introduction::Pin`] is all that is said there. Nothing else ever rests on a
//! certificate, and no name is ever stored or sent.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    address::{AddressError, RelayAddress, checked, host_and_port, write_authority},
    id::RelayPin,
};

/// The connection's application protocol.
pub const ALPN: &[u8] = b"hermes-introduction/1";

/// Where relays listen unless they are told otherwise (UDP).
pub const PORT: u16 = 4433;

/// The only frame of the only stream, which the relay opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Introduction {
    /// The key that the relay's address pins.
    Pin(RelayPin),
}

/// `hermes://HOST` or `hermes://HOST:PORT`: where a relay listens, without the key that it must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayName {
    host: String,
    port: u16,
}

impl RelayName {
    /// Builds a name; `host` is a DNS name, an IPv4 address or an IPv6 address without brackets.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let (host, port) = checked(host, port)?;
        Ok(Self { host, port })
    }

    /// What its certificate must name: a DNS name or an IP address, an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the relay of this name that has the key with this pin.
    pub fn pinned(&self, pin: RelayPin) -> Result<RelayAddress, AddressError> {
        RelayAddress::new(&self.host, self.port, pin)
    }
}

impl FromStr for RelayName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let authority = text.trim().strip_prefix("hermes://").ok_or(AddressError::Scheme)?;
        let bracketed = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (host, port) = match bracketed {
            Some(host) => (host, PORT),
            None if !authority.contains(':') => (authority, PORT),
            None => host_and_port(authority)?,
        };
        Self::new(host, port)
    }
}

impl fmt::Display for RelayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_authority(f, &self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_round_trips_and_may_leave_the_port_out() {
        for text in ["hermes://relay.example:4433", "hermes://127.0.0.1:1", "hermes://[::1]:4433"] {
            assert_eq!(text.parse::<RelayName>().unwrap().to_string(), text);
        }
        for (text, whole) in [("relay.example", "relay.example:4433"), ("[::1]", "[::1]:4433")] {
            let name: RelayName = format!("hermes://{text}").parse().unwrap();
            assert_eq!(name.to_string(), format!("hermes://{whole}"));
        }
    }

    #[test]
    fn an_address_is_no_name() {
        let pin = RelayPin([7; 32]);
        let name: RelayName = "hermes://h:1".parse().unwrap();
        assert_eq!(name.pinned(pin), RelayAddress::new("h", 1, pin));
        let address = name.pinned(pin).unwrap().to_string();
        assert_eq!(address.parse::<RelayName>(), Err(AddressError::Port));
        assert_eq!("hermes://h#abc".parse::<RelayName>(), Err(AddressError::Host));
        assert_eq!("hermes://::1".parse::<RelayName>(), Err(AddressError::Host));
        assert_eq!("hermes://".parse::<RelayName>(), Err(AddressError::Host));
        assert_eq!("relay.example".parse::<RelayName>(), Err(AddressError::Scheme));
    }
}
