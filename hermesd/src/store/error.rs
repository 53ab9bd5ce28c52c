//! What can go wrong with a store, by what the user can do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi::SQLITE_IOERR_SHORT_READ};

use crate::lock::LockError;

/// Why a store was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No such file.
    #[error("there is no store at {0}")]
    Missing(PathBuf),
    /// Another process has it, or the lock cannot be taken.
    #[error("the store {path} is already open: {source}")]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who has it.
        source: LockError,
    },
    /// Written by a newer version.
    #[error("the store {path} was written by a newer hermesd (schema {found}, this one knows {known})")]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The newest schema known here.
        known: i32,
    },
    /// There is no copy to go back to, so it was not upgraded.
    #[error("the store {path} has to be upgraded, and the copy to be kept of it cannot be written: {source}")]
    Copy {
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a store, or damaged.
    #[error("the store {0} is damaged or is no Hermes store")]
    Corrupt(PathBuf),
    /// The key does not open it.
    #[error("the key that is kept for it does not open the store {0}")]
    WrongKey(PathBuf),
    /// The file system refuses.
    #[error("cannot open the store {path}: {source}")]
    Io {
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("cannot open the store {path}: {source}")]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is damaged, or a row is not what was sealed there.
    #[error("the store is damaged{}", place(*.0))]
    Corrupt(Option<&'static str>),
    /// The disk is full.
    #[error("the disk is full; make room")]
    Full,
    /// The disk or SQLite failed.
    #[error("the store failed: {0}")]
    Failed(rusqlite::Error),
    /// Its key was erased from memory.
    #[error("the account is locked")]
    Closed,
    /// A query was given up because the daemon stops.
    #[error("the daemon is stopping")]
    Interrupted,
}

fn place(table: Option<&'static str>) -> String {
    table.map(|table| format!(" in its table {table}")).unwrap_or_default()
}

impl OpenError {
    pub(super) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        match is_damage(&error) {
            true => Self::Corrupt(path.to_owned()),
            false => Self::Sqlite { path: path.to_owned(), source: error },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match (error.sqlite_error_code(), &error) {
            _ if is_damage(&error) => Self::Corrupt(None),
            // A value that is no blob is damage too: the schema version promised them.
            (_, rusqlite::Error::InvalidColumnType(..)) => Self::Corrupt(None),
            (Some(ErrorCode::DiskFull), _) => Self::Full,
            _ => Self::Failed(error),
        }
    }
}

/// Whether SQLite says that the file is not what it wrote.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        // The schema's version promised what our statements name.
        rusqlite::Error::SqlInputError { .. } => true,
        rusqlite::Error::SqliteFailure(_, Some(said)) if said.starts_with("no such table") => true,
        // A number in the header that no SQLite wrote: ours writes the newest there is.
        rusqlite::Error::SqliteFailure(_, Some(said)) if said == "unsupported file format" => true,
        // That the file ends before a page does is no fault of the disk, and will be so the next time.
        error => error.sqlite_error().is_some_and(|found| {
            matches!(found.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
                || found.extended_code == SQLITE_IOERR_SHORT_READ
        }),
    }
}
