//! A configuration file: what it sets, and in which line something is wrong.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use toml_edit::{Document, Item, Table, TableLike, TomlError, Value};

use crate::{
    keys::{Config, KEYS, Key},
    limits::CONFIG_FILE_BYTES,
};

/// The file that is shipped: every key with its default and what it is for.
pub const EXAMPLE: &str = include_str!("../hermes.example.toml");

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
    #[error("{path}, line {line}: {reason}; correct it: hermesctl config edit")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A key that does not exist.
    #[error("{path}, line {line} sets {key}, which does not exist; did you mean {nearest}?")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key as written, with its table.
        key: String,
        /// The existing key that looks most like it.
        nearest: &'static str,
    },
    /// A variable holds what its key cannot be.
    #[error("the variable {variable} is wrong: {reason}; correct it or unset it")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// What one file sets, in the order of [`KEYS`].
pub(crate) type Layer = Vec<(&'static Key, Value)>;

/// The text of a file; nothing when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
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

/// What `text`, the content of `path`, sets. Every key in it exists and every value is one that its key can have.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Layer, ConfigError> {
    let source = Source { text, path };
    let document = Document::parse(text).map_err(|error: TomlError| {
        source.invalid(error.span().unwrap_or_default(), error.message().to_owned())
    })?;
    source.known_keys(document.as_table())?;
    let mut layer = Layer::new();
    for key in KEYS {
        if let Some(item) = item(document.as_table(), key.name) {
            layer.push((key, source.value(key, item)?));
        }
    }
    Ok(layer)
}

/// The item under `daemon.log` and the like.
fn item<'a>(table: &'a dyn TableLike, name: &str) -> Option<&'a Item> {
    match name.split_once('.') {
        Some((section, rest)) => item(table.get(section)?.as_table_like()?, rest),
        None => table.get(name),
    }
}

/// A file that is being read.
struct Source<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Source<'_> {
    fn value(&self, key: &Key, item: &Item) -> Result<Value, ConfigError> {
        let invalid = |reason| {
            let reason = format!("{} cannot be {}: {reason}", key.name, item.to_string().trim());
            self.invalid(item.span().unwrap_or_default(), reason)
        };
        let value = item.as_value().ok_or_else(|| invalid("it is a value, not a table".to_owned()))?;
        key.assign(&mut Config::default(), value.clone()).map_err(invalid)?;
        Ok(value.clone())
    }

    /// Checked before any value, so that the error can name the nearest key.
    fn known_keys(&self, table: &Table) -> Result<(), ConfigError> {
        for (name, value) in table.iter() {
            let within = format!("{name}.");
            let section = KEYS.iter().any(|key| key.name.starts_with(&within));
            match value.as_table_like() {
                _ if Key::find(name).is_some() => {}
                Some(inner) if section => {
                    for (inner_name, _) in inner.iter() {
                        let full = format!("{within}{inner_name}");
                        if Key::find(&full).is_none() {
                            return Err(self.unknown(inner, inner_name, full));
                        }
                    }
                }
                None if section => {
                    let reason = format!("{name} is a table: write [{name}]");
                    return Err(self.invalid(value.span().unwrap_or_default(), reason));
                }
                _ => return Err(self.unknown(table, name, name.to_owned())),
            }
        }
        Ok(())
    }

    fn unknown(&self, table: &dyn TableLike, name: &str, full: String) -> ConfigError {
        let span = table.key(name).and_then(|key| key.span()).unwrap_or_default();
        let nearest = Key::nearest(&full);
        ConfigError::UnknownKey { path: self.path.to_owned(), line: self.line(&span), key: full, nearest }
    }

    fn invalid(&self, span: Range<usize>, reason: String) -> ConfigError {
        // What TOML's parser expected instead stands in lines of its own.
        let reason = reason.trim_end().replace('\n', ", ");
        ConfigError::Invalid { path: self.path.to_owned(), line: self.line(&span), reason }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Result<Layer, ConfigError> {
        parse(text, Path::new("config.toml"))
    }

    fn config(text: &str) -> Config {
        let mut config = Config::default();
        for (key, value) in layer(text).unwrap() {
            key.assign(&mut config, value).unwrap();
        }
        config
    }

    #[test]
    fn the_example_is_the_defaults() {
        assert_eq!(config(EXAMPLE), Config::default());
    }

    /// Keys with a default stand in it as they are, the others behind a `# `.
    #[test]
    fn the_example_names_every_key_with_its_default_or_commented() {
        let set = layer(EXAMPLE).unwrap();
        for key in KEYS {
            let plain = set.iter().any(|(known, _)| known.name == key.name);
            let last = key.name.rsplit('.').next().unwrap();
            let commented = EXAMPLE.lines().any(|line| line.starts_with(&format!("# {last} = ")));
            let has_default = key.value(&Config::default()).is_some();
            assert!(if has_default { plain } else { commented }, "{} is missing from the example", key.name);
            assert!(EXAMPLE.contains(key.variable), "{} is missing from the example", key.variable);
        }
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        for (text, key, nearest, at) in [
            ("defaultaccount = \"a\"", "defaultaccount", "default_account", 1),
            ("autostart = true", "autostart", "daemon.autostart", 1),
            ("[daemon]\nautostrat = true", "daemon.autostrat", "daemon.autostart", 2),
            ("# which\n\n[deamon]\nlog = \"info\"", "deamon", "daemon.log", 3),
            ("daemon.lgo = \"info\"", "daemon.lgo", "daemon.log", 1),
        ] {
            match layer(text) {
                Err(ConfigError::UnknownKey { key: found, nearest: offered, line, .. }) => {
                    assert_eq!((found.as_str(), offered, line), (key, nearest, at));
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn wrong_values_name_the_line() {
        for (text, at) in [
            ("[daemon]\nlog = \"loud\"", 2),
            ("[daemon]\nautostart = 1", 2),
            ("daemon = 3", 1),
            ("\ndefault_account = \"..\"", 2),
            ("[default_account]", 1),
            ("\n\n[", 3),
        ] {
            match layer(text) {
                Err(ConfigError::Invalid { line, .. }) => assert_eq!(line, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
