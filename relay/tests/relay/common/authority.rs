//! An authority of the tests, and the files that its certificates are in.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use hermes_link::introduction::Authorities;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Years in which a test runs.
pub const NOW: Range<i32> = 2000..2200;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub known: Authorities,
}

/// A certificate and its key, in PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

/// Where a relay finds its certificate.
pub struct Files {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        let known = Authorities::from_pem(own.pem().as_bytes()).unwrap();
        Self { issuer: Issuer::new(params, key), known }
    }

    pub fn certify(&self, name: &str, years: Range<i32>) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Files {
    pub fn new(directory: &Path) -> Self {
        Self { chain: directory.join("fullchain.pem"), key: directory.join("privkey.pem") }
    }

    pub fn put(&self, certificate: &Certificate) {
        fs::write(&self.chain, &certificate.chain).unwrap();
        fs::write(&self.key, &certificate.key).unwrap();
    }

    /// A configuration of a relay that is reached under `host`, and has its certificate here.
    pub fn config(&self, host: &str) -> PathBuf {
        let path = self.chain.with_file_name("relay.toml");
        let text = format!(
            "public_address = '{host}'\ncertificate = '{}'\ncertificate_key = '{}'\n",
            self.chain.display(),
            self.key.display()
        );
        fs::write(&path, text).unwrap();
        path
    }
}
