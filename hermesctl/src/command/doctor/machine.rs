//! The machine: socket, lock, disk, keys' files, service, desktop, and what protects the daemon's process.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hermes_api::{DaemonStatus, Diagnosis, MeasureState};
use hermes_config::Config;
use tokio::process::Command;

use super::{Check, Verdict};
use crate::{
    daemon::is_running,
    invocation::Basis,
    limits,
    service::{self, Installed, Manager},
};

pub(super) async fn checks(
    basis: &Basis,
    config: &Config,
    status: Option<&DaemonStatus>,
    diagnosis: Option<&Diagnosis>,
) -> Vec<Check> {
    let mut checks = vec![socket(basis.socket.directory())];
    checks.extend(lock(&basis.paths.daemon_lock(), status));
    checks.push(disk(&basis.paths.accounts()));
    checks.extend(key_files(&basis.paths.keys()));
    checks.extend(silent(status, diagnosis));
    checks.extend(hardening(diagnosis, config));
    checks.push(service(basis, diagnosis).await);
    checks.push(notifications(config.notifications.enabled).await);
    checks
}

/// Whoever can write there can stand in for the daemon.
fn socket(directory: &Path) -> Check {
    let name = directory.display();
    let fail = |text: String, fact: &str, advice: &str| {
        Check::private("socket", Verdict::Fail, text, fact).advise(advice)
    };
    let metadata = match fs::symlink_metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Check::plain("socket", Verdict::Ok, "its directory is made when the daemon starts");
        }
        Err(error) => {
            return fail(
                format!("cannot look at {name}: {error}"),
                "its directory cannot be looked at",
                "check its permissions",
            );
        }
    };
    let elsewhere = "choose another place with --socket or HERMES_HOME";
    if metadata.file_type().is_symlink() {
        return fail(format!("{name} is a symbolic link"), "its directory is a symbolic link", elsewhere);
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return fail(format!("{name} belongs to another user"), "its directory is another user's", elsewhere);
    }
    if metadata.mode() & 0o022 != 0 {
        let advice = format!("run: chmod 700 {name}");
        return fail(format!("others can write to {name}"), "others can write to its directory", &advice);
    }
    Check::plain("socket", Verdict::Ok, "its directory is yours alone")
}

/// A daemon that has the lock and does not answer keeps every other from starting.
fn lock(path: &Path, status: Option<&DaemonStatus>) -> Option<Check> {
    let holder = holder(path)?;
    match status {
        Some(status) if status.pid == holder => {
            Some(Check::plain("lock", Verdict::Ok, "the stores are this daemon's"))
        }
        _ if !is_running(holder) => {
            Some(Check::plain("lock", Verdict::Ok, "no other process has the stores"))
        }
        Some(_) => {
            let text = format!("process {holder} says that it has the stores, and another daemon answers");
            let check =
                Check::private("lock", Verdict::Warn, text, "another process says that it has the stores");
            Some(check.advise("check that --socket and HERMES_HOME belong together"))
        }
        None => {
            let text = format!("process {holder} has the stores and does not answer here");
            let check =
                Check::private("lock", Verdict::Fail, text, "a process has the stores and does not answer");
            Some(check.advise(format!("if it stays so: kill {holder}, then hermesctl daemon start")))
        }
    }
}

/// The process that has a lock. The system knows it where it lists locks; the file has the number of the last daemon, which
/// may be gone while something else has the file open.
fn holder(path: &Path) -> Option<u32> {
    let metadata = fs::metadata(path).ok()?;
    let written = || fs::read_to_string(path).ok()?.trim().parse().ok();
    let Ok(locks) = fs::read_to_string("/proc/locks") else { return written() };
    let inode = format!(":{}", metadata.ino());
    let held = locks.lines().find_map(|line| {
        // "1: FLOCK  ADVISORY  WRITE 708 fe:00:13548 0 EOF"
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1) == Some(&"FLOCK") && words.get(5)?.ends_with(&inode);
        is_it.then(|| words.get(4)?.parse().ok()).flatten()
    });
    held.or_else(written)
}

fn disk(accounts: &Path) -> Check {
    // What is not made yet will be made where its nearest ancestor lies.
    let place = accounts.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let name = place.display();
    let stat = match rustix::fs::statvfs(place) {
        Ok(stat) => stat,
        Err(error) => {
            let text = format!("cannot ask for the room at {name}: {error}");
            return Check::private("disk", Verdict::Warn, text, "the room cannot be asked for");
        }
    };
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        let check =
            Check::private("disk", Verdict::Fail, format!("{name} can only be read"), "it can only be read");
        return check.advise("mount it writable: nothing can be stored");
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // A file system that counts no files says 0 of 0.
    let no_files = stat.f_files > 0 && stat.f_favail == 0;
    let (verdict, advice) = match free {
        _ if no_files => (Verdict::Fail, "delete files: nothing can be stored"),
        0 => (Verdict::Fail, "make room: nothing can be stored"),
        free if free < limits::DISK_FULL => (Verdict::Fail, "make room: nothing can be stored soon"),
        free if free < limits::DISK_LOW => (Verdict::Warn, "make room before the store needs it"),
        _ => (Verdict::Ok, ""),
    };
    let fact = match no_files {
        true => "no more files can be made".to_owned(),
        false if free == 0 => "the disk is full".to_owned(),
        false => format!("{} free", size(free)),
    };
    Check::private("disk", verdict, format!("{fact} at {name}"), fact.clone()).advise(advice)
}

fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes / MIB {
        mib if mib >= 10 * 1024 => format!("{} GiB", mib / 1024),
        0 => format!("{} KiB", bytes / 1024),
        mib => format!("{mib} MiB"),
    }
}

/// Whatever others can read protects nothing. The daemon refuses such a file when it starts.
fn key_files(directory: &Path) -> Option<Check> {
    let entries = fs::read_dir(directory).ok()?;
    let user = rustix::process::geteuid().as_raw();
    let exposed: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "key"))
        .filter(|path| fs::metadata(path).is_ok_and(|file| file.mode() & 0o077 != 0 || file.uid() != user))
        .collect();
    Some(match exposed.first() {
        None => Check::plain("key files", Verdict::Ok, "nobody else can read them"),
        Some(path) => {
            let text = format!("others can read {}", path.display());
            let check = Check::private("key files", Verdict::Fail, text, "others can read one");
            check.advise(format!("run: chmod 600 {}; whoever read it can read the store", path.display()))
        }
    })
}

/// What the daemon says of its own protection; one line when all of it is in force.
fn hardening(diagnosis: Option<&Diagnosis>, config: &Config) -> Vec<Check> {
    let Some(diagnosis) = diagnosis else { return Vec::new() };
    let lacking: Vec<Check> = diagnosis
        .measures
        .iter()
        .filter(|measure| measure.state != MeasureState::On)
        .map(|measure| {
            Check::plain("hardening", Verdict::Warn, format!("{}: {}", measure.name, measure.detail))
                .advise(in_the_way(&measure.name, config))
        })
        .collect();
    match lacking.is_empty() {
        false => lacking,
        true => {
            let all: Vec<&str> = diagnosis.measures.iter().map(|measure| measure.detail.as_str()).collect();
            vec![Check::plain("hardening", Verdict::Ok, all.join("; "))]
        }
    }
}

/// What a user has settled that a measure gives way to, and how to take it back.
fn in_the_way(measure: &str, config: &Config) -> &'static str {
    match measure {
        "files" if !config.daemon.sandbox => {
            "to have it: hermesctl config unset daemon.sandbox, then hermesctl daemon restart"
        }
        "files" if !config.keys.passphrase_command.is_empty() => {
            "if no account needs it: hermesctl config unset keys.passphrase_command, then hermesctl daemon restart"
        }
        _ => "",
    }
}

/// A daemon that runs and does not say how is of another version.
fn silent(status: Option<&DaemonStatus>, diagnosis: Option<&Diagnosis>) -> Option<Check> {
    let silent = status.is_some() && diagnosis.is_none();
    silent.then(|| {
        let text = "the daemon does not say what protects it: it may be of another version";
        Check::plain("hardening", Verdict::Warn, text).advise("hermesctl daemon restart")
    })
}

async fn service(basis: &Basis, diagnosis: Option<&Diagnosis>) -> Check {
    let installed = service::installed(&basis.socket);
    let Ok(manager) = Manager::find().await else {
        let text = "no systemd user manager answers; commands start hermesd in the background";
        return Check::plain("service", Verdict::Ok, text);
    };
    let unit = match installed {
        Installed::No => {
            let check = Check::plain(
                "service",
                Verdict::Ok,
                "not installed; commands start hermesd in the background",
            );
            return check.advise("to have systemd keep it running: hermesctl daemon install");
        }
        Installed::Elsewhere(_) => {
            return Check::plain("service", Verdict::Ok, "the installed one is of a Hermes in another place");
        }
        Installed::Ours | Installed::Theirs => manager.state().await,
    };
    let Ok(unit) = unit else {
        return Check::plain("service", Verdict::Warn, "systemd does not say how it fares");
    };
    if unit.active == "failed" {
        let check = Check::plain("service", Verdict::Fail, "hermesd.service failed");
        return check.advise("hermesctl daemon logs says why; then: hermesctl daemon restart");
    }
    if diagnosis.is_some_and(|diagnosis| !diagnosis.supervised) {
        let check = Check::plain(
            "service",
            Verdict::Warn,
            "installed, and the daemon that runs is not the service's",
        );
        return check.advise("hermesctl daemon stop, then hermesctl daemon start");
    }
    match service::lingers().await {
        Some(false) => {
            let check = Check::plain("service", Verdict::Warn, "installed; it ends when you log out");
            check.advise("to keep it: loginctl enable-linger")
        }
        _ => Check::plain(
            "service",
            Verdict::Ok,
            format!("hermesd.service is {}, {}", unit.active, unit.enabled),
        ),
    }
}

/// A server that nobody needs is no fault: most machines have no desktop.
async fn notifications(enabled: bool) -> Check {
    const NAME: &str = "notifications";
    if !enabled {
        return Check::plain(NAME, Verdict::Ok, "turned off by notifications.enabled");
    }
    let bus = env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty())
        || env::var_os("XDG_RUNTIME_DIR").is_some_and(|run| Path::new(&run).join("bus").exists());
    if !bus {
        return Check::plain(NAME, Verdict::Ok, "no desktop session, so none are shown");
    }
    let asked = ["--user", "--no-pager", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus"];
    let question = ["org.freedesktop.DBus", "NameHasOwner", "s", "org.freedesktop.Notifications"];
    let answer = Command::new("busctl").args(asked).args(question).output().await;
    match answer {
        Ok(answer) if answer.status.success() => match String::from_utf8_lossy(&answer.stdout).trim() {
            "b true" => Check::plain(NAME, Verdict::Ok, "a notification server runs"),
            // A machine without a screen has a session bus too, and nobody who would look.
            _ if !["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some()) => {
                Check::plain(NAME, Verdict::Ok, "no notification server runs here, so none are shown")
            }
            _ => {
                let check = Check::plain(NAME, Verdict::Warn, "no notification server runs in this session");
                check.advise("start your desktop's, or: hermesctl config set notifications.enabled false")
            }
        },
        _ => {
            Check::plain(NAME, Verdict::Ok, "there is a session bus; whether a server listens cannot be told")
        }
    }
}
