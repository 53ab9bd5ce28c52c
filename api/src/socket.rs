//! Whose socket it is. Whatever answers at the path would learn the user's messages, so a program looks before it
//! connects, and asks the kernel who answered after.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Why a socket is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignSocket {
    /// The socket, its directory or the process behind it is another user's.
    #[error("{path} belongs to user {owner}, not to you (user {user})")]
    Owner {
        /// Socket or directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Others may put another socket in its place.
    #[error("{path} can be written by others (mode {mode:03o})")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link leads somewhere else.
    #[error("{0} is a symbolic link")]
    Link(PathBuf),
    /// There is something else at the path.
    #[error("{0} is not a socket")]
    Kind(PathBuf),
}

/// What was found at a socket's path.
pub(crate) enum Found {
    /// A socket of this user in a directory of this user.
    Ours,
    /// Nothing.
    Nothing,
}

/// Looks at the socket and its directory without following links.
pub(crate) fn inspect(socket: &Path) -> Result<Found, InspectError> {
    let user = rustix::process::getuid().as_raw();
    let directory = socket.parent().unwrap_or(Path::new("/"));
    for (path, is_directory) in [(directory, true), (socket, false)] {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(InspectError::Io(error)),
        };
        let kind = metadata.file_type();
        if kind.is_symlink() {
            return Err(ForeignSocket::Link(path.to_owned()).into());
        }
        if metadata.uid() != user {
            return Err(ForeignSocket::Owner { path: path.to_owned(), owner: metadata.uid(), user }.into());
        }
        if is_directory && metadata.mode() & 0o022 != 0 {
            let mode = metadata.mode() & 0o777;
            return Err(ForeignSocket::Open { path: path.to_owned(), mode }.into());
        }
        if !is_directory && !kind.is_socket() {
            return Err(ForeignSocket::Kind(path.to_owned()).into());
        }
    }
    Ok(Found::Ours)
}

/// Checks the user of the process that accepted a connection.
pub(crate) fn check_peer(socket: &Path, peer: u32) -> Result<(), ForeignSocket> {
    let user = rustix::process::getuid().as_raw();
    match peer == user {
        true => Ok(()),
        false => Err(ForeignSocket::Owner { path: socket.to_owned(), owner: peer, user }),
    }
}

/// Why a socket could not be looked at or is not trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error(transparent)]
    Foreign(#[from] ForeignSocket),
    #[error("cannot look at the socket: {0}")]
    Io(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    };

    use super::*;

    fn foreign(socket: &Path) -> ForeignSocket {
        match inspect(socket) {
            Err(InspectError::Foreign(foreign)) => foreign,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{} was trusted", socket.display()),
        }
    }

    #[test]
    fn only_a_real_socket_in_a_private_directory_is_trusted() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("d.sock");
        assert!(matches!(inspect(&socket), Ok(Found::Nothing)));

        let listener = UnixListener::bind(&socket).unwrap();
        assert!(matches!(inspect(&socket), Ok(Found::Ours)));

        let link = home.path().join("link.sock");
        symlink(&socket, &link).unwrap();
        assert_eq!(foreign(&link), ForeignSocket::Link(link));

        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(foreign(&file), ForeignSocket::Kind(file));

        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(foreign(&socket), ForeignSocket::Open { path: home.path().to_owned(), mode: 0o777 });
        drop(listener);
    }

    #[test]
    fn another_users_directory_or_process_is_refused() {
        let me = rustix::process::getuid().as_raw();
        assert_eq!(
            check_peer(Path::new("/s"), me.wrapping_add(1)),
            Err(ForeignSocket::Owner { path: "/s".into(), owner: me.wrapping_add(1), user: me })
        );
        assert_eq!(check_peer(Path::new("/s"), me), Ok(()));
    }

    #[test]
    fn a_socket_under_a_linked_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join("real");
        fs::create_dir(&real).unwrap();
        let _listener = UnixListener::bind(real.join("d.sock")).unwrap();
        let linked = home.path().join("linked");
        symlink(&real, &linked).unwrap();
        assert_eq!(foreign(&linked.join("d.sock")), ForeignSocket::Link(linked));
    }
}
