//! The user's service manager, if one runs, and the units that have it keep hermesd running.

use std::{
    env,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use hermes_api::{ErrorCode, Problem};
use hermes_config::{
    SocketPath,
    paths::HOME_VARIABLE,
    unit::{self, SERVICE, SOCKET, Units},
};
use tokio::process::Command;

use crate::daemon::sibling;

/// Directories are searched for it in `PATH`.
const SYSTEMCTL: &str = "systemctl";

/// A manager that answers.
#[derive(Debug)]
pub(crate) struct Manager;

/// The units of this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    /// There are none.
    No,
    /// Ours, for this Hermes.
    Ours,
    /// Of a package, or written by hand: what they start is their business.
    Theirs,
    /// Ours, for a Hermes that lies elsewhere.
    Elsewhere(PathBuf),
}

/// How the manager sees the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// As in `active`, `inactive` and `failed`.
    pub(crate) active: String,
    /// As in `enabled` and `disabled`.
    pub(crate) enabled: String,
    /// The daemon's process, when the manager runs one.
    pub(crate) pid: Option<u32>,
}

impl Manager {
    /// The manager of this user; the error says why there is none.
    pub(crate) async fn find() -> Result<Self, String> {
        systemctl(&["show-environment"]).await.map(|_| Self)
    }

    /// Whether it runs the service, and how it fares.
    pub(crate) async fn state(&self) -> Result<UnitState, Problem> {
        let shown = self.call(&["show", "--property=ActiveState,UnitFileState,MainPID", SERVICE]).await?;
        let value = |name: &str| {
            let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let pid = value("MainPID").parse().ok().filter(|pid| *pid != 0);
        Ok(UnitState { active: value("ActiveState"), enabled: value("UnitFileState"), pid })
    }

    pub(crate) async fn start(&self) -> Result<(), Problem> {
        self.call(&["start", SOCKET, SERVICE]).await.map(drop)
    }

    /// Stops the socket too: a request would start the service again.
    pub(crate) async fn stop(&self) -> Result<(), Problem> {
        self.call(&["stop", SOCKET, SERVICE]).await.map(drop)
    }

    pub(crate) async fn restart(&self) -> Result<(), Problem> {
        self.call(&["restart", SERVICE]).await.map(drop)
    }

    pub(crate) async fn enable(&self) -> Result<(), Problem> {
        self.call(&["daemon-reload"]).await?;
        self.call(&["enable", "--now", SOCKET, SERVICE]).await.map(drop)
    }

    pub(crate) async fn disable(&self) -> Result<(), Problem> {
        self.call(&["disable", "--now", SOCKET, SERVICE]).await.map(drop)
    }

    pub(crate) async fn reload(&self) -> Result<(), Problem> {
        self.call(&["daemon-reload"]).await.map(drop)
    }

    /// The last lines that the service wrote.
    pub(crate) async fn journal(&self, lines: usize) -> Option<String> {
        let lines = lines.to_string();
        let arguments = ["--user", "--unit", SERVICE, "--output=cat", "--lines", &lines];
        let output = Command::new("journalctl").args(arguments).output().await.ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn call(&self, arguments: &[&str]) -> Result<String, Problem> {
        systemctl(arguments).await.map_err(|said| {
            let message = format!("systemctl --user {} failed: {said}", arguments.join(" "));
            Problem::new(
                ErrorCode::ServiceManager,
                message,
                format!("look at: journalctl --user -u {SERVICE} -n 20"),
            )
        })
    }
}

async fn systemctl(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(SYSTEMCTL).args(["--user", "--no-pager"]).args(arguments).output().await;
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("systemctl is not installed".into());
        }
        Err(error) => return Err(format!("systemctl cannot be run: {error}")),
    };
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.lines().next().map_or_else(|| output.status.to_string(), str::to_owned))
        }
    }
}

/// Whether the user's manager stays when the user logs out; nothing where nobody says.
pub(crate) async fn lingers() -> Option<bool> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let shown = Command::new("loginctl")
        .args(["show-user", &user, "--property=Linger", "--value"])
        .output()
        .await
        .ok()?;
    match String::from_utf8_lossy(&shown.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Where a user's own units lie.
fn directory() -> Option<PathBuf> {
    let absolute = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("systemd/user"))
}

/// Where units of packages and administrators lie.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/etc/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user"];

/// The units that would be right for this Hermes.
fn units(socket: &SocketPath) -> Result<Units, Problem> {
    let home = env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()).map(PathBuf::from);
    Units::new(&sibling("hermesd")?, socket, home.as_deref())
        .map_err(|error| Problem::new(ErrorCode::Usage, error.to_string(), ""))
}

/// What is installed for this user.
pub(crate) fn installed(socket: &SocketPath) -> Installed {
    let own = directory().map(|directory| directory.join(SERVICE));
    match own.as_deref().map(fs::read_to_string) {
        Some(Ok(text)) if text.starts_with(unit::MARK) => {
            let same = units(socket).is_ok_and(|units| listen(&units.socket) == own_listen(own.as_deref()));
            match same {
                true => Installed::Ours,
                false => Installed::Elsewhere(own.unwrap_or_default()),
            }
        }
        Some(Ok(_)) => Installed::Theirs,
        _ if SYSTEM_DIRECTORIES.iter().any(|directory| Path::new(directory).join(SERVICE).is_file()) => {
            Installed::Theirs
        }
        _ => Installed::No,
    }
}

/// Who keeps the daemon at `socket`: the service manager, when its units are there and it answers.
pub(crate) async fn keeper(socket: &SocketPath) -> Option<Manager> {
    match installed(socket) {
        Installed::Ours | Installed::Theirs => Manager::find().await.ok(),
        Installed::No | Installed::Elsewhere(_) => None,
    }
}

/// Where a socket unit listens, which tells one Hermes from another.
fn listen(unit: &str) -> Option<String> {
    unit.lines().find_map(|line| line.strip_prefix("ListenStream=")).map(str::to_owned)
}

fn own_listen(service: Option<&Path>) -> Option<String> {
    listen(&fs::read_to_string(service?.with_file_name(SOCKET)).ok()?)
}

/// Writes the units; the files that were written.
pub(crate) fn write(socket: &SocketPath) -> Result<[PathBuf; 2], Problem> {
    let units = units(socket)?;
    let directory = directory().ok_or_else(|| {
        Problem::new(ErrorCode::ServiceManager, "this user has no home directory for units", "set HOME")
    })?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        let draft = directory.join(format!(".{name}.new"));
        DirBuilder::new().recursive(true).mode(0o755).create(&directory)?;
        fs::write(&draft, text)?;
        fs::rename(&draft, &path)?;
        Ok(path)
    };
    let failed = |error: io::Error| {
        let message = format!("cannot write units into {}: {error}", directory.display());
        Problem::new(ErrorCode::Io, message, "check its permissions")
    };
    Ok([write(SOCKET, &units.socket).map_err(failed)?, write(SERVICE, &units.service).map_err(failed)?])
}

/// Removes the units that [`write`] wrote.
pub(crate) fn remove() -> Result<(), Problem> {
    for name in [SERVICE, SOCKET] {
        let Some(path) = directory().map(|directory| directory.join(name)) else { continue };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}: {error}", path.display());
                return Err(Problem::new(ErrorCode::Io, message, "remove it by hand"));
            }
            _ => {}
        }
    }
    Ok(())
}
