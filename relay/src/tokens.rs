//! New registration tokens on their way to the store: one small file each, named by the token's hash.
//!
//! The store belongs to the running relay alone, so `token new` leaves a file and the relay takes it in when someone
//! shows a token. That works the same while the relay is stopped, and needs no socket that could be talked to.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hermes_wire::codec;

use crate::{
    limits::NEW_TOKENS,
    store::{TokenHash, TokenRow},
};

/// Bytes of one file: two numbers.
const FILE_BYTES: usize = 64;
const SUFFIX: &str = "token";

/// The directory of new tokens.
#[derive(Clone, Debug)]
pub struct TokenDirectory(PathBuf);

/// A token that the store may not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its hash.
    pub token: TokenHash,
    /// What it allows.
    pub row: TokenRow,
}

impl TokenDirectory {
    /// The directory at `path`, made if it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Draws a token, and leaves what it allows for the relay. Durable when it returns.
    pub fn issue(&self, row: TokenRow) -> io::Result<String> {
        let token = BASE32_NOPAD.encode(&rand::random::<[u8; 20]>()).to_ascii_lowercase();
        let path = self.path(TokenHash::of(&token));
        let draft = path.with_extension("draft");
        let mut file = fs::File::create(&draft)?;
        file.write_all(&codec::encode(&row))?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        fs::File::open(&self.0)?.sync_all()?;
        Ok(token)
    }

    /// The tokens that wait, some at a time. Files that are none are passed over.
    pub fn list(&self) -> Vec<NewToken> {
        let Ok(files) = fs::read_dir(&self.0) else { return Vec::new() };
        files.flatten().filter_map(|file| read(&file.path())).take(NEW_TOKENS).collect()
    }

    /// Removes a token that the store knows. If that fails, the store is told again, which changes nothing.
    pub fn remove(&self, token: TokenHash) {
        let _ = fs::remove_file(self.path(token));
    }

    fn path(&self, token: TokenHash) -> PathBuf {
        self.0.join(HEXLOWER.encode(&token.0)).with_extension(SUFFIX)
    }
}

fn read(path: &Path) -> Option<NewToken> {
    if path.extension()? != SUFFIX {
        return None;
    }
    let hash = HEXLOWER.decode(path.file_stem()?.to_str()?.as_bytes()).ok()?;
    let row = codec::decode(&fs::read(path).ok()?, FILE_BYTES).ok()?;
    Some(NewToken { token: TokenHash(hash.try_into().ok()?), row })
}
