//! The path of the daemon's socket.

use std::{
    fmt, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::limits::SOCKET_PATH_BYTES;

/// An absolute path that the operating system takes as a socket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath(PathBuf);

/// Why a path cannot be a socket's.
#[derive(Debug, thiserror::Error)]
pub enum SocketPathError {
    /// The operating system takes no socket path that long.
    #[error(
        "the socket path {path} has {bytes} bytes, and the system takes at most {SOCKET_PATH_BYTES}; \
         set --socket or HERMES_HOME to something shorter"
    )]
    TooLong {
        /// The path that is too long.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The path is empty, or relative while the working directory is gone.
    #[error("the socket path {path} does not lead anywhere; give --socket an absolute path")]
    Nowhere {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SocketPath {
    /// Takes a path, absolute or relative to the working directory.
    pub fn new(path: &Path) -> Result<Self, SocketPathError> {
        let absolute = std::path::absolute(path)
            .map_err(|source| SocketPathError::Nowhere { path: path.to_owned(), source })?;
        let bytes = absolute.as_os_str().as_bytes().len();
        if bytes > SOCKET_PATH_BYTES {
            return Err(SocketPathError::TooLong { path: absolute, bytes });
        }
        Ok(Self(absolute))
    }

    /// The socket itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The directory it lies in, which must belong to the user alone (mode 0700).
    pub fn directory(&self) -> &Path {
        self.0.parent().unwrap_or(Path::new("/"))
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_bind_would_refuse_is_refused_with_advice() {
        let just = format!("/{}", "x".repeat(SOCKET_PATH_BYTES - 1));
        assert_eq!(SocketPath::new(Path::new(&just)).unwrap().directory(), Path::new("/"));
        let error = SocketPath::new(Path::new(&format!("{just}x"))).unwrap_err();
        assert!(matches!(error, SocketPathError::TooLong { bytes: 104, .. }));
        assert!(error.to_string().contains("HERMES_HOME"), "{error}");
    }

    #[test]
    fn a_relative_path_becomes_absolute() {
        let socket = SocketPath::new(Path::new("d.sock")).unwrap();
        assert!(socket.as_path().is_absolute());
        assert!(SocketPath::new(Path::new("")).is_err());
    }
}
