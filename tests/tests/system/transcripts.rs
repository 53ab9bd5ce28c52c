//! What the command line prints, word by word: each file of `tests/transcripts` is a session of people at one relay.
//!
//! Alice and bob are contacts, carol knows nobody. What differs from run to run stands as `[..]` or by a name such as
//! `[ALICE]`. `TRYCMD=overwrite cargo test -p hermes-tests --test system transcripts` writes down what is printed; it has to
//! be read, and what is random in it replaced, before it is kept. `HERMES_TRANSCRIPT=groups` plays one file alone.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use hermes_tests::world::{Account, World, programs::Programs, wait::until};
use trycmd::TestCases;

#[test]
fn every_transcript_is_what_is_printed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let only = env::var("HERMES_TRANSCRIPT").ok();
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("the directory is there")
        .map(|file| file.expect("it can be listed").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .filter(|file| {
            only.as_ref().is_none_or(|only| file.file_stem().is_some_and(|stem| stem == only.as_str()))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no such transcript");
    files.iter().for_each(|file| play(file));
}

fn play(file: &Path) {
    let world = World::new();
    let home = world.home("home");
    home.start();
    let address = world.relay.address().to_string();
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Account::create(&home, name, &address));
    alice.pair(&bob);
    until("nothing of the pairing is on its way", || {
        [&alice, &bob, &carol].iter().all(|account| account.status().is_some_and(|status| status.outbox == 0))
    });

    let copied = Copied::new(file, home.path());
    let cases = TestCases::new();
    let (endpoint, _pin) =
        address.trim_start_matches("hermes://").split_once('#').expect("an address has a pin");
    for (name, value) in [
        ("[ADDRESS]", address.clone()),
        ("[RELAY]", endpoint.to_owned()),
        ("[ALICE]", fingerprint(&alice)),
        ("[BOB]", fingerprint(&bob)),
        ("[CAROL]", fingerprint(&carol)),
        ("[HOME]", home.path().display().to_string()),
    ] {
        cases.insert_var(name, value).expect("a name in brackets");
    }
    cases
        .register_bin("hermesctl", Programs::get().ctl())
        .env("HERMES_HOME", home.path().display().to_string())
        .env("HERMES_NO_AUTOSTART", "1")
        // Nothing of the machine that this runs on: its service manager, its desktop, its editor.
        .env("HOME", home.path().display().to_string())
        .env("XDG_RUNTIME_DIR", home.path().join("no-runtime").display().to_string())
        .env("DBUS_SESSION_BUS_ADDRESS", "")
        .env("EDITOR", "false")
        .env("VISUAL", "")
        // Help is folded to the terminal; here there is none, whoever runs this.
        .env("COLUMNS", "80")
        .case(&copied.0);
    cases.run();
}

/// A transcript that is played in a directory of its own, where its commands may write files.
struct Copied(PathBuf, PathBuf);

impl Copied {
    fn new(file: &Path, home: &Path) -> Self {
        let copy = home.join(file.file_name().expect("it is a file"));
        fs::copy(file, &copy).expect("it can be read");
        let directory = copy.with_extension("in");
        fs::create_dir(&directory).expect("nobody else makes it");
        fs::write(directory.join("notes.txt"), "no backup\n").expect("there is room");
        Self(copy, file.to_owned())
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if env::var_os("TRYCMD").is_some_and(|what| what == "overwrite") {
            fs::copy(&self.0, &self.1).expect("what was printed is written down");
        }
    }
}

fn fingerprint(account: &Account) -> String {
    account.status().expect("the daemon runs").fingerprint
}
