//! A store of an older version becomes one of this version, or stays as it was.
//!
//! The old file is copied first, whole and durable. Then one transaction does everything, so that whoever is killed on
//! the way finds the old store or the new one. The copy is there for the case that the account does not start from what
//! the upgrade made; it holds keys that are used afterwards, so it is erased as soon as the account has started.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    counts::Counts,
    erasure::{self, Erased},
    error::OpenError,
    schema::{self, COUNTED_SINCE, Schema},
    sealing::Sealer,
};
use crate::limits::COPY_CHUNK;

pub(super) fn upgrade(
    path: &Path,
    connection: &mut Connection,
    sealer: &Sealer,
    from: i32,
    to: Schema,
) -> Result<(), OpenError> {
    let failed = |error| OpenError::sqlite(path, error);
    // What is committed must be in the file that is copied. Nobody else has it open: the lock is held.
    let emptied = erasure::empty_log(connection).map_err(failed)?;
    let copied = match emptied {
        Erased::All => copy(path, from),
        Erased::LogInUse => Err(io::Error::other("another program reads the store")),
    };
    copied.map_err(|source| OpenError::Copy { path: path.to_owned(), source })?;
    apply(connection, sealer, from, to).map_err(failed)?;
    // The version is read from the file itself, so it must not lie in the log alone.
    erasure::empty_log(connection).map_err(failed)?;
    tracing::info!(from, to = to.version, "the store was upgraded");
    Ok(())
}

fn apply(connection: &mut Connection, sealer: &Sealer, from: i32, to: Schema) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    schema::complete(&transaction, to)?;
    if from < COUNTED_SINCE {
        Counts::count(&transaction, to)?.write(&transaction, sealer)?;
    }
    transaction.commit()
}

/// Where the copy of a store of an older version is kept: beside it, and of no use without the same key.
fn copy_path(path: &Path, version: i32) -> PathBuf {
    path.with_extension(format!("v{version}.db"))
}

/// Written beside and renamed into place, so that a copy is whole or absent. One that is there already is older than
/// the store: the former version has worked on since.
fn copy(path: &Path, version: i32) -> io::Result<()> {
    let copy = copy_path(path, version);
    let draft = draft_path(&copy);
    erase(&draft)?;
    erase(&copy)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    io::copy(&mut File::open(path)?, &mut to)?;
    to.sync_all()?;
    fs::rename(&draft, &copy)?;
    sync_directory(path)
}

fn draft_path(copy: &Path) -> PathBuf {
    copy.with_extension("new")
}

/// Erases every copy that upgrades left, and what one that was cut short left.
pub(super) fn forget_copies(path: &Path, known: Schema) -> io::Result<()> {
    for version in 1..known.version {
        let copy = copy_path(path, version);
        erase(&draft_path(&copy))?;
        erase(&copy)?;
    }
    Ok(())
}

/// Overwrites a file before it is removed: a file system that writes in place keeps nothing of it.
fn erase(path: &Path) -> io::Result<()> {
    // A link would have something else overwritten.
    let length = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => 0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if length > 0 {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let zeros = vec![0; COPY_CHUNK];
        let mut left = length;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(COPY_CHUNK);
            file.write_all(zeros.get(..now).unwrap_or(&zeros))?;
            left -= now as u64;
        }
        file.sync_all()?;
    }
    fs::remove_file(path)?;
    sync_directory(path)
}

fn sync_directory(of: &Path) -> io::Result<()> {
    let directory = of.parent().ok_or(io::ErrorKind::InvalidInput)?;
    File::open(directory)?.sync_all()
}
