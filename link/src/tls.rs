//! TLS 1.3 with our own idea of trust: a relay is the key its address pins, a mailbox is the key it proves.
//!
//! Certificates are containers for keys; names, validity and issuers are not looked at, but by one who has a relay's name
//! alone and asks for its pin ([`CertifiedRelay`]). What is never skipped is the handshake signature: it is the proof that
//! the other side holds the key.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use hermes_wire::{MailboxId, RelayPin, introduction};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    RootCertStore, ServerConfig, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::credential::mailbox_of;

/// The TLS side of one connection attempt to a relay that `verifier` knows.
pub(crate) fn client(
    verifier: Arc<dyn ServerCertVerifier>,
    certificate: Option<Arc<CertifiedKey>>,
    alpn: &[u8],
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match certificate {
        Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The TLS side of a relay: `own` is what addresses pin, `named` what an authority has signed.
pub(crate) fn server(
    own: Arc<CertifiedKey>,
    named: Option<Arc<CertifiedKey>>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    let provider = provider();
    let verifier = Arc::new(AnyMailbox { algorithms: provider.signature_verification_algorithms });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(ByProtocol { own, named }));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// aws-lc-rs with the build's `prefer-post-quantum`: X25519MLKEM768 is offered and chosen first.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Which certificate a relay shows: to those who know its key the one with that key, to newcomers the one with its name.
#[derive(Debug)]
struct ByProtocol {
    own: Arc<CertifiedKey>,
    named: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByProtocol {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let newcomer = hello.alpn().is_some_and(|mut offered| offered.any(|name| name == introduction::ALPN));
        // Without one, the protocol is not spoken, and the handshake ends before anything is shown.
        let shown = self.named.as_ref().filter(|_| newcomer).unwrap_or(&self.own);
        Some(shown.clone())
    }
}

/// Accepts a relay whose name an authority has certified, and remembers why it did not.
#[derive(Debug)]
pub(crate) struct CertifiedRelay {
    webpki: Arc<WebPkiServerVerifier>,
    verdict: OnceLock<Error>,
}

impl CertifiedRelay {
    pub(crate) fn new(authorities: Arc<RootCertStore>) -> Result<Self, Error> {
        let webpki = WebPkiServerVerifier::builder_with_provider(authorities, provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { webpki, verdict: OnceLock::new() })
    }

    /// Why the certificate was not believed, if it was not.
    pub(crate) fn verdict(&self) -> Option<Error> {
        self.verdict.get().cloned()
    }
}

impl ServerCertVerifier for CertifiedRelay {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.webpki
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .inspect_err(|error| drop(self.verdict.set(error.clone())))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Accepts the relay whose key has this pin, and remembers when another one answered.
#[derive(Debug)]
pub(crate) struct PinnedRelay {
    pin: RelayPin,
    mismatch: AtomicBool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedRelay {
    pub(crate) fn new(pin: RelayPin) -> Self {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        Self { pin, mismatch: AtomicBool::new(false), algorithms }
    }

    /// Whether a relay with another key answered. TLS alerts cannot carry the difference between this and any other
    /// refused certificate, and the user must hear it.
    pub(crate) fn saw_another_key(&self) -> bool {
        self.mismatch.load(Ordering::Acquire)
    }
}

impl ServerCertVerifier for PinnedRelay {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let spki = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        if bool::from(Sha256::digest(&*spki).as_slice().ct_eq(self.pin.as_bytes())) {
            return Ok(ServerCertVerified::assertion());
        }
        self.mismatch.store(true, Ordering::Release);
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts any Ed25519 key whose possession is proven, and clients without one: those may only deposit.
#[derive(Debug)]
struct AnyMailbox {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyMailbox {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        mailbox_in(end_entity)
            .map(|_| ClientCertVerified::assertion())
            .ok_or(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// The mailbox whose key a certificate carries.
pub(crate) fn mailbox_in(certificate: &CertificateDer<'_>) -> Option<MailboxId> {
    mailbox_of(&ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info())
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn the_post_quantum_group_comes_first_and_nothing_is_resumed() {
        assert_eq!(provider().kx_groups[0].name(), NamedGroup::X25519MLKEM768);
        let client = client(Arc::new(PinnedRelay::new(RelayPin([0; 32]))), None, b"x").unwrap();
        assert!(!client.enable_early_data);
        let relay = crate::credential::RelayIdentity::generate().unwrap();
        let server = server(relay.certified, None, &[b"x"]).unwrap();
        assert_eq!((server.max_early_data_size, server.send_tls13_tickets), (0, 0));
        assert!(!server.session_storage.can_cache());
    }
}
