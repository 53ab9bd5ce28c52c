//! Configuration files as people write them: the user's, and a relay's.

use std::{cell::LazyCell, fs};

use hermes_config::{EXAMPLE, Layers, Paths};
use tempfile::TempDir;

use super::seeds::Seed;

thread_local! {
    static PLACE: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a directory can be made"));
}

/// A file is refused or says something; and what it says is the same when it is written down again.
pub fn config(bytes: &[u8]) {
    PLACE.with(|place| {
        let relay = place.path().join("relay.toml");
        fs::write(&relay, bytes).expect("it can be written");
        if let Ok(config) = hermes_relay::config::Config::read(&relay) {
            let _policy = config.policy();
        }
        let paths = Paths::under(place.path()).expect("an absolute path");
        let file = paths.config_file();
        fs::create_dir_all(file.parent().expect("a file has a directory")).expect("it can be made");
        fs::write(&file, bytes).expect("it can be written");
        let Ok(layers) = Layers::of_files(&paths) else { return };
        let settings =
            layers.settings().filter_map(|(key, value, _)| Some(format!("{} = {}\n", key.name, value?)));
        let written: String = settings.collect();
        fs::write(&file, &written).expect("it can be written");
        let again = Layers::of_files(&paths).unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(again.config(), layers.config(), "{written}");
    });
}

/// The file that is shipped with all of it in force, and some small ones.
pub fn seeds() -> Vec<Seed> {
    let in_force: String =
        EXAMPLE.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    [
        ("example", EXAMPLE.to_owned()),
        ("in-force", in_force),
        ("user", "default_account = \"alice\"\n[daemon]\nlog = \"debug\"\nautostart = false\n".to_owned()),
        ("command", "[keys]\npassphrase_command = [\"pass\", \"{account}\"]\n".to_owned()),
        ("relay", "listen = \"[::]:4433\"\n[limits]\nmailboxes = 9\ncontact_percent = 100\n".to_owned()),
        ("newer", "[daemon]\nnothing = 1\n".to_owned()),
    ]
    .map(|(name, text)| ("config", name, text.into_bytes()))
    .into()
}
