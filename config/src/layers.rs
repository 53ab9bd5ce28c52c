//! The files, the variables and the flags, one above the other.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use toml_edit::Value;

use crate::{
    Paths,
    file::{self, ConfigError},
    keys::{Config, KEYS, Key},
};

/// Where a value comes from. Each stands above those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file: the one for all users, or the user's own.
    File(PathBuf),
    /// A variable of the environment.
    Variable(&'static str),
    /// A flag of the command line, as it is typed.
    Flag(&'static str),
}

/// The configuration, with where each value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    config: Config,
    /// As many as there are [`KEYS`].
    origins: Vec<Origin>,
}

impl Config {
    /// Reads the system's file, then the user's, then the environment, each above what came before it. A file that is
    /// not there decides nothing.
    pub fn load(paths: &Paths) -> Result<Self, ConfigError> {
        Layers::load(paths).map(|layers| layers.config)
    }
}

impl Layers {
    /// Reads what [`Config::load`] reads.
    pub fn load(paths: &Paths) -> Result<Self, ConfigError> {
        let mut layers = Self::of_files(paths)?;
        layers.apply_environment(|name| env::var_os(name))?;
        Ok(layers)
    }

    /// Reads the files alone: what counts where no variable and no flag says otherwise.
    pub fn of_files(paths: &Paths) -> Result<Self, ConfigError> {
        let mut layers = Self { config: Config::default(), origins: vec![Origin::Default; KEYS.len()] };
        let user = paths.config_file();
        for path in paths.system_config_file().into_iter().chain([user.as_path()]) {
            if let Some(text) = file::read(path)? {
                layers.apply_file(&text, path)?;
            }
        }
        Ok(layers)
    }

    fn apply_file(&mut self, text: &str, path: &Path) -> Result<(), ConfigError> {
        for (key, value) in file::parse(text, path)? {
            self.put(key, value, Origin::File(path.to_owned())).map_err(|reason| ConfigError::Invalid {
                path: path.to_owned(),
                line: 1,
                reason,
            })?;
        }
        Ok(())
    }

    fn apply_environment(&mut self, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), ConfigError> {
        for key in KEYS {
            let Some(text) = variable(key.variable).filter(|text| !text.is_empty()) else { continue };
            let wrong = |reason| ConfigError::Variable { variable: key.variable, reason };
            let text = text.to_str().ok_or_else(|| wrong("it is not text".to_owned()))?;
            let value = key.parse_variable(text).map_err(wrong)?;
            self.put(key, value, Origin::Variable(key.variable)).map_err(wrong)?;
        }
        Ok(())
    }

    /// Puts a flag's value above everything else; the error says what is wrong with it.
    pub fn apply_flag(&mut self, flag: &'static str, key: &'static Key, value: Value) -> Result<(), String> {
        self.put(key, value, Origin::Flag(flag))
    }

    fn put(&mut self, key: &'static Key, value: Value, origin: Origin) -> Result<(), String> {
        key.assign(&mut self.config, value)?;
        for (known, place) in KEYS.iter().zip(&mut self.origins) {
            if known.name == key.name {
                *place = origin.clone();
            }
        }
        Ok(())
    }

    /// What all of them together decide.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every key with its value, if it has one, and where that comes from.
    pub fn settings(&self) -> impl Iterator<Item = (&'static Key, Option<Value>, &Origin)> {
        KEYS.iter().zip(&self.origins).map(|(key, origin)| (key, key.value(&self.config), origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogLevel;

    fn empty() -> Layers {
        Layers::of_files(&Paths::under(Path::new("/nonexistent")).unwrap()).unwrap()
    }

    #[test]
    fn a_missing_file_decides_nothing() {
        assert_eq!(*empty().config(), Config::default());
        assert!(empty().settings().all(|(.., origin)| *origin == Origin::Default));
    }

    #[test]
    fn each_layer_stands_above_those_before_it() {
        let mut layers = empty();
        let origin = |layers: &Layers, name| {
            layers.settings().find(|(key, ..)| key.name == name).map(|(.., origin)| origin.clone()).unwrap()
        };
        let system = "default_account = \"sys\"\n[daemon]\nlog = \"warn\"\nautostart = false";
        layers.apply_file(system, Path::new("/etc/c")).unwrap();
        layers.apply_file("[daemon]\nlog = \"debug\"", Path::new("/home/c")).unwrap();
        assert_eq!(layers.config().daemon.log, LogLevel::Debug);
        assert_eq!(origin(&layers, "daemon.log"), Origin::File("/home/c".into()));
        assert_eq!(origin(&layers, "default_account"), Origin::File("/etc/c".into()));
        assert!(!layers.config().daemon.autostart);

        let variables = [("HERMES_LOG", "trace"), ("HERMES_NO_AUTOSTART", "0"), ("HERMES_ACCOUNT", "")];
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| OsString::from(text))
        };
        layers.apply_environment(variable).unwrap();
        assert_eq!(layers.config().daemon.log, LogLevel::Trace);
        assert!(layers.config().daemon.autostart);
        assert_eq!(origin(&layers, "daemon.log"), Origin::Variable("HERMES_LOG"));
        // An empty variable says nothing.
        assert_eq!(layers.config().default_account, Some("sys".parse().unwrap()));

        layers.apply_flag("--log", Key::find("daemon.log").unwrap(), Value::from("error")).unwrap();
        assert_eq!(layers.config().daemon.log, LogLevel::Error);
        assert_eq!(origin(&layers, "daemon.log"), Origin::Flag("--log"));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error =
            empty().apply_environment(|name| (name == "HERMES_LOG").then(|| "loud".into())).unwrap_err();
        assert!(matches!(error, ConfigError::Variable { variable: "HERMES_LOG", .. }), "{error}");
    }
}
