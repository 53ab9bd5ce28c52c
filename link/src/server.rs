//! The relay's side: one endpoint for both kinds of connection, and who is at the other end of each.

use std::{io, net::SocketAddr, sync::Arc};

use hermes_wire::{MailboxId, drop, mailbox};
use quinn::{
    Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, VarInt,
    crypto::rustls::{HandshakeData, NoInitialCipherSuite, QuicServerConfig},
};
use rustls::pki_types::CertificateDer;

use crate::{credential::RelayIdentity, limits, tls, transport};

/// Why a relay cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound: in use, not of this machine, or not permitted.
    #[error("cannot listen: {0}")]
    Socket(#[from] io::Error),
    /// The identity cannot be used.
    #[error("cannot use the relay's key: {0}")]
    Identity(String),
}

/// Who is at the other end of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The holder of this mailbox's key, proven in the handshake.
    Owner(MailboxId),
    /// Someone without a certificate.
    Depositor,
}

/// Listens for mailbox and drop connections. Must be called within a tokio runtime.
pub fn listen(address: SocketAddr, identity: &RelayIdentity) -> Result<Endpoint, ListenError> {
    let keys = identity
        .endpoint_keys()
        .map_err(|_| ListenError::Identity("its endpoint keys cannot be derived".to_owned()))?;
    let tls = tls::server(identity.certified.clone(), &[mailbox::ALPN, drop::ALPN])
        .map_err(|error| ListenError::Identity(error.to_string()))?;
    let quic = QuicServerConfig::try_from(tls)
        .map_err(|error: NoInitialCipherSuite| ListenError::Identity(error.to_string()))?;
    let mut server = ServerConfig::new(Arc::new(quic), Arc::new(keys.retry));
    server
        .transport_config(transport::server())
        .max_incoming(limits::PENDING_INCOMING)
        .incoming_buffer_size(limits::PENDING_INCOMING_BYTES)
        .incoming_buffer_size_total(limits::PENDING_INCOMING_TOTAL_BYTES);
    let mut endpoint = EndpointConfig::new(Arc::new(keys.reset));
    let connection_ids = keys.connection_ids;
    endpoint
        .cid_generator(move || Box::new(quinn_proto::HashedConnectionIdGenerator::from_key(connection_ids)));
    let socket = std::net::UdpSocket::bind(address)?;
    Ok(Endpoint::new(endpoint, Some(server), socket, Arc::new(TokioRuntime))?)
}

/// Lets a client that has proven something send as much ahead as throughput needs.
pub fn widen(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(limits::RELAY_WINDOW));
}

/// Who is at the other end; `None` when protocol and certificate do not fit each other (a depositor with a certificate
/// would identify itself by mistake, an owner without one proves nothing).
pub fn peer(connection: &Connection) -> Option<Peer> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    let certificates = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    match (data.protocol?.as_slice(), certificates) {
        (mailbox::ALPN, Some(chain)) => Some(Peer::Owner(tls::mailbox_in(chain.first()?)?)),
        (drop::ALPN, None) => Some(Peer::Depositor),
        _ => None,
    }
}
