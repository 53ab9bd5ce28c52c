//! The relay's side: one endpoint for both kinds of connection, and who is at the other end of each.

use std::{io, net::SocketAddr, sync::Arc};

use hermes_wire::{MailboxId, drop, introduction, mailbox};
use quinn::{
    AsyncUdpSocket, Connection, Endpoint, EndpointConfig, Runtime, ServerConfig, TokioRuntime, VarInt,
    crypto::rustls::{HandshakeData, NoInitialCipherSuite, QuicServerConfig},
};
use rustls::pki_types::CertificateDer;

use crate::{
    certificate::RelayCertificate,
    credential::{EndpointKeys, RelayIdentity},
    limits, tls, transport,
};

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
    /// Someone who has the relay's name alone, and wants to know its key.
    Newcomer,
}

/// Listens for mailbox and drop connections. Must be called within a tokio runtime.
pub fn listen(address: SocketAddr, identity: &RelayIdentity) -> Result<Endpoint, ListenError> {
    let socket = TokioRuntime.wrap_udp_socket(std::net::UdpSocket::bind(address)?)?;
    listen_on(socket, identity)
}

/// The same on a socket that is there, which may belong to a simulated network.
pub fn listen_on(socket: Arc<dyn AsyncUdpSocket>, identity: &RelayIdentity) -> Result<Endpoint, ListenError> {
    let keys = endpoint_keys(identity)?;
    let server = config(identity, None)?;
    let mut endpoint = EndpointConfig::new(Arc::new(keys.reset));
    let connection_ids = keys.connection_ids;
    endpoint
        .cid_generator(move || Box::new(quinn_proto::HashedConnectionIdGenerator::from_key(connection_ids)));
    let runtime = Arc::new(TokioRuntime);
    Ok(Endpoint::new_with_abstract_socket(endpoint, Some(server), socket, runtime)?)
}

/// Lets newcomers come who have the relay's name alone, and shows them this certificate; or, without one, nobody any more.
/// Connections that are there stay as they are.
pub fn certify(
    endpoint: &Endpoint,
    identity: &RelayIdentity,
    certificate: Option<&RelayCertificate>,
) -> Result<(), ListenError> {
    endpoint.set_server_config(Some(config(identity, certificate)?));
    Ok(())
}

fn config(
    identity: &RelayIdentity,
    certificate: Option<&RelayCertificate>,
) -> Result<ServerConfig, ListenError> {
    let certificate = certificate.map(|certificate| certificate.0.clone());
    let protocols: &[&[u8]] = match certificate {
        Some(_) => &[mailbox::ALPN, drop::ALPN, introduction::ALPN],
        None => &[mailbox::ALPN, drop::ALPN],
    };
    let tls = tls::server(identity.certified.clone(), certificate, protocols)
        .map_err(|error| ListenError::Identity(error.to_string()))?;
    let quic = QuicServerConfig::try_from(tls)
        .map_err(|error: NoInitialCipherSuite| ListenError::Identity(error.to_string()))?;
    let mut server = ServerConfig::new(Arc::new(quic), Arc::new(endpoint_keys(identity)?.retry));
    server
        .transport_config(transport::server())
        .max_incoming(limits::PENDING_INCOMING)
        .incoming_buffer_size(limits::PENDING_INCOMING_BYTES)
        .incoming_buffer_size_total(limits::PENDING_INCOMING_TOTAL_BYTES);
    Ok(server)
}

fn endpoint_keys(identity: &RelayIdentity) -> Result<EndpointKeys, ListenError> {
    identity
        .endpoint_keys()
        .map_err(|_| ListenError::Identity("its endpoint keys cannot be derived".to_owned()))
}

/// Lets a client that has proven something send as much ahead as throughput needs.
pub fn widen(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(limits::RELAY_WINDOW));
}

/// Sends a client as much ahead as throughput needs, and not only answers.
pub fn widen_sending(connection: &Connection) {
    connection.set_send_window(limits::RELAY_SEND_WINDOW);
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
        (introduction::ALPN, None) => Some(Peer::Newcomer),
        _ => None,
    }
}
