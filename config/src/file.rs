//! The configuration file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value};

use crate::{AccountName, LogLevel, Paths, limits::CONFIG_FILE_BYTES};

/// What the configuration decides, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The account to use when none is named.
    pub default_account: Option<AccountName>,
    /// The daemon's settings.
    pub daemon: Daemon,
}

/// The settings of `[daemon]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// How much it logs.
    pub log: LogLevel,
    /// Whether the command line starts it when it is not running.
    pub autostart: bool,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {path}: {source}; make it readable or move it away")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{path} is larger than {CONFIG_FILE_BYTES} bytes, so it is no configuration; move it away")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML, or a value of the wrong kind.
    #[error("{path} is not a valid configuration: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong and in which line.
        reason: String,
    },
    /// A key that does not exist.
    #[error("{path} sets {key}, which does not exist; did you mean {nearest}?")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key as written, with its table.
        key: String,
        /// The existing key that looks most like it.
        nearest: &'static str,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self { default_account: None, daemon: Daemon { log: LogLevel::default(), autostart: true } }
    }
}

impl Config {
    /// Reads the system's file, then the user's, which stands above it. A file that is not there decides nothing.
    pub fn load(paths: &Paths) -> Result<Self, ConfigError> {
        let user = paths.config_file();
        let files = paths.system_config_file().into_iter().chain([user.as_path()]);
        let mut config = Self::default();
        for path in files {
            if let Some(text) = read(path)? {
                config.apply(parse(&text, path)?);
            }
        }
        Ok(config)
    }

    fn apply(&mut self, layer: Layer) {
        let daemon = layer.daemon.unwrap_or_default();
        self.default_account = layer.default_account.or(self.default_account.take());
        self.daemon.log = daemon.log.unwrap_or(self.daemon.log);
        self.daemon.autostart = daemon.autostart.unwrap_or(self.daemon.autostart);
    }
}

/// What one file sets.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    default_account: Option<AccountName>,
    daemon: Option<DaemonLayer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DaemonLayer {
    log: Option<LogLevel>,
    autostart: Option<bool>,
}

/// Every key a file may set. Checked before deserialising, so that the error can name the nearest one.
const KEYS: [&str; 3] = ["default_account", "daemon.log", "daemon.autostart"];

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    let read = file.take(CONFIG_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > CONFIG_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(text))
}

fn parse(text: &str, path: &Path) -> Result<Layer, ConfigError> {
    let invalid = |error: toml::de::Error| ConfigError::Invalid {
        path: path.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    };
    let table: Table = toml::from_str(text).map_err(invalid)?;
    if let Some(key) = unknown_key(&table) {
        let nearest = nearest(&key);
        return Err(ConfigError::UnknownKey { path: path.to_owned(), key, nearest });
    }
    toml::from_str(text).map_err(invalid)
}

/// The first key of a file that is in no list of ours, as `table.key`.
fn unknown_key(table: &Table) -> Option<String> {
    for (key, value) in table {
        let within = format!("{key}.");
        if KEYS.contains(&key.as_str()) {
            continue;
        }
        match value {
            Value::Table(inner) if KEYS.iter().any(|known| known.starts_with(&within)) => {
                let unknown = inner.keys().map(|inner| format!("{within}{inner}"));
                if let Some(unknown) = unknown.into_iter().find(|key| !KEYS.contains(&key.as_str())) {
                    return Some(unknown);
                }
            }
            // A table's name with a plain value under it: the wrong type, which deserialising reports with its line.
            _ if KEYS.iter().any(|known| known.starts_with(&within)) => {}
            _ => return Some(key.clone()),
        }
    }
    None
}

fn nearest(key: &str) -> &'static str {
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let likeness = |known: &'static str| {
        // A key in the wrong table is as likely a mistake as a misspelt one.
        strsim::jaro_winkler(key, known).max(strsim::jaro_winkler(key, last(known)))
    };
    KEYS.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(KEYS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../hermes.example.toml");

    fn layer(text: &str) -> Result<Layer, ConfigError> {
        parse(text, Path::new("config.toml"))
    }

    fn config(text: &str) -> Config {
        let mut config = Config::default();
        config.apply(layer(text).unwrap());
        config
    }

    #[test]
    fn the_example_is_the_defaults() {
        assert_eq!(config(EXAMPLE), Config::default());
    }

    #[test]
    fn the_example_names_every_key_with_its_default_or_commented() {
        let uncommented = EXAMPLE.replace("# default_account", "default_account");
        let table: Table = toml::from_str(&uncommented).unwrap();
        for key in KEYS {
            let value = key
                .split('.')
                .try_fold(&Value::Table(table.clone()), |value, part| value.get(part))
                .is_some();
            assert!(value, "{key} is missing from the example");
        }
        assert_eq!(config(&uncommented).default_account, Some("alice".parse().unwrap()));
    }

    #[test]
    fn the_user_stands_above_the_system() {
        let mut config = config("default_account = \"sys\"\n[daemon]\nlog = \"warn\"\nautostart = false");
        config.apply(layer("default_account = \"me\"\n[daemon]\nlog = \"debug\"").unwrap());
        assert_eq!(config.default_account, Some("me".parse().unwrap()));
        assert_eq!(config.daemon, Daemon { log: LogLevel::Debug, autostart: false });
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        for (text, key, nearest) in [
            ("defaultaccount = \"a\"", "defaultaccount", "default_account"),
            ("autostart = true", "autostart", "daemon.autostart"),
            ("[daemon]\nautostrat = true", "daemon.autostrat", "daemon.autostart"),
            ("[deamon]\nlog = \"info\"", "deamon", "daemon.log"),
        ] {
            match layer(text) {
                Err(ConfigError::UnknownKey { key: found, nearest: offered, .. }) => {
                    assert_eq!((found.as_str(), offered), (key, nearest));
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn wrong_values_name_the_line() {
        for text in [
            "[daemon]\nlog = \"loud\"",
            "[daemon]\nautostart = 1",
            "daemon = 3",
            "default_account = \"..\"",
            "[",
        ] {
            let error = layer(text).unwrap_err();
            assert!(matches!(error, ConfigError::Invalid { .. }), "{text}: {error}");
            assert!(error.to_string().contains("line "), "{error}");
        }
    }

    #[test]
    fn a_missing_file_decides_nothing() {
        let paths = Paths::under(Path::new("/nonexistent")).unwrap();
        assert_eq!(Config::load(&paths).unwrap(), Config::default());
    }
}
