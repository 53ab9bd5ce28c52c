//! A key in a file that only its owner can read, apart from the store it opens.
//!
//! The file holds one line, `hermes-store-key-1 ` and 64 hex digits. Deliberately absent: replacing a key file, which
//! would make its store unreadable for ever.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::{KEY_BYTES, LockedKey, StoreKey, wrap};

/// What the line starts with; the number is the format's version.
const PREFIX: &str = "hermes-store-key-1 ";
/// Bytes of a key file: the line and its end. A longer file is no key.
const FILE_BYTES: usize = PREFIX.len() + 2 * KEY_BYTES + 1;
/// Permission bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// Why a key file gives no key.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no file.
    #[error("the key file {0} is missing; put it back, for without it the account's messages cannot be read")]
    Missing(PathBuf),
    /// Someone else may read or change it.
    #[error("others can read the key file {0}; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// It belongs to another user.
    #[error("the key file {0} belongs to another user; change its owner")]
    Foreign(PathBuf),
    /// It holds something else.
    #[error("{0} is not a key file; put the right one back")]
    Malformed(PathBuf),
    /// The system refuses.
    #[error("cannot use the key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreKey {
    /// Reads the key that `path` holds.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Io { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FileError::Missing(path.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        // Asked of the open file, not of the path, which could be exchanged in between.
        let metadata = file.metadata().map_err(failed)?;
        if metadata.uid() != geteuid().as_raw() {
            return Err(FileError::Foreign(path.to_owned()));
        }
        if metadata.mode() & OTHERS != 0 {
            return Err(FileError::Exposed(path.to_owned()));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES + 1));
        Read::take(&mut file, FILE_BYTES as u64 + 1).read_to_end(&mut text).map_err(failed)?;
        Self::parse(&text).ok_or_else(|| FileError::Malformed(path.to_owned()))
    }

    /// Writes a new key to `path` and makes it durable, or reads the key that is there already: a creation that was
    /// cut short is taken up again, and no key is ever overwritten.
    pub fn read_or_create(path: &Path) -> Result<Self, FileError> {
        Self::read_or_write(path, &Self::generate())
    }

    /// The same with a key that is there already.
    pub(super) fn read_or_write(path: &Path, key: &Self) -> Result<Self, FileError> {
        match Self::read(path) {
            Err(FileError::Missing(_)) => {}
            other => return other,
        }
        key.write(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        Ok(key.copy())
    }

    /// Written beside and linked into place, so that a key file is whole or absent.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let draft = path.with_extension("key.new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let mut line = Zeroizing::new(String::with_capacity(FILE_BYTES));
        line.push_str(PREFIX);
        HEXLOWER.encode_append(self.expose(), &mut line);
        line.push('\n');
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces a key that appeared meanwhile.
        fs::hard_link(&draft, path)?;
        fs::remove_file(&draft)?;
        File::open(directory)?.sync_all()
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX.as_bytes())?.strip_suffix(b"\n")?;
        let mut key = LockedKey::zeroed();
        if HEXLOWER.decode_len(digits.len()) != Ok(KEY_BYTES) {
            return None;
        }
        HEXLOWER.decode_mut(digits, key.expose_mut()).ok()?;
        Some(Self(key))
    }
}

/// Removes a key file that opens nothing any more, overwritten first.
pub(super) fn erase(path: &Path) -> io::Result<()> {
    let opened = OpenOptions::new().write(true).custom_flags(wrap::no_follow()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    wrap::overwrite(file)?;
    fs::remove_file(path)?;
    File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/alice.key");
        assert!(matches!(StoreKey::read(&path), Err(FileError::Missing(_))));
        let key = StoreKey::read_or_create(&path).unwrap();
        assert_eq!(StoreKey::read_or_create(&path).unwrap().expose(), key.expose());
        assert_eq!(StoreKey::read(&path).unwrap().expose(), key.expose());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        StoreKey::read_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = StoreKey::read(&path).err().unwrap();
        assert!(matches!(error, FileError::Exposed(_)));
        assert!(error.to_string().contains("chmod 600"));
        assert!(StoreKey::read_or_create(&path).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        let whole = format!("{PREFIX}{}\n", "ab".repeat(32));
        for text in
            ["", "\n", &whole[1..], whole.trim_end(), &format!("{whole}\n"), &whole.replace("ab", "zz")]
        {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(StoreKey::read_or_create(&path), Err(FileError::Malformed(_))), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), *text);
        }
    }
}
