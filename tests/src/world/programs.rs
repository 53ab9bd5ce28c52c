//! The real programs, built once per test run with the profile of the tests.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Where the programs lie.
#[derive(Debug)]
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Builds the programs, once for all tests of this process.
    pub fn get() -> &'static Self {
        static PROGRAMS: OnceLock<Programs> = OnceLock::new();
        PROGRAMS.get_or_init(Self::build)
    }

    /// The relay.
    pub fn relay(&self) -> PathBuf {
        self.directory.join("hermes-relay")
    }

    /// The daemon.
    pub fn daemon(&self) -> PathBuf {
        self.directory.join("hermesd")
    }

    /// The command line.
    pub fn ctl(&self) -> PathBuf {
        self.directory.join("hermesctl")
    }

    fn build() -> Self {
        // A test runs as <target>/<profile directory>/deps/<name>.
        let test = env::current_exe().expect("a test knows its own path");
        let directory = test.ancestors().nth(2).expect("a test lies two directories below the target");
        let target = directory.parent().expect("a profile lies below the target");
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(workspace()).args(["build", "--quiet", "--profile", profile]);
        cargo.arg("--target-dir").arg(target);
        // All packages and some test, so that dependencies have the features that they have in `cargo test --workspace`,
        // which has just built them: with fewer packages half of the tree would be built anew.
        cargo.args(["--workspace", "--bins", "--test", "project"]);
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "the programs do not build: {cargo:?}");
        Self { directory: directory.to_owned() }
    }
}

/// The directory of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the workspace")
}
