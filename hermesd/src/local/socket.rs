//! The Unix socket: in a directory of the user's own, and for the user's own processes.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::serve::Listener;
use hermes_config::SocketPath;
use rustix::process::geteuid;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::limits::{ACCEPT_PAUSE, CONNECTIONS};

/// Why the daemon does not listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The directory is not the user's alone.
    #[error("the socket's directory {0} is a symbolic link")]
    Link(PathBuf),
    /// The directory or the socket is another user's.
    #[error("{path} belongs to user {owner}, not to you (user {user})")]
    Foreign {
        /// Directory or socket.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Others may put another socket in its place.
    #[error("the socket's directory {path} is open to others (mode {mode:03o})")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something else lies where the socket should.
    #[error("{0} is in the socket's place and is no socket")]
    Occupied(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {path}: {source}")]
    Io {
        /// Directory or socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The listening socket.
pub(crate) struct LocalSocket {
    listener: UnixListener,
    /// Where it is, to be removed when dropped; nothing when it belongs to whoever passed it on.
    remove: Option<PathBuf>,
    user: u32,
    connections: Arc<Semaphore>,
}

impl LocalSocket {
    /// Listens at `socket`. Whoever calls this holds the daemon's lock, so that a socket left there is a dead one.
    pub(crate) fn bind(socket: &SocketPath) -> Result<Self, SocketError> {
        let user = geteuid().as_raw();
        make_directory(socket.directory(), user)?;
        remove_stale(socket.as_path(), user)?;
        // Until it is private itself, its directory keeps others out. A mask would be that of all threads: two that bind at a
        // time could leave each other's for good, and directories that were made meanwhile could not be entered.
        let listener =
            UnixListener::bind(socket.as_path()).map_err(|source| io_error(socket.as_path(), source))?;
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let bound = Self { listener, remove: Some(socket.as_path().to_owned()), user, connections };
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(socket.as_path(), private)
            .map_err(|source| io_error(socket.as_path(), source))?;
        Ok(bound)
    }

    /// Listens where somebody else does already, who passed it on: a service manager, which keeps the socket while no
    /// daemon runs. It has to be as private as one of our own.
    pub(crate) fn passed(
        listener: std::os::unix::net::UnixListener,
        socket: &SocketPath,
    ) -> Result<Self, SocketError> {
        let user = geteuid().as_raw();
        let path = socket.as_path();
        make_directory(socket.directory(), user)?;
        let metadata = fs::symlink_metadata(path).map_err(|error| io_error(path, error))?;
        if metadata.uid() != user {
            return Err(SocketError::Foreign { path: path.to_owned(), owner: metadata.uid(), user });
        }
        listener.set_nonblocking(true).map_err(|error| io_error(path, error))?;
        let listener = UnixListener::from_std(listener).map_err(|error| io_error(path, error))?;
        Ok(Self { listener, remove: None, user, connections: Arc::new(Semaphore::new(CONNECTIONS)) })
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // The next daemon removes what is left.
        if let Some(path) = &self.remove {
            let _ = fs::remove_file(path);
        }
    }
}

impl Listener for LocalSocket {
    type Io = LocalConnection;
    type Addr = ();

    async fn accept(&mut self) -> (LocalConnection, ()) {
        loop {
            let Ok(permit) = self.connections.clone().acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    // The directory keeps others out already; root, and a directory opened later, it does not.
                    Ok(peer) if peer.uid() == self.user => {
                        return (LocalConnection { stream, _permit: permit }, ());
                    }
                    _ => tracing::warn!("a connection of another user was refused"),
                },
                Err(error) => {
                    // Out of file descriptors, most likely: give others time to return some.
                    tracing::warn!(%error, "a local connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection of one of the user's programs.
pub(crate) struct LocalConnection {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for LocalConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for LocalConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn make_directory(directory: &Path, user: u32) -> Result<(), SocketError> {
    if let Some(parent) = directory.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| io_error(parent, error))?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_error(directory, error)),
        _ => {}
    }
    let metadata = fs::symlink_metadata(directory).map_err(|error| io_error(directory, error))?;
    let mode = metadata.mode() & 0o777;
    if metadata.file_type().is_symlink() {
        return Err(SocketError::Link(directory.to_owned()));
    }
    if metadata.uid() != user {
        return Err(SocketError::Foreign { path: directory.to_owned(), owner: metadata.uid(), user });
    }
    if mode & 0o022 != 0 {
        return Err(SocketError::Open { path: directory.to_owned(), mode });
    }
    if mode & 0o077 != 0 {
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(directory, private).map_err(|error| io_error(directory, error))?;
    }
    Ok(())
}

fn remove_stale(socket: &Path, user: u32) -> Result<(), SocketError> {
    let metadata = match fs::symlink_metadata(socket) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(socket, error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::Occupied(socket.to_owned()));
    }
    if metadata.uid() != user {
        return Err(SocketError::Foreign { path: socket.to_owned(), owner: metadata.uid(), user });
    }
    fs::remove_file(socket).map_err(|error| io_error(socket, error))
}

fn io_error(path: &Path, source: io::Error) -> SocketError {
    SocketError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn bind(path: &Path) -> Result<LocalSocket, SocketError> {
        LocalSocket::bind(&SocketPath::new(path).unwrap())
    }

    #[tokio::test]
    async fn the_directory_is_made_for_the_user_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/d.sock");
        let socket = bind(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&home.path().join("run")), 0o700);
        assert_eq!(mode(&path), 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_socket_gives_way_and_a_file_does_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("d.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(bind(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::Occupied(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_directory_that_is_not_ours_alone_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join("real");
        fs::create_dir(&real).unwrap();
        let linked = home.path().join("linked");
        symlink(&real, &linked).unwrap();
        assert!(matches!(bind(&linked.join("d.sock")), Err(SocketError::Link(_))));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(bind(&real.join("d.sock")), Err(SocketError::Open { mode: 0o777, .. })));
        // Whose it is, is asked of the directory, so another user's answer can be put in.
        let user = geteuid().as_raw() + 1;
        fs::set_permissions(&real, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(make_directory(&real, user), Err(SocketError::Foreign { .. })));
    }
}
