//! The client's side: connections of a mailbox's owner, and connections of an anonymous depositor.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use hermes_wire::{RelayAddress, drop, mailbox};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, NoneTokenStore, TransportErrorCode,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig},
};
use rustls::{client::danger::ServerCertVerifier, sign::CertifiedKey};

use crate::{
    credential::MailboxCredential,
    limits,
    tls::{self, PinnedRelay},
    transport,
};

/// Every relay whose pin is known is asked for by the same name, and the name is not sent: the pin says who it must be.
const SERVER_NAME: &str = "relay";

/// Why no connection to a relay came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The relay's host name has no address, or the resolver could not be asked.
    #[error("the relay's host name cannot be resolved")]
    Resolve(#[source] io::Error),
    /// Nothing answered at the relay's address in [`limits::HANDSHAKE`].
    #[error("the relay does not answer")]
    Unreachable,
    /// Something answered that has another key than the address pins: the address is outdated, or someone is between.
    #[error("the relay that answered is not the one this address names: its key is another")]
    WrongPin,
    /// The relay takes no connections at the moment.
    #[error("the relay is at its capacity")]
    Refused,
    /// The handshake failed for another reason.
    #[error("the relay ended the connection: {0}")]
    Closed(#[source] ConnectionError),
    /// This machine cannot open the connection.
    #[error("this machine cannot open a connection: {0}")]
    Local(String),
}

/// Opens sockets for outgoing connections: [`endpoint`], unless the network is a simulated one.
pub type OpenEndpoint = Arc<dyn Fn() -> io::Result<Endpoint> + Send + Sync>;

/// Opens a UDP socket for outgoing connections, over IPv6 and IPv4 where the machine has both.
///
/// Mailbox and drop connections belong on different endpoints: a shared source port would tell the relay who deposits.
pub fn endpoint() -> io::Result<Endpoint> {
    Endpoint::client(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))
        .or_else(|_| Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))
}

/// Connects as the owner of a mailbox, proving its key.
pub async fn connect_mailbox(
    endpoint: &Endpoint,
    relay: &RelayAddress,
    credential: &MailboxCredential,
) -> Result<Connection, ConnectError> {
    connect(endpoint, relay, Some(credential.certified.clone()), mailbox::ALPN).await
}

/// Connects as nobody, to deposit and fetch with drop tokens.
pub async fn connect_drop(endpoint: &Endpoint, relay: &RelayAddress) -> Result<Connection, ConnectError> {
    connect(endpoint, relay, None, drop::ALPN).await
}

async fn connect(
    endpoint: &Endpoint,
    relay: &RelayAddress,
    certificate: Option<Arc<CertifiedKey>>,
    alpn: &[u8],
) -> Result<Connection, ConnectError> {
    let mut failure = ConnectError::Resolve(io::ErrorKind::NotFound.into());
    for address in addresses(relay.host(), relay.port()).await? {
        let verifier = Arc::new(PinnedRelay::new(relay.pin()));
        let config = config(verifier.clone(), certificate.clone(), alpn)?;
        failure = match handshake(endpoint, config, address, SERVER_NAME).await {
            Ok(connection) => return Ok(connection),
            Err(_) if verifier.saw_another_key() => ConnectError::WrongPin,
            Err(error) => error,
        };
    }
    Err(failure)
}

/// The addresses that are tried for a host.
pub(crate) async fn addresses(
    host: &str,
    port: u16,
) -> Result<impl Iterator<Item = SocketAddr>, ConnectError> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(ConnectError::Resolve)?;
    Ok(found.take(limits::ADDRESSES))
}

pub(crate) async fn handshake(
    endpoint: &Endpoint,
    config: ClientConfig,
    address: SocketAddr,
    name: &str,
) -> Result<Connection, ConnectError> {
    let connecting = endpoint
        .connect_with(config, address, name)
        .map_err(|error| ConnectError::Local(error.to_string()))?;
    match tokio::time::timeout(limits::HANDSHAKE, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(ConnectionError::TimedOut)) | Err(_) => Err(ConnectError::Unreachable),
        Ok(Err(ConnectionError::ConnectionClosed(close)))
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            Err(ConnectError::Refused)
        }
        Ok(Err(error)) => Err(ConnectError::Closed(error)),
    }
}

pub(crate) fn config(
    verifier: Arc<dyn ServerCertVerifier>,
    certificate: Option<Arc<CertifiedKey>>,
    alpn: &[u8],
) -> Result<ClientConfig, ConnectError> {
    let tls =
        tls::client(verifier, certificate, alpn).map_err(|error| ConnectError::Local(error.to_string()))?;
    let quic = QuicClientConfig::try_from(tls)
        .map_err(|error: NoInitialCipherSuite| ConnectError::Local(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(quic));
    config.transport_config(transport::client()).token_store(Arc::new(NoneTokenStore));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use hermes_wire::RelayAddress;
    use rustls::{crypto::aws_lc_rs::sign::any_ecdsa_type, pki_types::PrivatePkcs8KeyDer};

    use super::*;
    use crate::{
        credential::RelayIdentity,
        server::{self, Peer},
    };

    /// Connects to a relay and returns what both sides make of it.
    async fn meet(
        identity: &RelayIdentity,
        certificate: Option<Arc<CertifiedKey>>,
        alpn: &[u8],
    ) -> (Result<Connection, ConnectError>, Result<Option<Peer>, ConnectionError>) {
        let listening = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), identity).unwrap();
        let port = listening.local_addr().unwrap().port();
        let address = RelayAddress::new("127.0.0.1", port, identity.pin()).unwrap();
        let endpoint = endpoint().unwrap();
        tokio::join!(connect(&endpoint, &address, certificate, alpn), async {
            listening.accept().await.unwrap().await.map(|connection| server::peer(&connection))
        })
    }

    fn with_key_of(certificate: &CertifiedKey, other: &CertifiedKey) -> Arc<CertifiedKey> {
        Arc::new(CertifiedKey::new(certificate.cert.clone(), other.key.clone()))
    }

    #[tokio::test]
    async fn protocol_and_certificate_must_fit() {
        let identity = RelayIdentity::generate().unwrap();
        let alice = MailboxCredential::from_seed(&[1; 32]).unwrap();
        let (_, peer) = meet(&identity, Some(alice.certified), drop::ALPN).await;
        assert_eq!(peer.unwrap(), None);
        let (_, peer) = meet(&identity, None, mailbox::ALPN).await;
        assert_eq!(peer.unwrap(), None);
    }

    #[tokio::test]
    async fn a_mailbox_without_its_key_is_not_let_in() {
        let identity = RelayIdentity::generate().unwrap();
        let [alice, mallory] = [1, 2].map(|seed| MailboxCredential::from_seed(&[seed; 32]).unwrap());
        let stolen = with_key_of(&alice.certified, &mallory.certified);
        let (_, peer) = meet(&identity, Some(stolen), mailbox::ALPN).await;
        assert!(peer.is_err());
    }

    #[tokio::test]
    async fn a_relay_without_its_key_is_not_believed() {
        let mut identity = RelayIdentity::generate().unwrap();
        let mallory = RelayIdentity::generate().unwrap();
        identity.certified = with_key_of(&identity.certified, &mallory.certified);
        let (connection, _) = meet(&identity, None, drop::ALPN).await;
        assert!(matches!(connection, Err(ConnectError::Closed(_))), "{connection:?}");
    }

    #[tokio::test]
    async fn a_mailbox_key_is_ed25519() {
        let identity = RelayIdentity::generate().unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let signer = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.serialized_der()).into()).unwrap();
        let certified = Arc::new(CertifiedKey::new(vec![certificate.into()], signer));
        let (_, peer) = meet(&identity, Some(certified), mailbox::ALPN).await;
        assert!(!matches!(peer, Ok(Some(Peer::Owner(_)))));
    }
}
