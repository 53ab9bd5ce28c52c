//! Whether a relay answers over UDP at all, asked without keys: what a firewall swallows looks the same from the inside
//! as a relay that is down.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hermes_api::{AccountStatus, ConnectionState};
use tokio::{
    net::{UdpSocket, lookup_host},
    time::timeout,
};

use super::{Check, Verdict};
use crate::{limits, render::account::relay_host};

const NAME: &str = "relay UDP";

/// What came of asking.
enum Answer {
    /// It speaks QUIC.
    Yes,
    /// The name is nobody's.
    NoSuchHost(String),
    /// The machine is there, and nothing listens at the port.
    Refused,
    /// Nothing came back.
    Silence,
    /// This machine cannot even send.
    CannotSend(io::Error),
}

/// Asks the relay of an account that is not connected to it.
pub(super) async fn check(account: &AccountStatus) -> Option<Check> {
    let host = relay_host(&account.relay);
    if account.connection.state == ConnectionState::Connected || host.is_empty() {
        return None;
    }
    let fail = |text: String, fact: &str, advice: &str| {
        Check::private(NAME, Verdict::Fail, text, fact).advise(advice)
    };
    let check = match ask(host).await {
        Answer::Yes => Check::private(NAME, Verdict::Ok, format!("{host} answers over UDP"), "it answers"),
        Answer::NoSuchHost(why) => fail(
            format!("not connected: the name in {host} cannot be resolved: {why}"),
            "its name cannot be resolved",
            "check the network and the spelling of the relay's address",
        ),
        Answer::Refused => fail(
            format!("not connected: nothing listens on UDP at {host}"),
            "nothing listens at its port",
            "the relay is not running, or the port is wrong: ask its operator",
        ),
        Answer::Silence => fail(
            format!("not connected: {host} does not answer over UDP"),
            "no answer",
            "a firewall may drop UDP: at this end allow it outgoing to that port, at the relay's incoming; or the \
             relay's machine is down",
        ),
        Answer::CannotSend(error) => fail(
            format!("not connected: nothing can be sent to {host}: {error}"),
            "nothing can be sent",
            "check the network of this machine",
        ),
    };
    Some(check.of(&account.name))
}

async fn ask(host: &str) -> Answer {
    let addresses: Vec<SocketAddr> = match timeout(limits::RELAY_ANSWER, lookup_host(host)).await {
        Ok(Ok(addresses)) => addresses.take(limits::RELAY_ADDRESSES).collect(),
        Ok(Err(error)) => return Answer::NoSuchHost(error.to_string()),
        Err(_) => return Answer::NoSuchHost("the resolver does not answer".to_owned()),
    };
    let mut answer = Answer::NoSuchHost("it has no address".to_owned());
    for address in addresses {
        answer = match probe(address, limits::RELAY_ANSWER).await {
            Ok(true) => return Answer::Yes,
            Ok(false) => Answer::Silence,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused,
            Err(error) => Answer::CannotSend(error),
        };
    }
    answer
}

/// A packet of a version that nobody speaks (RFC 9000, section 6.3): whoever speaks QUIC says which ones they do, before
/// any key or certificate.
async fn probe(address: SocketAddr, patience: Duration) -> io::Result<bool> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    let mut packet = [0; PACKET_BYTES];
    let id: [u8; ID_BYTES] = rand::random();
    // A long header; the version; the length of the connection id, the id, and none of our own.
    packet[..6].copy_from_slice(&[0xC0, 0x1A, 0x2A, 0x3A, 0x4A, ID_BYTES as u8]);
    packet[6..6 + ID_BYTES].copy_from_slice(&id);
    let exchange = async {
        let mut answer = [0; PACKET_BYTES];
        loop {
            let length = socket.recv(&mut answer).await?;
            // A long header with version 0.
            if length > 5 && answer[0] & 0x80 != 0 && answer[1..5] == [0; 4] {
                return Ok::<_, io::Error>(true);
            }
        }
    };
    // One packet may get lost.
    for _ in 0..TRIES {
        socket.send(&packet).await?;
    }
    match timeout(patience, exchange).await {
        Ok(answer) => answer,
        Err(_) => Ok(false),
    }
}

/// Smaller ones are not answered, so that nobody can have a relay multiply traffic.
const PACKET_BYTES: usize = 1200;
/// Bytes of the connection id.
const ID_BYTES: usize = 8;
/// Packets that are sent at once.
const TRIES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_refusal_and_an_answer_are_told_apart() {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = peer.local_addr().unwrap();
        assert!(!probe(address, Duration::from_millis(50)).await.unwrap());
        let mut buffer = [0; 2 * PACKET_BYTES];
        let (length, _) = peer.recv_from(&mut buffer).await.unwrap();
        assert_eq!((length, &buffer[..6]), (PACKET_BYTES, &[0xC0, 0x1A, 0x2A, 0x3A, 0x4A, 8][..]));
        drop(peer);
        let refused = refusal().await.expect("a port that nobody has is refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(matches!(ask("host.invalid:1").await, Answer::NoSuchHost(_)));
    }

    /// Asks at ports that were free a moment ago: somebody may have taken one since, and a system says so many times a second
    /// that nobody is there, and no more.
    async fn refusal() -> Option<io::Error> {
        for _ in 0..20 {
            let address = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            if let Err(refused) = probe(address, Duration::from_millis(500)).await {
                return Some(refused);
            }
        }
        None
    }
}
