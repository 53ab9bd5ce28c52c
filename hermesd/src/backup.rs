//! Backups: made of a snapshot while the account works on, and made into an account again.

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

use hermes_api::{ErrorCode, Passphrase, Problem};
use hermes_engine::{
    ChangeSet, Engine, ReadError, Store,
    backup::{self, BackupError, HEADER_BYTES, Header, Manifest, Opener, Restore, Sealer},
};

use crate::{
    clock::now,
    limits::{BACKUP_COMMIT, BACKUP_PIECE},
    local::ToProblem,
    passphrase::{self, Cost},
    random::rng,
    store::{self, Snapshot, SqliteStore, StoreError},
};

/// Why there is no backup, or no account from one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupFailure {
    /// The file does not come.
    #[error("the backup cannot be read: {0}")]
    Read(#[from] io::Error),
    /// What the file holds is no account.
    #[error("the backup cannot be restored: {0}")]
    Backup(#[from] BackupError),
    /// The account's store.
    #[error(transparent)]
    Store(#[from] ReadError<StoreError>),
    /// No passphrase, or one without end.
    #[error("that is no passphrase")]
    Passphrase,
}

/// How far a backup has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Reached,
    /// Whoever was to have it did not want all of it.
    Stopped,
}

/// Makes a backup of what `snapshot` shows, and hands it to `write`, piece by piece, until it breaks.
pub(crate) fn make(
    snapshot: &Snapshot,
    account: &str,
    secret: &Passphrase,
    write: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
) -> Result<End, BackupFailure> {
    let Cost { memory_kib, passes, lanes } = Cost::RECOMMENDED;
    let header = Header { cost: backup::Cost { memory_kib, passes, lanes }, salt: passphrase::salt() };
    let key = Cost::RECOMMENDED.derive(secret, &header.salt).map_err(|_| BackupFailure::Passphrase)?;
    let manifest = Manifest { schema: store::schema_version(), made: now(), account: account.to_owned() };
    let mut sealed = Vec::new();
    let mut sealer = Sealer::begin(key.expose(), &header, &mut sealed);
    let mut stopped = false;
    backup::rows(snapshot, &manifest, now(), &mut rng(), &mut |row| {
        sealer.write(row, &mut sealed);
        if sealed.is_empty() {
            return ControlFlow::Continue(());
        }
        let flow = write(std::mem::take(&mut sealed));
        stopped = flow.is_break();
        flow
    })?;
    if stopped {
        return Ok(End::Stopped);
    }
    sealer.finish(&mut sealed);
    Ok(if write(sealed).is_break() { End::Stopped } else { End::Reached })
}

/// Fills an empty store with the account of a backup. What was filled in before an error is no account.
pub(crate) fn fill(
    source: &mut dyn Read,
    secret: &Passphrase,
    store: &mut SqliteStore,
) -> Result<(), BackupFailure> {
    let mut opener = opener(source, secret)?;
    let (mut restore, mut changes, mut waiting) = (Restore::default(), ChangeSet::default(), 0);
    loop {
        let mut piece = Vec::with_capacity(BACKUP_PIECE);
        Read::take(&mut *source, BACKUP_PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            break;
        }
        let text = opener.take(&piece)?;
        restore.take(&text, store::schema_version(), &mut changes)?;
        waiting += text.len();
        if waiting >= BACKUP_COMMIT {
            store.commit(&std::mem::take(&mut changes)).map_err(ReadError::Store)?;
            waiting = 0;
        }
    }
    let text = opener.finish()?;
    restore.take(&text, store::schema_version(), &mut changes)?;
    restore.finish()?;
    store.commit(&changes).map_err(ReadError::Store)?;
    // Rows that make no account are found here and not when it is in its place.
    Engine::load(store)?;
    Ok(())
}

fn opener(source: &mut dyn Read, secret: &Passphrase) -> Result<Opener, BackupFailure> {
    let mut header = [0; HEADER_BYTES];
    match source.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(BackupError::NotABackup.into());
        }
        other => other?,
    }
    let header = Header::parse(&header)?;
    let backup::Cost { memory_kib, passes, lanes } = header.cost;
    let key = Cost { memory_kib, passes, lanes }.derive(secret, &header.salt);
    let key = key.map_err(|_| BackupError::Closed)?;
    Ok(Opener::begin(key.expose(), &header))
}

impl ToProblem for BackupFailure {
    fn problem(&self) -> Problem {
        let message = self.to_string();
        match self {
            Self::Read(_) => Problem::new(ErrorCode::Io, message, "try again"),
            Self::Backup(error) => {
                let (code, hint) = match error {
                    BackupError::NotABackup => {
                        (ErrorCode::BadBackup, "name a file that hermesctl backup made")
                    }
                    BackupError::Newer => (ErrorCode::BadBackup, "restore it with that version"),
                    BackupError::Closed => (ErrorCode::Locked, "try again, or with another copy of the file"),
                    BackupError::Malformed => (ErrorCode::BadBackup, "use another backup"),
                };
                Problem::new(code, message, hint)
            }
            Self::Store(error) => error.problem(),
            Self::Passphrase => Problem::new(ErrorCode::Usage, message, "choose one of several words"),
        }
    }
}

#[cfg(test)]
mod tests {
    use hermes_engine::{NewAccount, query};
    use hermes_wire::{RelayAddress, RelayPin};
    use tempfile::TempDir;

    use super::*;
    use crate::keystore::StoreKey;

    fn secret() -> Passphrase {
        Passphrase::new("correct horse")
    }

    fn store(dir: &TempDir, name: &str) -> SqliteStore {
        SqliteStore::create(&dir.path().join(name), &StoreKey::generate()).unwrap()
    }

    /// An account without contacts, and its backup.
    fn backup() -> (TempDir, Vec<u8>, SqliteStore) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store(&dir, "store.db");
        let relay = RelayAddress::new("relay.example", 4433, RelayPin([7; 32])).unwrap();
        let new = NewAccount { name: "alice".into(), relay, registration_token: Some("t".into()) };
        Engine::create(new, now(), &mut rng()).commit(&mut store, now(), &mut rng()).unwrap();
        let mut bytes = Vec::new();
        make(&store.reader().snapshot().unwrap(), "alice", &secret(), &mut |piece| {
            bytes.extend(piece);
            ControlFlow::Continue(())
        })
        .unwrap();
        (dir, bytes, store)
    }

    #[test]
    fn an_account_comes_back() {
        let (dir, bytes, first) = backup();
        let mut second = store(&dir, "second.db");
        fill(&mut bytes.as_slice(), &secret(), &mut second).unwrap();
        let summaries = [query::summary(&first).unwrap(), query::summary(&second).unwrap()];
        assert_eq!(summaries[0].fingerprint, summaries[1].fingerprint);
        assert_eq!(summaries[1].store.state, query::StoreState::Recovering);
        assert_eq!(query::mailbox(&second).unwrap().registration_token, None);
    }

    #[test]
    fn a_file_that_is_damaged_or_none_fills_no_account() {
        let (dir, good, _store) = backup();
        let mut number = 0;
        let mut tried = |mut bytes: &[u8], secret: &Passphrase| {
            number += 1;
            fill(&mut bytes, secret, &mut store(&dir, &format!("{number}.db"))).unwrap_err().to_string()
        };
        let wrong = tried(&good, &Passphrase::new("wrong"));
        let mut damaged = good.clone();
        damaged[HEADER_BYTES + 40] ^= 1;
        // Nobody learns from the words which it was.
        assert_eq!(tried(&damaged, &secret()), wrong);
        assert_eq!(tried(&good[..good.len() - 1], &secret()), wrong);
        assert!(tried(&good[..20], &secret()).contains("no backup"));
        assert!(tried(b"", &secret()).contains("no backup"));
        let mut bomb = good.clone();
        bomb[16] = 0xff;
        assert!(tried(&bomb, &secret()).contains("damaged"));
    }
}
