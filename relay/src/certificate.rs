//! The files with the certificate that an authority's client keeps up to date, and when they have changed.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use hermes_link::certificate::{CertificateError, RelayCertificate};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::limits::CERTIFICATE_FILE_BYTES;

/// Where the certificate is, and what was in its files when they were last read.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
    seen: Option<Seen>,
}

/// The hashes of what was in the files, so that the key is not kept beside the one in use, or why they are not known.
type Seen = Result<[[u8; 32]; 2], String>;

/// Why the files cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}; name a file that the relay's user may read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is in a file is no good.
    #[error("cannot use {path}: {error}; it is to be the whole chain in PEM, like certbot's fullchain.pem")]
    Chain {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CertificateError,
    },
    /// What is in a file is no good, or belongs to another certificate.
    #[error(
        "cannot use {path}: {error}; it is to be the certificate's key in PEM, like certbot's privkey.pem"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CertificateError,
    },
}

impl CertificateFiles {
    /// The chain, the relay's own certificate first, and its key.
    pub fn new(chain: PathBuf, key: PathBuf) -> Self {
        Self { chain, key, seen: None }
    }

    /// Reads the files, which may wait for the disk; `None` if there is nothing in them that was not there the last time.
    ///
    /// Their contents are compared: dates of files lie, and the two are replaced one after the other. A pair that does not
    /// fit is an error, and another look finds the other half.
    pub fn changed(&mut self) -> Option<Result<RelayCertificate, CertificateFileError>> {
        let read = self.read();
        let seen = match &read {
            Ok(files) => Ok(files.each_ref().map(|bytes| Sha256::digest(bytes.as_slice()).into())),
            Err(error) => Err(error.to_string()),
        };
        if self.seen.as_ref() == Some(&seen) {
            return None;
        }
        self.seen = Some(seen);
        Some(read.and_then(|[chain, key]| self.parse(&chain, &key)))
    }

    fn read(&self) -> Result<[Zeroizing<Vec<u8>>; 2], CertificateFileError> {
        Ok([read(&self.chain)?, read(&self.key)?])
    }

    fn parse(&self, chain: &[u8], key: &[u8]) -> Result<RelayCertificate, CertificateFileError> {
        RelayCertificate::from_pem(chain, key).map_err(|error| match error {
            CertificateError::Chain(_) => CertificateFileError::Chain { path: self.chain.clone(), error },
            CertificateError::Key(_) | CertificateError::Mismatch => {
                CertificateFileError::Key { path: self.key.clone(), error }
            }
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateFileError> {
    read_file(path).map_err(|error| CertificateFileError::Read { path: path.to_owned(), error })
}

/// What is in a regular file: a pipe in its place would have whoever opens it wait for somebody to write.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    // With room for all of it from the beginning: what grows leaves copies behind. What is ours of a key is wiped; what the reader of
    // PEM gathers on its way, and what TLS goes on using, is not.
    let mut bytes = Zeroizing::new(Vec::with_capacity(CERTIFICATE_FILE_BYTES + 1));
    file.take(CERTIFICATE_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > CERTIFICATE_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long for a certificate or a key"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_a_regular_file_of_some_size_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, vec![0; CERTIFICATE_FILE_BYTES]).unwrap();
        assert_eq!(read_file(&file).unwrap().len(), CERTIFICATE_FILE_BYTES);
        fs::write(&file, vec![0; CERTIFICATE_FILE_BYTES + 1]).unwrap();
        assert_eq!(read_file(&file).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            assert_eq!(read_file(path).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
    }

    #[test]
    fn a_change_is_seen_once_and_half_of_one_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| directory.path().join(name));
        let mut files = CertificateFiles::new(chain.clone(), key.clone());
        assert!(matches!(files.changed(), Some(Err(CertificateFileError::Read { .. }))));
        assert!(files.changed().is_none());
        let make = || rcgen::generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
        let [first, second] = [make(), make()];
        fs::write(&chain, first.cert.pem()).unwrap();
        fs::write(&key, first.signing_key.serialize_pem()).unwrap();
        assert!(matches!(files.changed(), Some(Ok(_))));
        assert!(files.changed().is_none());
        fs::write(&chain, second.cert.pem()).unwrap();
        assert!(matches!(files.changed(), Some(Err(CertificateFileError::Key { .. }))));
        assert!(files.changed().is_none());
        fs::write(&key, second.signing_key.serialize_pem()).unwrap();
        assert!(matches!(files.changed(), Some(Ok(_))));
    }
}
