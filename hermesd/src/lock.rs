//! Lock files: whoever holds one is the only one, until its process ends, however it ends.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// Digits of a process number, and slack. A longer lock file was not written by us.
const PID_CHARS: u64 = 20;

/// A held lock. The kernel releases it with the process, so that a crash leaves nothing to clean up.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{}", held(*.0))]
    Held(Option<u32>),
    /// The lock file cannot be made.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn held(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid} is using it"),
        None => "another process is using it".to_owned(),
    }
}

impl LockFile {
    /// Takes the lock at once or not at all.
    pub(crate) fn acquire(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
            Err(error) => return Err(failed(error.into())),
        }
        // The number only helps people; the lock is what counts.
        file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { file })
    }
}

/// Unlocked by hand: a lock of flock(2) belongs to the open file, which a program that is being started shares from its
/// fork to its exec. Closing alone would leave the lock with it, and whoever opens next would find a holder that is gone.
impl Drop for LockFile {
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    Read::take(file, PID_CHARS).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_hears_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = LockFile::acquire(&path).unwrap();
        match LockFile::acquire(&path) {
            Err(LockError::Held(pid)) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        LockFile::acquire(&path).unwrap();
    }

    #[test]
    fn it_is_free_while_a_program_that_is_being_started_still_has_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = LockFile::acquire(&path).unwrap();
        let shared = first.file.try_clone().unwrap();
        drop(first);
        LockFile::acquire(&path).unwrap();
        drop(shared);
    }
}
