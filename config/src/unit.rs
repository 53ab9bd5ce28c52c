//! The systemd user units that are shipped, and the same for the place where Hermes lies on this machine.

use std::path::Path;

use crate::SocketPath;

/// Name of the service.
pub const SERVICE: &str = "hermesd.service";
/// Name of the socket that starts it.
pub const SOCKET: &str = "hermesd.socket";

/// The shipped service: `hermesd` in `/usr/bin`.
const SERVICE_TEXT: &str = include_str!("../systemd/hermesd.service");
/// The shipped socket: in the user's runtime directory.
const SOCKET_TEXT: &str = include_str!("../systemd/hermesd.socket");

/// What glibc's allocator is told for a daemon, however it is started (mallopt(3)): the pools that its threads share, and
/// the bytes from which on memory goes back to the system at once. Each pool keeps what was given back to it; by itself the
/// allocator makes eight for each processor, and keeps ever larger pieces.
pub const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

const EXEC: &str = "ExecStart=/usr/bin/hermesd";
const LISTEN: &str = "ListenStream=%t/hermes/hermesd.sock";

/// The first line of units that `hermesctl daemon install` wrote, by which it knows them again.
pub const MARK: &str = "# Written by hermesctl daemon install; hermesctl daemon uninstall removes it.\n";

/// Both units, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    /// The text of [`SERVICE`].
    pub service: String,
    /// The text of [`SOCKET`].
    pub socket: String,
}

/// A path that cannot stand in a unit.
#[derive(Debug, thiserror::Error)]
#[error("the path {0:?} cannot stand in a systemd unit; install Hermes in a place of plain letters")]
pub struct UnitPathError(String);

impl Units {
    /// Units for the program at `program`, and a daemon that listens at `socket`. `home` is the `HERMES_HOME` that it
    /// is to have; without one everything is in its usual place.
    pub fn new(program: &Path, socket: &SocketPath, home: Option<&Path>) -> Result<Self, UnitPathError> {
        let mut exec = format!("ExecStart={}", argument(program)?);
        let mut listen = LISTEN.to_owned();
        if let Some(home) = home {
            let variable = quoted(&format!("HERMES_HOME={}", plain(home)?));
            exec = format!("Environment={variable}\n{exec} --socket {}", argument(socket.as_path())?);
            listen = format!("ListenStream={}", plain(socket.as_path())?);
        }
        Ok(Self {
            service: format!("{MARK}{}", SERVICE_TEXT.replace(EXEC, &exec)),
            socket: format!("{MARK}{}", SOCKET_TEXT.replace(LISTEN, &listen)),
        })
    }
}

/// A path as a unit has it where nothing but specifiers is special.
fn plain(path: &Path) -> Result<String, UnitPathError> {
    let refused = || UnitPathError(path.display().to_string());
    let text = path.to_str().ok_or_else(refused)?;
    // The end of a line ends a setting, and space around it is cut off.
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(refused());
    }
    Ok(text.replace('%', "%%"))
}

/// A path as a word of a command.
fn argument(path: &Path) -> Result<String, UnitPathError> {
    Ok(quoted(&plain(path)?.replace('$', "$$")))
}

fn quoted(text: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "/._-+=%".contains(c);
    match text.chars().all(simple) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(program: &str, home: Option<&str>) -> Result<Units, UnitPathError> {
        let socket = SocketPath::new(Path::new("/h %/run/hermesd.sock")).unwrap();
        Units::new(Path::new(program), &socket, home.map(Path::new))
    }

    #[test]
    fn the_usual_place_is_what_is_shipped() {
        let units = units("/usr/bin/hermesd", None).unwrap();
        assert_eq!(units.service, format!("{MARK}{SERVICE_TEXT}"));
        assert_eq!(units.socket, format!("{MARK}{SOCKET_TEXT}"));
        assert!(SERVICE_TEXT.contains(EXEC) && SOCKET_TEXT.contains(LISTEN));
        let [pools, large] = ALLOCATOR.map(|(name, value)| format!("{name}={value}"));
        assert!(SERVICE_TEXT.contains(&format!("\nEnvironment={pools} {large}\n")));
    }

    #[test]
    fn paths_mean_themselves() {
        let units = units("/opt/$a b/hermesd", Some("/h %")).unwrap();
        assert!(units.service.contains("\nEnvironment=\"HERMES_HOME=/h %%\"\nExecStart=\"/opt/$$a b/hermesd\" --socket \"/h %%/run/hermesd.sock\"\n"), "{}", units.service);
        assert!(units.socket.contains("\nListenStream=/h %%/run/hermesd.sock\n"), "{}", units.socket);
    }

    #[test]
    fn a_path_that_would_begin_a_setting_of_its_own_is_refused() {
        for path in ["/a\nExecStart=/bin/sh", "/a "] {
            assert!(units(path, None).is_err(), "{path:?}");
        }
    }
}
