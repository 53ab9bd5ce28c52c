//! The header beside a store, which says where its key comes from and has it in a box.
//!
//! JSON, so that a person can see what protects an account. Nothing in it is secret, but whoever has it can try
//! passphrases, as whoever has the store can.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use data_encoding::HEXLOWER;
use hermes_api::{KeyKind, Passphrase};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::StoreKey;
use crate::{
    limits::KEY_HEADER_BYTES,
    passphrase::{self, BOX_BYTES, Closed, Cost, SALT_BYTES, Salt},
};

/// The format's version.
const VERSION: u32 = 1;
/// Keeps a box from meaning anything elsewhere; the kind follows.
const DOMAIN: &str = "Hermes/1 store key ";

/// A store's key in a box that a secret opens.
pub(super) struct Wrap {
    pub(super) kind: KeyKind,
    cost: Cost,
    pub(super) salt: Salt,
    closed: [u8; BOX_BYTES],
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    v: u32,
    kind: KeyKind,
    argon2id: Cost,
    /// Hex digits.
    salt: String,
    /// Hex digits of the box.
    key: String,
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

/// Why a header says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("a newer hermesd wrote it")]
    Newer,
    #[error("it is damaged")]
    Malformed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Wrap {
    /// Puts `key` into a box that `secret` opens. `salt` must be fresh.
    pub(super) fn new(
        kind: KeyKind,
        key: &StoreKey,
        secret: &Passphrase,
        salt: Salt,
    ) -> Result<Self, Closed> {
        let cost = Cost::RECOMMENDED;
        let under = cost.derive(secret, &salt)?;
        Ok(Self { kind, cost, salt, closed: passphrase::put(under.expose(), key.expose(), &place(kind)) })
    }

    /// Takes the key out.
    pub(super) fn open(&self, secret: &Passphrase) -> Result<StoreKey, Closed> {
        let under = self.cost.derive(secret, &self.salt)?;
        let key = passphrase::take(under.expose(), &self.closed, &place(self.kind))?;
        Ok(StoreKey(key))
    }

    /// Reads a header; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, HeaderError> {
        let opened = OpenOptions::new().read(true).custom_flags(no_follow()).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(HeaderError::Malformed);
        }
        let mut text = Vec::new();
        Read::take(&mut file, KEY_HEADER_BYTES + 1).read_to_end(&mut text)?;
        if text.len() as u64 > KEY_HEADER_BYTES {
            return Err(HeaderError::Malformed);
        }
        Self::parse(&text).map(Some)
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, HeaderError> {
        match serde_json::from_slice::<Versioned>(text) {
            Ok(Versioned { v: VERSION }) => {}
            Ok(Versioned { v }) if v > VERSION => return Err(HeaderError::Newer),
            _ => return Err(HeaderError::Malformed),
        }
        let document: Document = serde_json::from_slice(text).map_err(|_| HeaderError::Malformed)?;
        let Document { kind, argon2id: cost, salt, key, .. } = document;
        // A key in a file is in no box.
        if kind == KeyKind::File || kind == KeyKind::Other {
            return Err(HeaderError::Malformed);
        }
        let salt = bytes::<SALT_BYTES>(&salt).ok_or(HeaderError::Malformed)?;
        let closed = bytes::<BOX_BYTES>(&key).ok_or(HeaderError::Malformed)?;
        Ok(Self { kind, cost, salt, closed })
    }

    /// Writes the header, durable, and overwrites the one that it replaces: its secret opens nothing from here on.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let document = Document {
            v: VERSION,
            kind: self.kind,
            argon2id: self.cost,
            salt: HEXLOWER.encode(&self.salt),
            key: HEXLOWER.encode(&self.closed),
        };
        let mut text = serde_json::to_vec_pretty(&document).map_err(io::Error::other)?;
        text.push(b'\n');
        let draft = path.with_extension("json.new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        // Held open, so that it can be overwritten once it has no name any more.
        let former = OpenOptions::new().write(true).custom_flags(no_follow()).open(path);
        fs::rename(&draft, path)?;
        File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()?;
        match former {
            Ok(former) => overwrite(former),
            Err(_) => Ok(()),
        }
    }
}

/// Writes zeros over all of a small file.
pub(super) fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len().min(KEY_HEADER_BYTES);
    file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()])?;
    file.sync_all()
}

/// A link in place of a file is not followed: it could name anything.
pub(super) fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

fn place(kind: KeyKind) -> Vec<u8> {
    format!("{DOMAIN}{kind}").into_bytes()
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Passphrase {
        Passphrase::new("correct horse")
    }

    fn wrap() -> (StoreKey, Wrap) {
        let key = StoreKey::generate();
        let wrap = Wrap::new(KeyKind::Passphrase, &key, &secret(), passphrase::salt()).unwrap();
        (key, wrap)
    }

    #[test]
    fn what_is_written_is_read_and_opens_with_its_secret_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        assert!(Wrap::read(&path).unwrap().is_none());
        let (key, wrap) = wrap();
        wrap.write(&path).unwrap();
        let read = Wrap::read(&path).unwrap().unwrap();
        assert_eq!(read.open(&secret()).unwrap().expose(), key.expose());
        assert!(read.open(&Passphrase::new("correct horse ")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_header_that_is_replaced_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (path, kept) = (dir.path().join("key.json"), dir.path().join("kept"));
        wrap().1.write(&path).unwrap();
        fs::hard_link(&path, &kept).unwrap();
        let (key, second) = wrap();
        second.write(&path).unwrap();
        assert!(fs::read(&kept).unwrap().iter().all(|byte| *byte == 0));
        assert_eq!(Wrap::read(&path).unwrap().unwrap().open(&secret()).unwrap().expose(), key.expose());
    }

    #[test]
    fn no_file_makes_it_panic_or_wait_or_follow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        wrap().1.write(&path).unwrap();
        let good = fs::read(&path).unwrap();
        for cut in 0..good.len() - 1 {
            assert!(matches!(Wrap::parse(&good[..cut]), Err(HeaderError::Malformed)), "{cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x15;
            if let Ok(wrap) = Wrap::parse(&bad) {
                // White space counts for nothing, and the cost may be another one that is allowed.
                let same = bad[at].is_ascii_whitespace() || good[at].is_ascii_whitespace();
                assert!(wrap.open(&secret()).is_err() || same, "{at}");
            }
        }
        let text = String::from_utf8(good.clone()).unwrap();
        let newer = text.replace("\"v\": 1", "\"v\": 2");
        assert!(matches!(Wrap::parse(newer.as_bytes()), Err(HeaderError::Newer)));
        let bomb = text.replace("\"memory_kib\": 32", "\"memory_kib\": 4294967295");
        assert!(bomb != text && Wrap::parse(bomb.as_bytes()).unwrap().open(&secret()).is_err());
        let more = text.replace("\"v\": 1", "\"v\": 1, \"w\": 1");
        assert!(matches!(Wrap::parse(more.as_bytes()), Err(HeaderError::Malformed)));

        fs::write(&path, vec![b' '; 1 << 20]).unwrap();
        assert!(matches!(Wrap::read(&path), Err(HeaderError::Malformed)));
        let link = dir.path().join("link.json");
        fs::write(&path, &good).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(Wrap::read(&link), Err(HeaderError::Io(_))));
    }
}
