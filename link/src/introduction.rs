//! How a client finds out the address of a relay of which it has the name alone.

use std::{io, sync::Arc, time::Duration};

use hermes_wire::{
    RelayName, RelayPin,
    introduction::{self, Introduction},
};
use quinn::{Connection, ConnectionError, Endpoint, TransportErrorCode};
use rustls::{
    AlertDescription, CertificateError as Verdict, Error, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    client::{self, ConnectError},
    close,
    frame::FrameReader,
    limits,
    tls::CertifiedRelay,
};

/// Why a relay was not introduced.
#[derive(Debug, thiserror::Error)]
pub enum IntroductionError {
    /// No connection came about, for a reason that has nothing to do with certificates.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// This machine does not know any authority.
    #[error("this machine has no certificates of authorities that it trusts{0}")]
    NoAuthorities(String),
    /// The relay has no certificate, or is older than introductions are.
    #[error("this relay has no certificate, and shows its key to those only who know it")]
    NoCertificate,
    /// The certificate is of the past.
    #[error("the relay's certificate has expired")]
    Expired,
    /// The certificate is of the future.
    #[error("the relay's certificate is not valid yet")]
    NotYetValid,
    /// The certificate is for others.
    #[error("the relay's certificate is for another name")]
    OtherName,
    /// Nobody whom this machine trusts has signed it.
    #[error("the relay's certificate is of no authority that this machine trusts")]
    UnknownAuthority,
    /// The certificate is no good for another reason.
    #[error("the relay's certificate is no good: {0}")]
    Certificate(String),
    /// The relay did not say what it is to say.
    #[error("the relay does not say which key it has")]
    Silent,
}

/// Those whose word is taken for a relay's name.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Those that this system trusts, or that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Reads files.
    pub fn of_system() -> Result<Self, IntroductionError> {
        let loaded = rustls_native_certs::load_native_certs();
        let why = loaded.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        Self::new(loaded.certs).ok_or(IntroductionError::NoAuthorities(why))
    }

    /// Those whose certificates are here.
    pub fn from_pem(pem: &[u8]) -> Result<Self, IntroductionError> {
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
        Self::new(certificates).ok_or_else(|| IntroductionError::NoAuthorities(String::new()))
    }

    fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        // A collection may have some that this library cannot read; what those have signed is not believed.
        roots.add_parsable_certificates(certificates);
        (!roots.is_empty()).then(|| Self(Arc::new(roots)))
    }
}

/// Asks the relay of this name which key it is, and believes it if one of `authorities` has certified the name. What comes
/// back is to be pinned: the certificate is not asked for again.
///
/// The name is not sent, for the relay has but one certificate. No authority is asked whether it has taken that back.
pub async fn introduce(
    endpoint: &Endpoint,
    relay: &RelayName,
    authorities: &Authorities,
) -> Result<RelayPin, IntroductionError> {
    let mut failure = IntroductionError::Connect(ConnectError::Resolve(io::ErrorKind::NotFound.into()));
    for address in client::addresses(relay.host(), relay.port()).await? {
        let verifier = Arc::new(CertifiedRelay::new(authorities.0.clone()).map_err(local)?);
        let config = client::config(verifier.clone(), None, introduction::ALPN)?;
        failure = match client::handshake(endpoint, config, address, relay.host()).await {
            Ok(connection) => return heard(&connection).await,
            Err(error) => match verifier.verdict() {
                Some(verdict) => refused(verdict),
                None if is_unknown_protocol(&error) => IntroductionError::NoCertificate,
                None => error.into(),
            },
        };
    }
    Err(failure)
}

async fn heard(connection: &Connection) -> Result<RelayPin, IntroductionError> {
    let said = tokio::time::timeout(limits::HANDSHAKE, async {
        let stream = connection.accept_uni().await.ok()?;
        let mut frames = FrameReader::<Introduction>::limited(stream, limits::INTRODUCTION_BYTES);
        frames.next().await.ok()?
    });
    let said = said.await.ok().flatten();
    connection.close(close::DONE, b"");
    match said {
        Some(Introduction::Pin(pin)) => Ok(pin),
        None => Err(IntroductionError::Silent),
    }
}

fn refused(error: Error) -> IntroductionError {
    match error {
        Error::InvalidCertificate(Verdict::Expired | Verdict::ExpiredContext { .. }) => {
            IntroductionError::Expired
        }
        Error::InvalidCertificate(Verdict::NotValidYet | Verdict::NotValidYetContext { .. }) => {
            IntroductionError::NotYetValid
        }
        Error::InvalidCertificate(Verdict::NotValidForName | Verdict::NotValidForNameContext { .. }) => {
            IntroductionError::OtherName
        }
        Error::InvalidCertificate(Verdict::UnknownIssuer) => IntroductionError::UnknownAuthority,
        other => IntroductionError::Certificate(other.to_string()),
    }
}

/// A relay without a certificate does not know this protocol, nor does an older one.
fn is_unknown_protocol(error: &ConnectError) -> bool {
    let alert = TransportErrorCode::crypto(AlertDescription::NoApplicationProtocol.into());
    matches!(error, ConnectError::Closed(ConnectionError::ConnectionClosed(close)) if close.error_code == alert)
}

fn local(error: Error) -> ConnectError {
    ConnectError::Local(error.to_string())
}

/// Tells a client which key this relay is, and waits for it to go, but not longer than `patience`.
pub async fn tell(connection: &Connection, pin: RelayPin, patience: Duration) {
    let told = tokio::time::timeout(patience, async {
        let mut frames = crate::frame::FrameWriter::new(connection.open_uni().await.ok()?);
        frames.send(&Introduction::Pin(pin)).await.ok()?;
        Some(connection.closed().await)
    });
    if told.await.is_err() {
        connection.close(close::TOO_SLOW, b"");
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;
    use crate::{
        certificate::RelayCertificate,
        credential::RelayIdentity,
        server::{self, Peer},
    };

    /// An authority, and what it signs.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        known: Authorities,
    }

    impl Authority {
        fn new(name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let own = params.self_signed(&key).unwrap();
            let known = Authorities::from_pem(own.pem().as_bytes()).unwrap();
            Self { issuer: Issuer::new(params, key), known }
        }

        fn certify(&self, name: &str, years: std::ops::Range<i32>) -> RelayCertificate {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.not_before = date_time_ymd(years.start, 1, 1);
            params.not_after = date_time_ymd(years.end, 1, 1);
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            RelayCertificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
        }
    }

    const NOW: std::ops::Range<i32> = 2000..2200;

    /// Asks a relay with this certificate who it is.
    async fn ask(
        identity: &RelayIdentity,
        certificate: Option<&RelayCertificate>,
        authorities: &Authorities,
    ) -> Result<RelayPin, IntroductionError> {
        let relay = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), identity).unwrap();
        server::certify(&relay, identity, certificate).unwrap();
        let name = RelayName::new("127.0.0.1", relay.local_addr().unwrap().port()).unwrap();
        let serving = tokio::spawn({
            let (relay, pin) = (relay.clone(), identity.pin());
            async move {
                while let Some(incoming) = relay.accept().await {
                    let Ok(connection) = incoming.await else { continue };
                    assert_eq!(server::peer(&connection), Some(Peer::Newcomer));
                    tell(&connection, pin, limits::HANDSHAKE).await;
                }
            }
        });
        let endpoint = client::endpoint().unwrap();
        let said = introduce(&endpoint, &name, authorities).await;
        serving.abort();
        said
    }

    #[tokio::test]
    async fn a_certified_relay_says_which_key_it_has() {
        let identity = RelayIdentity::generate().unwrap();
        let authority = Authority::new("good");
        let said = ask(&identity, Some(&authority.certify("127.0.0.1", NOW)), &authority.known).await;
        assert_eq!(said.unwrap(), identity.pin());
    }

    #[tokio::test]
    async fn each_certificate_that_is_no_good_is_refused_for_its_own_reason() {
        let identity = RelayIdentity::generate().unwrap();
        let [authority, stranger] = ["good", "stranger"].map(Authority::new);
        let refuse = async |certificate: RelayCertificate| {
            ask(&identity, Some(&certificate), &authority.known).await.unwrap_err()
        };
        let error = refuse(authority.certify("127.0.0.1", 2000..2001)).await;
        assert!(matches!(error, IntroductionError::Expired), "{error}");
        let error = refuse(authority.certify("127.0.0.1", 2199..2200)).await;
        assert!(matches!(error, IntroductionError::NotYetValid), "{error}");
        for name in ["elsewhere.example", "127.0.0.2"] {
            let error = refuse(authority.certify(name, NOW)).await;
            assert!(matches!(error, IntroductionError::OtherName), "{error}");
        }
        let error = refuse(stranger.certify("127.0.0.1", NOW)).await;
        assert!(matches!(error, IntroductionError::UnknownAuthority), "{error}");
    }

    #[tokio::test]
    async fn who_holds_another_ones_certificate_without_its_key_is_not_believed() {
        let identity = RelayIdentity::generate().unwrap();
        let authority = Authority::new("good");
        let [good, other] = [(); 2].map(|()| authority.certify("127.0.0.1", NOW));
        let stolen = rustls::sign::CertifiedKey::new(good.0.cert.clone(), other.0.key.clone());
        let said = ask(&identity, Some(&RelayCertificate(Arc::new(stolen))), &authority.known).await;
        assert!(matches!(said, Err(IntroductionError::Connect(ConnectError::Closed(_)))), "{said:?}");
    }

    #[tokio::test]
    async fn a_relay_without_a_certificate_is_told_from_one_that_is_away() {
        let identity = RelayIdentity::generate().unwrap();
        let said = ask(&identity, None, &Authority::new("good").known).await;
        assert!(matches!(said, Err(IntroductionError::NoCertificate)), "{said:?}");
    }

    #[tokio::test]
    async fn a_relay_that_says_nothing_of_its_key_is_not_known() {
        let identity = RelayIdentity::generate().unwrap();
        let authority = Authority::new("good");
        let relay = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &identity).unwrap();
        server::certify(&relay, &identity, Some(&authority.certify("127.0.0.1", NOW))).unwrap();
        let name = RelayName::new("127.0.0.1", relay.local_addr().unwrap().port()).unwrap();
        let endpoint = client::endpoint().unwrap();
        let (said, ()) = tokio::join!(introduce(&endpoint, &name, &authority.known), async {
            let connection = relay.accept().await.unwrap().await.unwrap();
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(b"what is this").await.unwrap();
            connection.closed().await;
        });
        assert!(matches!(said, Err(IntroductionError::Silent)), "{said:?}");
    }
}
