//! The state directory: the relay's key, its store, and new registration tokens.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hermes_link::credential::{CredentialError, RelayIdentity};

use crate::{
    limits::KEY_FILE_BYTES,
    store::{StoreError, fjall::FjallStore},
    tokens::TokenDirectory,
};

/// Where a relay keeps what must outlive it.
#[derive(Clone, Debug)]
pub struct StateDirectory(PathBuf);

/// Why the state cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No place for it is known.
    #[error("no home directory is known; say where to keep the relay's state with --state-dir DIR")]
    NoPlace,
    /// The directory cannot be made or read.
    #[error(
        "cannot use the state directory {path}: {error}; make it writable, or choose another with --state-dir DIR"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The key file cannot be read or written.
    #[error("cannot read or write the relay's key {path}: {error}; start the relay as the user who owns it")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The key file is damaged.
    #[error(
        "{path} does not hold the relay's key ({error}); restore it from a backup (without it the relay is another \
         one, with another address)"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CredentialError,
    },
    /// There is no relay.
    #[error("no relay has been in {path}; say where it keeps its state with --state-dir DIR")]
    Nobody {
        /// The directory.
        path: PathBuf,
    },
    /// A backup was put back in part.
    #[error("a restore into {path} was not finished; run hermes-relay restore again")]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// The store is in use.
    #[error(
        "another relay is running with the state directory {path}; stop it first, or choose another directory with \
         --state-dir DIR"
    )]
    Running {
        /// The directory.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error(
        "cannot open the relay's store {path}: {error}; restore it from a backup, or start with another --state-dir"
    )]
    Store {
        /// The store.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
}

impl StateDirectory {
    /// The directory at `path`, made (for its owner only) if it is not there.
    pub fn open(path: PathBuf) -> Result<Self, StateError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| StateError::Directory { path: path.clone(), error })?;
        Ok(Self(path))
    }

    /// Where the state is unless the operator says otherwise: `$HERMES_HOME/relay`, else what systemd gives a service
    /// (`StateDirectory=`), else the user's state directory.
    pub fn default_path() -> Result<PathBuf, StateError> {
        if let Some(home) = std::env::var_os("HERMES_HOME").filter(|home| !home.is_empty()) {
            return Ok(PathBuf::from(home).join("relay"));
        }
        if let Some(given) = std::env::var_os("STATE_DIRECTORY").filter(|given| !given.is_empty()) {
            return Ok(PathBuf::from(given));
        }
        let project = directories::ProjectDirs::from("", "", "hermes-relay").ok_or(StateError::NoPlace)?;
        Ok(project.state_dir().unwrap_or(project.data_dir()).to_owned())
    }

    /// The directory at `path`, in which a relay has been.
    pub fn existing(path: PathBuf) -> Result<Self, StateError> {
        let state = Self(path);
        if state.restoring().exists() {
            return Err(StateError::Unfinished { path: state.0 });
        }
        match state.0.join("relay.key").exists() && state.0.join("store").exists() {
            true => Ok(state),
            false => Err(StateError::Nobody { path: state.0 }),
        }
    }

    /// Reads the relay's key, or makes it at the first start.
    pub fn identity(&self) -> Result<RelayIdentity, StateError> {
        if self.restoring().exists() {
            return Err(StateError::Unfinished { path: self.0.clone() });
        }
        let path = self.0.join("relay.key");
        let damaged = |error| StateError::Key { path: path.clone(), error };
        match read_key(&path) {
            Ok(pem) => RelayIdentity::from_pem(&pem).map_err(damaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = RelayIdentity::generate().map_err(damaged)?;
                write_key(&path, identity.to_pem().as_bytes())
                    .map_err(|error| StateError::KeyFile { path: path.clone(), error })?;
                Ok(identity)
            }
            Err(error) => Err(StateError::KeyFile { path, error }),
        }
    }

    /// Opens the store. One process can have it open.
    pub fn store(&self) -> Result<FjallStore, StateError> {
        if self.restoring().exists() {
            return Err(StateError::Unfinished { path: self.0.clone() });
        }
        FjallStore::open(&self.0.join("store")).map_err(|error| match error {
            StoreError::Locked => StateError::Running { path: self.0.clone() },
            error => self.store_failed(error),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether a relay has been here. Half of a restored one does not count.
    pub fn is_occupied(&self) -> bool {
        let used = self.0.join("relay.key").exists() || self.0.join("store").exists();
        // A restore begins with its own store and puts it in its place at the end.
        used && (!self.restoring().exists() || self.0.join("store").exists())
    }

    /// An empty store, that a backup is put into. One that a restore left unfinished is taken away.
    pub fn restoring_store(&self) -> Result<FjallStore, StateError> {
        let path = self.restoring();
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Directory { path, error })
            }
            _ => FjallStore::open(&path).map_err(|error| StateError::Store { path, error }),
        }
    }

    /// Puts the restored store, and the key of its relay, in their places. The store must be closed.
    pub fn restored(&self, identity: &RelayIdentity) -> Result<(), StateError> {
        let (path, key) = (self.restoring(), self.0.join("relay.key"));
        write_key(&key, identity.to_pem().as_bytes())
            .map_err(|error| StateError::KeyFile { path: key, error })?;
        // Last, because a relay does not start beside it.
        let placed =
            fs::rename(&path, self.0.join("store")).and_then(|()| fs::File::open(&self.0)?.sync_all());
        placed.map_err(|error| StateError::Directory { path, error })
    }

    fn restoring(&self) -> PathBuf {
        self.0.join("store.restoring")
    }

    pub(crate) fn store_failed(&self, error: StoreError) -> StateError {
        StateError::Store { path: self.0.join("store"), error }
    }

    /// Where a running relay takes its operator's orders.
    pub fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// Where new registration tokens wait for the relay.
    pub fn tokens(&self) -> Result<TokenDirectory, StateError> {
        let path = self.0.join("tokens");
        TokenDirectory::open(&path).map_err(|error| StateError::Directory { path, error })
    }
}

fn read_key(path: &Path) -> io::Result<String> {
    let mut pem = String::new();
    fs::File::open(path)?.take(KEY_FILE_BYTES).read_to_string(&mut pem)?;
    Ok(pem)
}

/// Writes the key so that after a crash there is either all of it or none: half a key would look like damage.
fn write_key(path: &Path, pem: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(pem)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_identity_is_made_once_and_readable_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path().join("relay")).unwrap();
        assert_eq!(state.identity().unwrap().pin(), state.identity().unwrap().pin());
        let mode = fs::metadata(directory.path().join("relay/relay.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path().to_owned()).unwrap();
        fs::write(directory.path().join("relay.key"), "-----BEGIN").unwrap();
        assert!(matches!(state.identity(), Err(StateError::Key { .. })));
        assert_eq!(fs::read_to_string(directory.path().join("relay.key")).unwrap(), "-----BEGIN");
    }

    #[test]
    fn a_store_is_open_once() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path().to_owned()).unwrap();
        let _store = state.store().unwrap();
        assert!(matches!(state.store(), Err(StateError::Running { .. })));
    }
}
