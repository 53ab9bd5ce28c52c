//! Where everything lies.

use std::{
    env,
    path::{Path, PathBuf},
};

use directories::ProjectDirs;

use crate::{AccountName, SocketPath, SocketPathError};

/// Names the directory under which everything lies instead of in the user's own directories.
pub const HOME_VARIABLE: &str = "HERMES_HOME";

/// The configuration for all users of a machine.
const SYSTEM_CONFIG: &str = "/etc/hermes/config.toml";

/// The directories of one Hermes: the user's, or all under `HERMES_HOME`. Nothing here touches the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
    run: PathBuf,
    system_config: Option<PathBuf>,
}

/// Why there are no directories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    /// The user has no home directory.
    #[error("this user has no home directory; set HERMES_HOME to a directory that Hermes may use")]
    NoHome,
    /// `HERMES_HOME` depends on where a program was started.
    #[error("HERMES_HOME is {0}, which is not absolute; set it to a path that starts with /")]
    RelativeHome(PathBuf),
}

impl Paths {
    /// The directories that the environment names: all under `HERMES_HOME` when it is set and not empty, else the
    /// platform's own (on Linux those of the XDG Base Directory specification).
    pub fn from_environment() -> Result<Self, PathsError> {
        match env::var_os(HOME_VARIABLE).filter(|home| !home.is_empty()) {
            Some(home) => Self::under(Path::new(&home)),
            None => Self::of_user(),
        }
    }

    /// Everything under one directory. The system's configuration does not apply: a relocated Hermes is its own world.
    pub fn under(home: &Path) -> Result<Self, PathsError> {
        if !home.is_absolute() {
            return Err(PathsError::RelativeHome(home.to_owned()));
        }
        Ok(Self {
            config: home.join("config"),
            data: home.join("data"),
            state: home.join("state"),
            run: home.join("run"),
            system_config: None,
        })
    }

    fn of_user() -> Result<Self, PathsError> {
        let dirs = ProjectDirs::from("", "", "hermes").ok_or(PathsError::NoHome)?;
        let data = dirs.data_dir().to_owned();
        Ok(Self {
            config: dirs.config_dir().to_owned(),
            state: dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned(),
            run: dirs.runtime_dir().map_or_else(|| data.join("run"), Path::to_owned),
            data,
            system_config: Some(PathBuf::from(SYSTEM_CONFIG)),
        })
    }

    /// The directories that the daemon writes to. The configuration is not in them.
    pub fn written(&self) -> [PathBuf; 4] {
        [self.keys(), self.data.clone(), self.state.clone(), self.run.clone()]
    }

    /// The user's `config.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The configuration for all users, which the user's stands above.
    pub fn system_config_file(&self) -> Option<&Path> {
        self.system_config.as_deref()
    }

    /// Directory of the key files (mode 0700), apart from the stores that they open.
    pub fn keys(&self) -> PathBuf {
        self.config.join("keys")
    }

    /// The key file of an account (mode 0600).
    pub fn key_file(&self, account: &AccountName) -> PathBuf {
        self.keys().join(format!("{account}.key"))
    }

    /// The header beside an account's store that says how its key is protected; absent when it lies in its key file.
    pub fn key_header(&self, account: &AccountName) -> PathBuf {
        self.accounts().join(account.as_str()).join("key.json")
    }

    /// Directory with one directory for each account.
    pub fn accounts(&self) -> PathBuf {
        self.data.join("accounts")
    }

    /// The store of an account.
    pub fn store(&self, account: &AccountName) -> PathBuf {
        self.accounts().join(account.as_str()).join("store.db")
    }

    /// The lock that the one daemon of this user holds while it lives; the file says its process id.
    pub fn daemon_lock(&self) -> PathBuf {
        self.data.join("hermesd.lock")
    }

    /// Where a daemon that was started in the background writes its log.
    pub fn log_file(&self) -> PathBuf {
        self.state.join("hermesd.log")
    }

    /// The daemon's socket: in the runtime directory, else beside the data.
    pub fn socket(&self) -> Result<SocketPath, SocketPathError> {
        SocketPath::new(&self.run.join("hermesd.sock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relocated_hermes_leaves_nothing_outside() {
        let home = Path::new("/h");
        let paths = Paths::under(home).unwrap();
        let alice = "alice".parse().unwrap();
        assert_eq!(paths.store(&alice), Path::new("/h/data/accounts/alice/store.db"));
        assert_eq!(paths.key_file(&alice), Path::new("/h/config/keys/alice.key"));
        assert_eq!(paths.config_file(), Path::new("/h/config/config.toml"));
        assert_eq!(paths.log_file(), Path::new("/h/state/hermesd.log"));
        assert_eq!(paths.socket().unwrap().as_path(), Path::new("/h/run/hermesd.sock"));
        assert!(paths.daemon_lock().starts_with(home));
        assert_eq!(paths.system_config_file(), None);
    }

    #[test]
    fn a_relative_home_is_refused() {
        assert_eq!(Paths::under(Path::new("h")), Err(PathsError::RelativeHome("h".into())));
    }

    #[test]
    fn a_home_too_deep_for_a_socket_says_so() {
        let paths = Paths::under(&Path::new("/").join("deep".repeat(40))).unwrap();
        assert!(matches!(paths.socket(), Err(SocketPathError::TooLong { .. })));
    }
}
