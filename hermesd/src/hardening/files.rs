//! Which files the daemon can touch: its own, and for reading what every program needs of the system.
//!
//! Landlock counts for this process and for every program that it starts. Connecting to sockets it leaves alone, so that
//! the session bus, a keyring and the service manager are reached as before.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use hermes_api::{Measure, MeasureState};
use hermes_config::{Config, Paths, SocketPath};

use super::measure;

const NAME: &str = "files";

/// Confines this process, if the kernel can and nothing that is configured needs more.
pub(super) fn confine(paths: &Paths, socket: &SocketPath, config: &Config) -> Measure {
    if !config.daemon.sandbox {
        return measure(
            NAME,
            MeasureState::Off,
            "not shut off from your other files: turned off by daemon.sandbox",
        );
    }
    if !config.keys.passphrase_command.is_empty() {
        return measure(
            NAME,
            MeasureState::Off,
            "not shut off from your other files, for keys.passphrase_command is set and may have to reach some",
        );
    }
    let mut own: Vec<PathBuf> = paths.written().into();
    own.push(socket.directory().to_owned());
    for directory in &own {
        // A rule is about a directory that is there. Why one cannot be made, whoever needs it will say.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    }
    // What the configuration says decides about this very restriction at the next start, so it is only read.
    let mut read: Vec<PathBuf> = paths.config_file().parent().map(Path::to_owned).into_iter().collect();
    read.extend(paths.system_config_file().and_then(target));
    read.extend(target(&paths.config_file()));
    read.extend(targets(&paths.keys()));
    own.extend(targets(&paths.accounts()));
    confine_to(&own, &read)
}

/// What a link leads to: a rule is about where a file really lies.
fn target(path: &Path) -> Option<PathBuf> {
    let linked = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_symlink());
    path.canonicalize().ok().filter(|_| linked)
}

/// What the links in a directory lead to.
fn targets(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| target(&entry.path())).collect()
}

#[cfg(not(target_os = "linux"))]
fn confine_to(_: &[PathBuf], _: &[PathBuf]) -> Measure {
    measure(NAME, MeasureState::Unavailable, "this system has no Landlock")
}

#[cfg(target_os = "linux")]
fn confine_to(own: &[PathBuf], read: &[PathBuf]) -> Measure {
    use landlock::RulesetStatus;
    match landlock(own, read) {
        Ok(RulesetStatus::FullyEnforced) => measure(
            NAME,
            MeasureState::On,
            "it writes only to its own directories and reads no others of yours",
        ),
        Ok(RulesetStatus::PartiallyEnforced) => {
            measure(NAME, MeasureState::Partly, "this kernel's Landlock does not know every restriction")
        }
        Ok(RulesetStatus::NotEnforced) => {
            measure(NAME, MeasureState::Unavailable, "this kernel has no Landlock")
        }
        Err(error) => measure(NAME, MeasureState::Off, format!("Landlock refuses: {error}")),
    }
}

/// What programs read of a system: libraries, resolver, time zones, certificates, and what they know of themselves.
#[cfg(target_os = "linux")]
const SYSTEM: [&str; 15] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/proc",
    "/sys",
    "/dev",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/var/lib/dbus",
    "/var/lib/ca-certificates",
];

/// Devices that are written to.
#[cfg(target_os = "linux")]
const DEVICES: [&str; 2] = ["/dev/null", "/dev/tty"];

#[cfg(target_os = "linux")]
fn landlock(own: &[PathBuf], read: &[PathBuf]) -> Result<landlock::RulesetStatus, landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
        path_beneath_rules,
    };
    // The newest set of rights that this was tested with; older kernels enforce what they know of it.
    let abi = ABI::V5;
    let everything = AccessFs::from_all(abi);
    let reading = AccessFs::from_read(abi);
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    // Where certificates of authorities are, if not with the system's.
    let authorities = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, reading))?
        .add_rules(path_beneath_rules(credentials, reading))?
        .add_rules(path_beneath_rules(authorities, reading))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(abi)))?
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(own, everything))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{io::ErrorKind, os::unix::fs::symlink, thread};

    use super::*;

    fn denied<T>(result: std::io::Result<T>) {
        assert_eq!(result.map(drop).map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
    }

    /// In a thread of its own, which takes the restriction with it when it ends.
    #[test]
    fn what_is_not_the_daemons_cannot_be_touched() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        let paths = Paths::under(&dir.path().join("home")).unwrap();
        fs::create_dir(&other).unwrap();
        for path in paths.written() {
            fs::create_dir_all(path).unwrap();
        }
        for name in ["secret", "config.toml", "linked.key"] {
            fs::write(other.join(name), "x").unwrap();
        }
        // Kept elsewhere by their owner.
        let (config, key) = (paths.config_file(), paths.keys().join("linked.key"));
        symlink(other.join("config.toml"), &config).unwrap();
        symlink(other.join("linked.key"), &key).unwrap();
        let confined = thread::spawn(move || {
            let measure = confine(&paths, &paths.socket().unwrap(), &Config::default());
            if measure.state == MeasureState::Unavailable {
                return eprintln!("skipped: {}", measure.detail);
            }
            denied(fs::read(other.join("secret")));
            denied(fs::write(other.join("new"), "x"));
            denied(fs::remove_file(other.join("secret")));
            fs::read("/etc/passwd").unwrap();
            fs::read(&config).unwrap();
            fs::read(&key).unwrap();
            // A restriction that could be configured away would last until the next start.
            denied(fs::write(&config, "[daemon]\nsandbox = false\n"));
            denied(fs::remove_file(&config));
            denied(fs::write(config.with_file_name("config.toml.new"), "x"));
            denied(fs::rename(paths.keys(), config.with_file_name("other")));
            for directory in paths.written() {
                fs::write(directory.join("draft"), "x").unwrap();
                fs::rename(directory.join("draft"), directory.join("own")).unwrap();
                fs::remove_file(directory.join("own")).unwrap();
            }
            // Names are still resolved, which reads the resolver's configuration.
            let _ = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap();
        });
        confined.join().unwrap();
    }
}
