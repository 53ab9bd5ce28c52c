//! What keeps other processes of the same user, and crash reporters, from this process's memory.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Turns off core dumps and, on Linux, attaching a debugger and reading `/proc/PID/mem` by others than root.
pub(crate) fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "this process cannot be shielded from debuggers");
    }
}
