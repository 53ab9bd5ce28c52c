//! The certificate of an authority that a relay may have beside its own key, to be found by its name alone.

use std::{sync::Arc, time::Duration};

use der::{
    AnyRef, Decode, Reader, SliceReader, Tag, Tagged,
    asn1::{GeneralizedTime, UtcTime},
};
use rustls::{
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

/// The first byte of a certificate's version: context-specific, constructed, number 0.
const VERSION_TAG: u8 = 0xa0;

/// A chain of certificates and the key of its first, as an authority's client leaves them.
#[derive(Clone, Debug)]
pub struct RelayCertificate(pub(crate) Arc<CertifiedKey>);

/// Why a relay cannot show a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The one file is no chain.
    #[error("it holds no certificates in PEM: {0}")]
    Chain(String),
    /// The other file is no key.
    #[error("it holds no private key in PEM that TLS can use: {0}")]
    Key(String),
    /// The files do not belong together: one was replaced, and the other was not or not yet.
    #[error("the key is not the one of the certificate")]
    Mismatch,
}

impl RelayCertificate {
    /// Reads a chain, the relay's own certificate first, and its key, both PEM. Dates and issuers are the clients' business.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| CertificateError::Chain(error.to_string()))?;
        let first = chain.first().ok_or_else(|| CertificateError::Chain("there is none".to_owned()))?;
        ParsedCertificate::try_from(first).map_err(|error| CertificateError::Chain(error.to_string()))?;
        // The key's base64, which the reader gathers in a buffer of its own, is freed as it is.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map(Zeroizing::new)
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let signer = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(chain, signer);
        certified.keys_match().map_err(|_| CertificateError::Mismatch)?;
        Ok(Self(Arc::new(certified)))
    }

    /// Whether it is a certificate for this DNS name or IP address.
    pub fn is_for(&self, host: &str) -> bool {
        let parsed = self.0.end_entity_cert().and_then(ParsedCertificate::try_from);
        match (parsed, ServerName::try_from(host)) {
            (Ok(certificate), Ok(name)) => verify_server_name(&certificate, &name).is_ok(),
            _ => false,
        }
    }

    /// When the first of the chain's certificates ends, as time since the Unix epoch; `None` if it does not say so in a way
    /// that can be read.
    pub fn not_after(&self) -> Option<Duration> {
        self.0.cert.iter().map(|certificate| not_after(certificate).ok()).min().flatten()
    }
}

/// The end of a certificate's validity (RFC 5280, section 4.1).
fn not_after(certificate: &[u8]) -> der::Result<Duration> {
    let mut fields = SliceReader::new(AnyRef::from_der(certificate)?.value())?;
    let mut fields = SliceReader::new(AnyRef::decode(&mut fields)?.value())?;
    // The version may be left out; then come serial number, algorithm and issuer.
    let optional = fields.peek_byte() == Some(VERSION_TAG);
    for _ in 0..3 + usize::from(optional) {
        AnyRef::decode(&mut fields)?;
    }
    let mut validity = SliceReader::new(AnyRef::decode(&mut fields)?.value())?;
    AnyRef::decode(&mut validity)?;
    let end = AnyRef::decode(&mut validity)?;
    match end.tag() {
        Tag::UtcTime => Ok(end.decode_as::<UtcTime>()?.to_unix_duration()),
        _ => Ok(end.decode_as::<GeneralizedTime>()?.to_unix_duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> (String, String) {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let (chain, key) = certificate(&["relay.example"]);
        let (_, other) = certificate(&["relay.example"]);
        let read = |chain: &str, key: &str| RelayCertificate::from_pem(chain.as_bytes(), key.as_bytes());
        read(&chain, &key).unwrap();
        assert!(matches!(read(&chain, &other), Err(CertificateError::Mismatch)));
        assert!(matches!(read("", &key), Err(CertificateError::Chain(_))));
        assert!(matches!(read(&key, &key), Err(CertificateError::Chain(_))));
        assert!(matches!(read(&chain, &chain), Err(CertificateError::Key(_))));
        // Half a file, as one finds it while it is written.
        assert!(matches!(read(&chain[..chain.len() / 2], &key), Err(CertificateError::Chain(_))));
    }

    /// Years up to 2049 are written in another way than those from then on.
    #[test]
    fn it_ends_when_the_first_of_its_chain_does() {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = |year| {
            let mut params = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            params.self_signed(&key).unwrap().pem()
        };
        for (years, days) in [(&[2031, 2060][..], 22_280), (&[2060, 2031], 22_280), (&[2060], 32_872)] {
            let chain: String = years.iter().map(|year| made(*year)).collect();
            let read = RelayCertificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            assert_eq!(read.not_after(), Some(Duration::from_secs(days * 86_400)), "{years:?}");
        }
    }

    #[test]
    fn it_is_for_the_names_in_it() {
        let (chain, key) = certificate(&["relay.example", "192.0.2.1"]);
        let certificate = RelayCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        for host in ["relay.example", "192.0.2.1"] {
            assert!(certificate.is_for(host), "{host}");
        }
        for host in ["example", "other.example", "192.0.2.2", "", "::1"] {
            assert!(!certificate.is_for(host), "{host}");
        }
    }
}
