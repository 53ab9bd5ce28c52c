//! How an account comes to lie on the disk: whole or not at all, whenever it is interrupted.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use hermes_api::{ErrorCode, Problem};
use hermes_config::{AccountName, Paths};
use hermes_engine::{Engine, NewAccount, ReadError};

use crate::{
    backup::BackupFailure,
    clock::now,
    daemon::NewKeys,
    keystore::{KeyError, Keys},
    local::ToProblem,
    random::rng,
    store::{OpenError, SqliteStore, StoreError},
};

/// Why no account was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BirthError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Commit(#[from] ReadError<StoreError>),
    #[error(transparent)]
    Backup(#[from] BackupFailure),
    #[error("cannot make the account's directory {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Makes the account's key and store. The key comes first: a key file without a store is found and used by the next try,
/// a store without its key could never be opened. The store is built beside, with the header that may have its key, and
/// moved into place as the last act.
pub(crate) fn make(
    paths: &Paths,
    name: &AccountName,
    keys: Keys,
    kept: &NewKeys,
    fill: impl FnOnce(&mut SqliteStore) -> Result<(), BirthError>,
) -> Result<(), BirthError> {
    let accounts = paths.accounts();
    let home = accounts.join(name.as_str());
    // A leading dot: no account has such a name.
    let draft = accounts.join(format!(".new-{name}"));
    let former = accounts.join(format!(".old-{name}"));
    on(&accounts, |path| DirBuilder::new().recursive(true).mode(0o700).create(path))?;
    on(&draft, remove_all)?;
    on(&former, remove_all)?;
    on(&draft, |path| DirBuilder::new().mode(0o700).create(path))?;

    let key = keys.in_draft(&draft).create(kept.kind, kept.passphrase.as_ref())?;
    let mut store = SqliteStore::create(&draft.join("store.db"), &key)?;
    let filled = fill(&mut store);
    // SQLite must not be moved while it is open.
    drop(store);
    if filled.is_err() {
        on(&draft, remove_all)?;
    }
    filled?;

    on(&draft, sync)?;
    if home.exists() {
        on(&home, |path| fs::rename(path, &former))?;
    }
    on(&home, |path| fs::rename(&draft, path))?;
    on(&accounts, sync)?;
    on(&former, remove_all)
}

/// Removes an account: its key first, without which nobody reads the rest, then its directory. Whoever is interrupted finds
/// an account that does not open, and removes it again.
pub(crate) fn unmake(paths: &Paths, name: &AccountName, keys: &Keys) -> Result<(), BirthError> {
    let accounts = paths.accounts();
    let home = accounts.join(name.as_str());
    let former = accounts.join(format!(".old-{name}"));
    keys.forget()?;
    on(&former, remove_all)?;
    if home.exists() {
        on(&home, |path| fs::rename(path, &former))?;
        on(&accounts, sync)?;
    }
    on(&former, remove_all)
}

/// Fills a store with a new account.
pub(crate) fn anew(new: NewAccount) -> impl FnOnce(&mut SqliteStore) -> Result<(), BirthError> {
    |store| {
        Engine::create(new, now(), &mut rng()).commit(store, now(), &mut rng())?;
        Ok(())
    }
}

fn on(path: &Path, act: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BirthError> {
    act(path).map_err(|source| BirthError::Io { path: path.to_owned(), source })
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn remove_all(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl ToProblem for BirthError {
    fn problem(&self) -> Problem {
        match self {
            Self::Key(error) => error.problem(),
            Self::Open(error) => error.problem(),
            Self::Commit(error) => error.problem(),
            Self::Backup(error) => error.problem(),
            Self::Io { .. } => Problem::new(
                ErrorCode::StoreFailed,
                self.to_string(),
                "check the disk and the permissions, then try again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use hermes_api::{KeyKind, Passphrase};
    use hermes_engine::query;
    use hermes_wire::{RelayAddress, RelayPin};

    use super::*;
    use crate::keystore::StoreKey;

    fn new(name: &str) -> NewAccount {
        let relay = RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap();
        NewAccount { name: name.to_owned(), relay, registration_token: None }
    }

    fn in_file() -> NewKeys {
        NewKeys { kind: KeyKind::File, passphrase: None }
    }

    fn birth(paths: &Paths, name: &AccountName, kept: &NewKeys) -> Result<(), BirthError> {
        make(paths, name, Keys::of(paths, name, &[]), kept, anew(new("alice")))
    }

    #[test]
    fn a_key_under_a_passphrase_lies_beside_its_store_alone() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let name: AccountName = "alice".parse().unwrap();
        let passphrase = Some(Passphrase::new("a"));
        birth(&paths, &name, &NewKeys { kind: KeyKind::Passphrase, passphrase: passphrase.clone() }).unwrap();
        assert!(!paths.key_file(&name).exists());
        let key = Keys::of(&paths, &name, &[]).unlock(passphrase.as_ref()).unwrap();
        SqliteStore::open(&paths.store(&name), &key).unwrap();
    }

    #[test]
    fn an_account_that_cannot_be_filled_leaves_nothing_beside() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let name: AccountName = "alice".parse().unwrap();
        let keys = Keys::of(&paths, &name, &[]);
        let empty = make(&paths, &name, keys, &in_file(), |_| Err(ReadError::NoAccount.into()));
        assert!(matches!(empty, Err(BirthError::Commit(_))));
        assert_eq!(fs::read_dir(paths.accounts()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_left_behind_is_taken_up() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let name: AccountName = "alice".parse().unwrap();
        // A crash after the key, with half a store in the draft.
        let key = StoreKey::read_or_create(&paths.key_file(&name)).unwrap();
        fs::create_dir_all(paths.accounts().join(".new-alice")).unwrap();
        fs::write(paths.accounts().join(".new-alice/store.db"), "half").unwrap();

        birth(&paths, &name, &in_file()).unwrap();
        let store = SqliteStore::open(&paths.store(&name), &key).unwrap();
        let summary = query::summary(&store).unwrap();
        assert_eq!((summary.name.as_str(), summary.registered), ("alice", false));
        assert_eq!(fs::read_dir(paths.accounts()).unwrap().count(), 1);
    }

    #[test]
    fn an_account_made_again_replaces_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let name: AccountName = "alice".parse().unwrap();
        let fingerprint = || {
            let key = StoreKey::read(&paths.key_file(&name)).unwrap();
            query::summary(&SqliteStore::open(&paths.store(&name), &key).unwrap()).unwrap().fingerprint
        };
        birth(&paths, &name, &in_file()).unwrap();
        let first = fingerprint();
        birth(&paths, &name, &in_file()).unwrap();
        assert_ne!(fingerprint(), first);
        assert_eq!(fs::read_dir(paths.accounts()).unwrap().count(), 1);
    }
}
