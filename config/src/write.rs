//! Changing the user's configuration file: one key at a time, or as a whole, and never to one that could not be used.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, Item, Table, TableLike, TomlError, Value};

use crate::{
    Paths,
    file::{self, ConfigError},
    keys::Key,
};

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// What it would hold cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system refuses.
    #[error("cannot write {path}: {source}; check the permissions of its directory")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Sets `key` in the user's file, which is made when there is none. All else in it stays as it is.
pub fn set(paths: &Paths, key: &Key, value: Value) -> Result<(), WriteError> {
    change(paths, |document| put(document.as_table_mut(), key.name, value))
}

/// Takes `key` out of the user's file.
pub fn unset(paths: &Paths, key: &Key) -> Result<(), WriteError> {
    change(paths, |document| remove(document.as_table_mut(), key.name))
}

/// Puts `text` in the place of the user's file.
pub fn replace(paths: &Paths, text: &str) -> Result<(), WriteError> {
    let place = Place::of(paths)?;
    file::parse(text, &place.path)?;
    place.write(text)
}

/// The user's file as it stands; nothing when there is none.
pub fn text(paths: &Paths) -> Result<Option<String>, ConfigError> {
    file::read(&paths.config_file())
}

/// Whether `text` could be the user's file.
pub fn check(paths: &Paths, text: &str) -> Result<(), ConfigError> {
    file::parse(text, &paths.config_file()).map(|_| ())
}

fn change(paths: &Paths, change: impl FnOnce(&mut DocumentMut)) -> Result<(), WriteError> {
    let place = Place::of(paths)?;
    let before = file::read(&place.path)?.unwrap_or_default();
    let mut document: DocumentMut = match before.parse() {
        Ok(document) => document,
        // The same words as for whoever reads it.
        Err(_unreadable @ TomlError { .. }) => {
            return file::parse(&before, &place.path).map(|_| ()).map_err(Into::into);
        }
    };
    change(&mut document);
    let after = document.to_string();
    // What else is wrong with it is for its owner to mend first.
    file::parse(&after, &place.path)?;
    if after == before {
        return Ok(());
    }
    place.write(&after)
}

fn put(table: &mut dyn TableLike, name: &str, mut value: Value) {
    let Some((section, rest)) = name.split_once('.') else {
        // The space and the comment around the old value stay.
        if let Some(old) = table.get(name).and_then(Item::as_value) {
            *value.decor_mut() = old.decor().clone();
        }
        match table.get_mut(name) {
            Some(place) => *place = Item::Value(value),
            None => drop(table.insert(name, Item::Value(value))),
        }
        return;
    };
    let inner = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
    if let Some(inner) = inner.as_table_like_mut() {
        put(inner, rest, value);
    }
}

fn remove(table: &mut dyn TableLike, name: &str) {
    match name.split_once('.') {
        None => drop(table.remove(name)),
        Some((section, rest)) => {
            if let Some(inner) = table.get_mut(section).and_then(Item::as_table_like_mut) {
                remove(inner, rest);
            }
        }
    }
}

/// The file that is written, and the lock that keeps two writers apart.
struct Place {
    path: PathBuf,
    directory: PathBuf,
    /// Held until the change is made, and let go of with the descriptor.
    _lock: File,
}

impl Place {
    fn of(paths: &Paths) -> Result<Self, WriteError> {
        let path = paths.config_file();
        let failed = |source| WriteError::Io { path: path.clone(), source };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        // Behind a link lies the file that its owner keeps elsewhere: that one is changed, and the link stays.
        let real = match fs::canonicalize(&path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.clone(),
            Err(error) => return Err(failed(error)),
        };
        let directory = real.parent().unwrap_or(Path::new("/")).to_owned();
        let lock = File::open(&directory).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self { path: real, directory, _lock: lock })
    }

    /// Written beside and renamed into place, so that whoever reads it finds the old one or the new one.
    fn write(&self, text: &str) -> Result<(), WriteError> {
        let draft = self.path.with_extension("toml.new");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            if let Ok(metadata) = fs::metadata(&self.path) {
                file.set_permissions(metadata.permissions())?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&draft);
            WriteError::Io { path: self.path.clone(), source }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::{Config, KEYS, file::EXAMPLE};

    struct Home {
        _dir: tempfile::TempDir,
        paths: Paths,
    }

    impl Home {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let paths = Paths::under(dir.path()).unwrap();
            Self { _dir: dir, paths }
        }

        fn with(text: &str) -> Self {
            let home = Self::new();
            fs::create_dir(home.paths.config_file().parent().unwrap()).unwrap();
            fs::write(home.paths.config_file(), text).unwrap();
            home
        }

        fn set(&self, key: &str, value: &str) -> Result<(), WriteError> {
            let key = Key::find(key).unwrap();
            set(&self.paths, key, key.parse(value).unwrap())
        }

        fn text(&self) -> String {
            fs::read_to_string(self.paths.config_file()).unwrap()
        }
    }

    #[test]
    fn comments_and_order_stay() {
        let home =
            Home::with("# mine\n\n[daemon] # here\n  autostart = true   # not on battery\n\n# the end\n");
        home.set("daemon.autostart", "false").unwrap();
        home.set("daemon.log", "debug").unwrap();
        home.set("default_account", "alice").unwrap();
        let text = home.text();
        assert!(text.contains("[daemon] # here\n  autostart = false   # not on battery\n"), "{text}");
        assert!(text.starts_with("default_account = \"alice\"\n") && text.contains("# mine\n"), "{text}");
        assert!(text.contains("log = \"debug\"\n") && text.trim_end().ends_with("# the end"), "{text}");
        unset(&home.paths, Key::find("daemon.log").unwrap()).unwrap();
        unset(&home.paths, Key::find("default_account").unwrap()).unwrap();
        let before = "# mine\n\n[daemon] # here\n  autostart = false   # not on battery\n\n# the end\n";
        assert_eq!(home.text(), before);
    }

    #[test]
    fn every_key_can_be_set_to_its_default_in_no_file_and_in_the_example() {
        for home in [Home::new(), Home::with(EXAMPLE)] {
            for key in KEYS {
                let Some(value) = key.value(&Config::default()) else { continue };
                set(&home.paths, key, value).unwrap();
            }
            assert_eq!(Config::load(&home.paths).unwrap(), Config::default());
        }
    }

    #[test]
    fn a_file_that_is_wrong_elsewhere_is_left_alone() {
        for (text, key) in [
            ("[daemon]\nlgo = \"info\"\n", "default_account"),
            ("[daemon\n", "daemon.log"),
            ("daemon = 3\n", "daemon.log"),
        ] {
            let home = Home::with(text);
            let value = if key == "daemon.log" { "info" } else { "alice" };
            assert!(matches!(home.set(key, value), Err(WriteError::Config(_))), "{text}");
            assert_eq!(home.text(), text);
        }
        // What is wrong is what is being set.
        let home = Home::with("[daemon]\nlog = \"loud\" # why\n");
        home.set("daemon.log", "info").unwrap();
        assert_eq!(home.text(), "[daemon]\nlog = \"info\" # why\n");
    }

    #[test]
    fn a_link_stays_a_link_and_the_mode_stays() {
        let home = Home::with("");
        let kept = home.paths.config_file().with_file_name("kept.toml");
        fs::rename(home.paths.config_file(), &kept).unwrap();
        fs::set_permissions(&kept, Permissions::from_mode(0o640)).unwrap();
        symlink(&kept, home.paths.config_file()).unwrap();
        home.set("daemon.log", "warn").unwrap();
        assert!(fs::symlink_metadata(home.paths.config_file()).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&kept).unwrap(), "[daemon]\nlog = \"warn\"\n");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(kept.parent().unwrap()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let home = Home::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20).for_each(|_| home.set("daemon.log", "warn").unwrap()));
            scope.spawn(|| (0..20).for_each(|_| home.set("default_account", "alice").unwrap()));
            for _ in 0..20 {
                Config::load(&home.paths).unwrap();
            }
        });
        let text = home.text();
        assert!(
            text.contains("default_account = \"alice\"\n") && text.contains("log = \"warn\"\n"),
            "{text}"
        );
    }

    #[test]
    fn what_could_not_be_used_replaces_nothing() {
        let home = Home::with("# old\n");
        assert!(replace(&home.paths, "[daemon]\nlog = 3\n").is_err());
        assert_eq!(home.text(), "# old\n");
        replace(&home.paths, EXAMPLE).unwrap();
        assert_eq!(home.text(), EXAMPLE);
    }
}
