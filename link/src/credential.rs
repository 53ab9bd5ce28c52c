//! Keys as TLS wants them: a mailbox key in a client certificate, a relay key in a server certificate.
//!
//! The certificates say nothing (no name, a validity that never ends): the key is the identity, on both sides.

use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use hermes_wire::{MailboxId, RelayPin};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::{
    crypto::aws_lc_rs::sign::any_eddsa_type,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// RFC 8410, section 7: everything of a PKCS #8 Ed25519 key in front of its 32-byte seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// RFC 8410, section 4: everything of a SubjectPublicKeyInfo in front of an Ed25519 key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that is none.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The key file does not hold an Ed25519 private key in PKCS #8 PEM.
    #[error("not an Ed25519 private key in PKCS #8 PEM: {0}")]
    Key(#[from] rcgen::Error),
    /// The TLS library refuses the key.
    #[error("the key cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The right to read one mailbox: its Ed25519 key, and the client certificate that carries it.
#[derive(Clone)]
pub struct MailboxCredential {
    mailbox: MailboxId,
    pub(crate) certified: Arc<CertifiedKey>,
}

impl MailboxCredential {
    /// Makes the credential of the Ed25519 key with this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, CredentialError> {
        let pkcs8 = Zeroizing::new([&PKCS8_PREFIX[..], seed].concat());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(pkcs8.as_slice()),
            &PKCS_ED25519,
        )?;
        let certified = certify(&key)?;
        let mailbox = mailbox_of(&key.subject_public_key_info())
            .ok_or(CredentialError::Key(rcgen::Error::CouldNotParseKeyPair))?;
        Ok(Self { mailbox, certified: Arc::new(certified) })
    }

    /// The mailbox this credential opens: the public half of the key.
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }
}

/// What a relay is: its Ed25519 key, the certificate that carries it, and the pin that addresses name.
pub struct RelayIdentity {
    key: KeyPair,
    pin: RelayPin,
    pub(crate) certified: Arc<CertifiedKey>,
}

impl RelayIdentity {
    /// Draws a new identity.
    pub fn generate() -> Result<Self, CredentialError> {
        Self::from_key(KeyPair::generate_for(&PKCS_ED25519)?)
    }

    /// Reads the identity that [`Self::to_pem`] wrote.
    pub fn from_pem(pem: &str) -> Result<Self, CredentialError> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ED25519)?;
        Self::from_key(key)
    }

    /// The private key as PKCS #8 PEM. Whoever has it is the relay.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// What a relay address pins.
    pub fn pin(&self) -> RelayPin {
        self.pin
    }

    fn from_key(key: KeyPair) -> Result<Self, CredentialError> {
        let pin = RelayPin(Sha256::digest(key.subject_public_key_info()).into());
        let certified = Arc::new(certify(&key)?);
        Ok(Self { key, pin, certified })
    }

    /// Keys of the QUIC endpoint that must outlive a restart. They are derived from the relay's key, so that there is
    /// one file to keep, and one way to lose all of it.
    pub(crate) fn endpoint_keys(&self) -> Result<EndpointKeys, aws_lc_rs::error::Unspecified> {
        let root =
            hkdf::Salt::new(hkdf::HKDF_SHA256, b"Hermes/1 relay endpoint").extract(self.key.serialized_der());
        let mut connection_ids = [0; 32];
        root.expand(&[b"connection ids"], hkdf::HKDF_SHA256)?.fill(&mut connection_ids)?;
        let [a, b, c, d, e, f, g, h, ..] = connection_ids;
        Ok(EndpointKeys {
            reset: root.expand(&[b"stateless reset"], hmac::HMAC_SHA256)?.into(),
            retry: root.expand(&[b"retry token"], hkdf::HKDF_SHA256)?.into(),
            connection_ids: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        })
    }
}

/// Secrets by which a restarted relay recognises connections of its former life and resets them at once.
pub(crate) struct EndpointKeys {
    pub(crate) reset: hmac::Key,
    pub(crate) retry: hkdf::Prk,
    /// quinn answers only packets whose connection id carries this key's hash.
    pub(crate) connection_ids: u64,
}

/// The Ed25519 key of a DER SubjectPublicKeyInfo, if it is one.
pub(crate) fn mailbox_of(spki: &[u8]) -> Option<MailboxId> {
    let key = spki.strip_prefix(&SPKI_PREFIX)?;
    Some(MailboxId(key.try_into().ok()?))
}

fn certify(key: &KeyPair) -> Result<CertifiedKey, CredentialError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let certificate: CertificateDer<'static> = params.self_signed(key)?.into();
    let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(key.serialized_der()))?;
    Ok(CertifiedKey::new(vec![certificate], signer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_the_public_key_of_its_seed() {
        // RFC 8032, section 7.1, test 1.
        let seed: [u8; 32] = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let mailbox = MailboxCredential::from_seed(&seed).unwrap().mailbox();
        assert!(mailbox.to_string().starts_with("d75a980182b10ab7d54bfed3c964073a"));
    }

    #[test]
    fn a_relay_keeps_its_identity_through_its_file() {
        let relay = RelayIdentity::generate().unwrap();
        let again = RelayIdentity::from_pem(&relay.to_pem()).unwrap();
        assert_eq!(relay.pin(), again.pin());
        assert_eq!(
            relay.endpoint_keys().unwrap().connection_ids,
            again.endpoint_keys().unwrap().connection_ids
        );
        assert_ne!(relay.pin(), RelayIdentity::generate().unwrap().pin());
        assert!(RelayIdentity::from_pem("no key").is_err());
    }
}
