//! Where the key of an account's store comes from.
//!
//! A store is sealed by one random key for its whole life. That key lies in a file, or in a box in the header beside the
//! store, which a secret opens: typed, printed by a command, handed over by the service manager, or kept by the
//! desktop's keyring. Another kind of secret is another box, so that changing it need not seal the store anew.
//!
//! Deliberately absent: secrets in the environment or in arguments, which other programs can read, and a second box
//! beside the one in force.

mod file;
mod memory;
mod secret;
#[cfg(test)]
mod tests;
mod wrap;

use std::{
    io,
    path::{Path, PathBuf},
};

pub(crate) use self::memory::LockedKey;
use self::wrap::{HeaderError, Wrap};
pub use self::{file::FileError, secret::SecretError};
use crate::{limits::PASSPHRASE_BYTES, passphrase, random::rng};
use hermes_api::{KeyKind, Passphrase};
use hermes_config::{AccountName, Paths};
use rand::Rng;
use subtle::ConstantTimeEq;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The key that seals a store.
pub struct StoreKey(LockedKey);

impl StoreKey {
    /// Draws a key.
    pub fn generate() -> Self {
        let mut key = LockedKey::zeroed();
        rng().fill_bytes(key.expose_mut());
        Self(key)
    }

    /// Another one of the same bytes.
    pub(crate) fn copy(&self) -> Self {
        Self(LockedKey::of(self.expose()))
    }

    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        self.0.expose()
    }

    fn same(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

/// Why a store's key is not to be had, or is not kept in another way.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Somebody has to type it.
    #[error("the account is locked; run: hermesctl unlock")]
    NeedsPassphrase,
    /// The secret is another one, or the box was changed. It is not said which.
    #[error("that does not open the keys; check the passphrase and try again")]
    Wrong,
    /// No passphrase at all, or more than one.
    #[error("a passphrase has 1 to {PASSPHRASE_BYTES} bytes; choose another one")]
    BadPassphrase,
    /// The key file does not work.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing gives the secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The header does not work.
    #[error("cannot use the key header {path}: {reason}; put a good copy in its place")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key of another store lies where this one's should go.
    #[error("{0} holds the key of another store; move it away")]
    Occupied(PathBuf),
    /// The new secret is kept, and traces of the old one are left.
    #[error(
        "the key is kept in the new way, but the old one could not be erased: {0}; run the command again"
    )]
    Remains(io::Error),
    /// The key of an account that is removed could not be erased.
    #[error("the account's key could not be erased: {0}; check the permissions, then try again")]
    Kept(io::Error),
}

/// Where one account's key is to be found.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    name: AccountName,
    key_file: PathBuf,
    header: PathBuf,
    command: Vec<String>,
    /// The program that reaches the desktop's keyring.
    keyring: String,
}

impl Keys {
    /// Those of the account `name`. `command` prints passphrases; it may be empty.
    pub(crate) fn of(paths: &Paths, name: &AccountName, command: &[String]) -> Self {
        Self {
            name: name.clone(),
            key_file: paths.key_file(name),
            header: paths.key_header(name),
            command: command.to_vec(),
            keyring: secret::SECRET_TOOL.to_owned(),
        }
    }

    /// The same, with the header in the directory of an account that is being made.
    pub(crate) fn in_draft(self, directory: &Path) -> Self {
        let header = self.header.file_name().map_or_else(|| self.header.clone(), |name| directory.join(name));
        Self { header, ..self }
    }

    /// What protects the key.
    pub(crate) fn kind(&self) -> Result<KeyKind, KeyError> {
        Ok(self.wrap()?.map_or(KeyKind::File, |wrap| wrap.kind))
    }

    /// The key. `typed` is asked for by [`KeyError::NeedsPassphrase`].
    pub(crate) fn unlock(&self, typed: Option<&Passphrase>) -> Result<StoreKey, KeyError> {
        let Some(wrap) = self.wrap()? else { return Ok(StoreKey::read(&self.key_file)?) };
        let key = match wrap.kind {
            KeyKind::Passphrase => wrap.open(typed.ok_or(KeyError::NeedsPassphrase)?),
            kind => wrap.open(&self.secret(kind, &wrap)?),
        };
        let key = key.map_err(|_| KeyError::Wrong)?;
        // A change of kinds that was cut short may have left the key in its file. It opens all the same.
        if let Err(error) = self.erase_file(&key) {
            tracing::warn!(%error, "the key is still in its key file, which could not be erased");
        }
        Ok(key)
    }

    /// A key for a new account, kept as `kind` says. A creation that was cut short is taken up again.
    pub(crate) fn create(&self, kind: KeyKind, typed: Option<&Passphrase>) -> Result<StoreKey, KeyError> {
        if kind == KeyKind::File {
            return Ok(StoreKey::read_or_create(&self.key_file)?);
        }
        let key = StoreKey::generate();
        self.write_wrap(kind, &key, typed)?;
        Ok(key)
    }

    /// Keeps `key` as `kind` says, and nowhere else. Repeating it after it was cut short does no harm: at every moment
    /// the key can be had in the old way or the new.
    pub(crate) fn change(
        &self,
        key: &StoreKey,
        kind: KeyKind,
        typed: Option<&Passphrase>,
    ) -> Result<(), KeyError> {
        let former = self.wrap()?;
        if kind == KeyKind::File {
            if !StoreKey::read_or_write(&self.key_file, key)?.same(key) {
                return Err(KeyError::Occupied(self.key_file.clone()));
            }
            file::erase(&self.header).map_err(KeyError::Remains)?;
        } else {
            self.write_wrap(kind, key, typed)?;
            self.erase_file(key).map_err(KeyError::Remains)?;
        }
        match former {
            Some(former) if former.kind == KeyKind::Keyring => {
                secret::out_of_keyring(&self.keyring, &self.name, &former.salt)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Erases the key, wherever it is kept: the store is of no use to anybody from then on. Repeating it does no harm.
    pub(crate) fn forget(&self) -> Result<(), KeyError> {
        // A box that cannot be read says nothing of a keyring, and goes all the same.
        if let Ok(Some(wrap)) = self.wrap()
            && wrap.kind == KeyKind::Keyring
        {
            secret::out_of_keyring(&self.keyring, &self.name, &wrap.salt)?;
        }
        for path in [&self.key_file, &self.header] {
            file::erase(path).map_err(KeyError::Kept)?;
        }
        Ok(())
    }

    fn write_wrap(&self, kind: KeyKind, key: &StoreKey, typed: Option<&Passphrase>) -> Result<(), KeyError> {
        let salt = passphrase::salt();
        let secret = match kind {
            KeyKind::Passphrase => typed.ok_or(KeyError::BadPassphrase)?.clone(),
            KeyKind::Command => secret::of_command(&self.command, &self.name)?,
            KeyKind::Credential => secret::of_credential(&self.name)?,
            KeyKind::Keyring => {
                let secret = passphrase::random_secret();
                secret::into_keyring(&self.keyring, &self.name, &salt, &secret)?;
                secret
            }
            KeyKind::File | KeyKind::Other => return Err(self.bad_header("it is of no known kind")),
        };
        if secret.expose().is_empty() || secret.expose().len() > PASSPHRASE_BYTES {
            return Err(KeyError::BadPassphrase);
        }
        let wrap = Wrap::new(kind, key, &secret, salt).map_err(|_| KeyError::BadPassphrase)?;
        wrap.write(&self.header).map_err(|error| self.bad_header(error))
    }

    fn secret(&self, kind: KeyKind, wrap: &Wrap) -> Result<Passphrase, KeyError> {
        Ok(match kind {
            KeyKind::Command => secret::of_command(&self.command, &self.name)?,
            KeyKind::Credential => secret::of_credential(&self.name)?,
            KeyKind::Keyring => secret::of_keyring(&self.keyring, &self.name, &wrap.salt)?,
            KeyKind::Passphrase | KeyKind::File | KeyKind::Other => return Err(KeyError::NeedsPassphrase),
        })
    }

    /// Erases the key file, if it holds `key`.
    fn erase_file(&self, key: &StoreKey) -> io::Result<()> {
        match StoreKey::read(&self.key_file) {
            Ok(kept) if kept.same(key) => file::erase(&self.key_file),
            // Of another store, or no key.
            Ok(_) | Err(FileError::Missing(_) | FileError::Malformed(_)) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn wrap(&self) -> Result<Option<Wrap>, KeyError> {
        Wrap::read(&self.header).map_err(|error: HeaderError| self.bad_header(error))
    }

    fn bad_header(&self, reason: impl ToString) -> KeyError {
        KeyError::Header { path: self.header.clone(), reason: reason.to_string() }
    }
}
