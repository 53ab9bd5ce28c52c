//! What keeps others from this process's memory, and this process from files that are none of its business.
//!
//! Each measure is taken if the system lets it be, and says how that went: `hermesctl doctor` shows it.

mod files;

use hermes_api::{Measure, MeasureState};
use hermes_config::{Config, Paths, SocketPath};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, setrlimit, umask},
};

use crate::{keystore::LockedKey, limits::LOCKED_KEYS};

/// Takes every measure. Called once, before there is a second thread: some count for the threads to come only.
pub(crate) fn harden(paths: &Paths, socket: &SocketPath, config: &Config) -> Vec<Measure> {
    // Nothing that this process makes is for others, whatever the mode that it is made with.
    umask(Mode::from_raw_mode(0o077));
    let measures = vec![core_dumps(), debuggers(), swap(), files::confine(paths, socket, config)];
    for measure in &measures {
        match measure.state {
            MeasureState::On => {}
            _ => tracing::warn!(
                measure = measure.name,
                detail = measure.detail,
                "a protection is not in force"
            ),
        }
    }
    measures
}

fn measure(name: &str, state: MeasureState, detail: impl Into<String>) -> Measure {
    Measure { name: name.to_owned(), state, detail: detail.into() }
}

/// Crash reporters write memory to disk.
fn core_dumps() -> Measure {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    match setrlimit(Resource::Core, none) {
        Ok(()) => measure("core-dumps", MeasureState::On, "no core dumps"),
        Err(error) => {
            measure("core-dumps", MeasureState::Off, format!("core dumps cannot be turned off: {error}"))
        }
    }
}

/// Attaching a debugger and reading `/proc/PID/mem`, for all but root.
#[cfg(target_os = "linux")]
fn debuggers() -> Measure {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    match set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        Ok(()) => measure("debuggers", MeasureState::On, "no debugger but root's reads its memory"),
        Err(error) => {
            measure("debuggers", MeasureState::Off, format!("debuggers cannot be kept out: {error}"))
        }
    }
}

/// Whether the system keeps the keys of stores in RAM. It is asked for each when it is read, and may have a limit that is
/// reached after some: so many are tried as there can be.
fn swap() -> Measure {
    let keys: Vec<_> = (0..LOCKED_KEYS).map(|_| LockedKey::zeroed()).collect();
    let locked = keys.iter().filter(|key| key.is_locked()).count();
    let (state, detail) = match locked {
        0 => (MeasureState::Off, "the system locks no memory, so store keys may be swapped out (ulimit -l)"),
        LOCKED_KEYS => (MeasureState::On, "store keys are not swapped out"),
        _ => (
            MeasureState::Partly,
            "the system locks little memory: with many accounts, store keys may be swapped out (ulimit -l)",
        ),
    };
    measure("swap", state, detail)
}

#[cfg(not(target_os = "linux"))]
fn debuggers() -> Measure {
    measure("debuggers", MeasureState::Unavailable, "this system has no such switch")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn memory_is_not_dumped_and_not_read_by_others() {
        for measure in [core_dumps(), debuggers()] {
            assert_eq!(measure.state, MeasureState::On, "{}", measure.detail);
        }
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
