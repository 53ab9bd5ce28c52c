//! Which files the daemon can touch: its own, and for reading what every program needs of the system.
//!
//! Landlock counts for this process and for every program that it starts. Connecting to sockets it leaves alone, so that
//! the session bus, a keyring and the service manager are reached as before.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use hermes_api::{Measure, MeasureState};
use hermes_config::{Config, Paths, SocketPath};

use super::measure;

const NAME: &str = "files";

/// Confines this process, if the kernel can and nothing that is configured needs more.
pub(super) fn confine(paths: &Paths, socket: &SocketPath, config: &Config) -> Measure {
    if !config.daemon.sandbox {
        return measure(NAME, MeasureState::Off, "turned off by daemon.sandbox");
    }
    if !config.keys.passphrase_command.is_empty() {
        return measure(
            NAME,
            MeasureState::Off,
            "keys.passphrase_command is set, and has to reach files of its own",
        );
    }
    let mut own: Vec<&Path> = paths.directories().into();
    own.push(socket.directory());
    for directory in &own {
        // A rule is about a directory that is there. Why one cannot be made, whoever needs it will say.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    }
    confine_to(&own)
}

#[cfg(not(target_os = "linux"))]
fn confine_to(_: &[&Path]) -> Measure {
    measure(NAME, MeasureState::Unavailable, "this system has no Landlock")
}

#[cfg(target_os = "linux")]
fn confine_to(own: &[&Path]) -> Measure {
    use landlock::RulesetStatus;
    match landlock(own) {
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
const SYSTEM: [&str; 14] = [
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
];

/// Devices that are written to.
#[cfg(target_os = "linux")]
const DEVICES: [&str; 2] = ["/dev/null", "/dev/tty"];

#[cfg(target_os = "linux")]
fn landlock(own: &[&Path]) -> Result<landlock::RulesetStatus, landlock::RulesetError> {
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
        path_beneath_rules,
    };
    // The newest set of rights that this was tested with; older kernels enforce what they know of it.
    let abi = ABI::V5;
    let everything = AccessFs::from_all(abi);
    let reading = AccessFs::from_read(abi);
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, reading))?
        .add_rules(path_beneath_rules(credentials, reading))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(abi)))?
        .add_rules(path_beneath_rules(own, everything))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs, io::ErrorKind, thread};

    use super::*;

    /// In a thread of its own, which takes the restriction with it when it ends.
    #[test]
    fn what_is_not_the_daemons_cannot_be_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (home, other) = (dir.path().join("home"), dir.path().join("other"));
        let paths = Paths::under(&home).unwrap();
        for path in paths.directories().iter().chain([&other.as_path()]) {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(other.join("secret"), "x").unwrap();
        let confined = thread::spawn(move || {
            let measure = confine(&paths, &paths.socket().unwrap(), &Config::default());
            if measure.state == MeasureState::Unavailable {
                return eprintln!("skipped: {}", measure.detail);
            }
            let denied = |result: std::io::Result<_>| {
                assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
            };
            denied(fs::read(other.join("secret")).map(drop));
            denied(fs::write(other.join("new"), "x"));
            denied(fs::remove_file(other.join("secret")));
            fs::read("/etc/passwd").unwrap();
            for directory in paths.directories() {
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
