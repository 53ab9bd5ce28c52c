//! The configuration as the running daemon follows it: read at the start, and again when it is told to.

use hermes_api::{ConfigInForce, ConfigOrigin, ErrorCode, Problem, SettingInForce, V1};
use hermes_config::{Config, ConfigError, KEYS, Key, Layers, LogLevel, Origin, Paths, TakesEffect};
use hermes_engine::{Audience, Privacy, ReadReceipts};
use tokio::sync::watch;

/// What the files, the environment and the flags decide.
pub(crate) struct Settings {
    paths: Paths,
    /// Stands above whatever is read later too.
    log_flag: Option<LogLevel>,
    /// What counted at the start. Keys that are not followed keep it.
    started: Layers,
    current: watch::Sender<Layers>,
    /// What others may learn; changes together with the rest.
    privacy: watch::Sender<Privacy>,
}

impl Settings {
    /// Reads everything for the first time.
    pub(crate) fn read(paths: Paths, log_flag: Option<LogLevel>) -> Result<Self, ConfigError> {
        let started = load(&paths, log_flag)?;
        let current = watch::Sender::new(started.clone());
        let privacy = watch::Sender::new(privacy(&started));
        Ok(Self { paths, log_flag, started, current, privacy })
    }

    /// Reads everything again. What cannot be used changes nothing.
    pub(crate) fn reload(&self) -> Result<(), ConfigError> {
        let layers = load(&self.paths, self.log_flag)?;
        self.privacy.send_replace(privacy(&layers));
        self.current.send_replace(layers);
        Ok(())
    }

    /// What counts now. Of keys that count from the next start on, only the start's values are to be used.
    pub(crate) fn config(&self) -> Config {
        self.current.borrow().config().clone()
    }

    /// What counted at the start, for keys that are not followed.
    pub(crate) fn at_start(&self) -> &Config {
        self.started.config()
    }

    /// The configuration, and its changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Layers> {
        self.current.subscribe()
    }

    /// What others may learn of the accounts. Whoever holds this follows it.
    pub(crate) fn privacy(&self) -> watch::Receiver<Privacy> {
        self.privacy.subscribe()
    }

    /// What the daemon works with, and what says so.
    pub(crate) fn in_force(&self) -> ConfigInForce {
        let current = self.current.borrow();
        let mut settings = Vec::with_capacity(KEYS.len());
        for ((key, _, started), (_, _, now)) in self.started.settings().zip(current.settings()) {
            settings.push(match key.takes_effect {
                TakesEffect::Restart => setting(key, self.started.config(), started),
                TakesEffect::Reload | TakesEffect::Command => setting(key, current.config(), now),
            });
        }
        ConfigInForce { v: V1, settings }
    }
}

fn load(paths: &Paths, log_flag: Option<LogLevel>) -> Result<Layers, ConfigError> {
    let mut layers = Layers::load(paths)?;
    if let Some((level, key)) = log_flag.zip(Key::find("daemon.log")) {
        // A level is what the key takes.
        let _ = layers.apply_flag("--log", key, level.as_str().into());
    }
    Ok(layers)
}

fn privacy(layers: &Layers) -> Privacy {
    let settings = &layers.config().privacy;
    Privacy {
        presence: match settings.presence {
            hermes_config::Audience::Contacts => Audience::Contacts,
            hermes_config::Audience::Nobody => Audience::Nobody,
        },
        read_receipts: if settings.read_receipts { ReadReceipts::Sent } else { ReadReceipts::Withheld },
    }
}

fn setting(key: &Key, config: &Config, origin: &Origin) -> SettingInForce {
    let (origin, source) = match origin {
        Origin::Default => (ConfigOrigin::Default, None),
        Origin::File(path) => (ConfigOrigin::File, Some(path.display().to_string())),
        Origin::Variable(name) => (ConfigOrigin::Variable, Some((*name).to_owned())),
        Origin::Flag(flag) => (ConfigOrigin::Flag, Some((*flag).to_owned())),
    };
    SettingInForce { key: key.name.to_owned(), value: key.read(config).unwrap_or_default(), origin, source }
}

/// A configuration that cannot be used, as the API and the program's end tell it.
pub(crate) fn problem(error: &ConfigError) -> Problem {
    let text = error.to_string();
    let (message, hint) = text.split_once("; ").unwrap_or((&text, ""));
    Problem::new(ErrorCode::BadConfig, message, hint)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_counts_when_it_is_read_again_and_a_wrong_one_never() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let settings = Settings::read(paths.clone(), None).unwrap();
        let log = || settings.in_force().settings.into_iter().find(|one| one.key == "daemon.log").unwrap();
        fs::create_dir_all(paths.config_file().parent().unwrap()).unwrap();
        fs::write(paths.config_file(), "[daemon]\nlog = \"debug\"\n").unwrap();
        assert_eq!((log().value, log().origin), ("info".into(), ConfigOrigin::Default));
        settings.reload().unwrap();
        assert_eq!((log().value, log().origin), ("debug".into(), ConfigOrigin::File));
        assert_eq!(settings.config().daemon.log, LogLevel::Debug);
        fs::write(paths.config_file(), "[daemon]\nlog = \"loud\"\n").unwrap();
        assert!(problem(&settings.reload().unwrap_err()).message.contains("line 2"));
        assert_eq!(log().value, "debug");
    }

    #[test]
    fn a_flag_stands_above_what_is_read_later() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let settings = Settings::read(paths.clone(), Some(LogLevel::Trace)).unwrap();
        fs::create_dir_all(paths.config_file().parent().unwrap()).unwrap();
        fs::write(paths.config_file(), "[daemon]\nlog = \"debug\"\n").unwrap();
        settings.reload().unwrap();
        let log = settings.in_force().settings.into_iter().find(|one| one.key == "daemon.log").unwrap();
        assert_eq!((log.value, log.source.as_deref()), ("trace".into(), Some("--log")));
    }
}
