//! What the C library's allocator is told. It listens once, when a process begins, and to the environment alone.

use std::{env, os::unix::process::CommandExt, process::Command};

use hermes_config::unit::ALLOCATOR;

/// Begins this program anew, as the same process, where whoever started it has told the allocator nothing.
pub(crate) fn tell() {
    let untold = |(name, _): &(&str, _)| env::var_os(name).is_none();
    let untold: Vec<_> = ALLOCATOR.into_iter().filter(untold).collect();
    // The name is that of the program and not of a link in /proc, for those who list processes.
    let (false, Ok(program)) = (untold.is_empty(), env::current_exe()) else { return };
    let mut anew = Command::new(program);
    let mut arguments = env::args_os();
    if let Some(name) = arguments.next() {
        anew.arg0(name);
    }
    // Comes back only where it cannot be done, as after the file has gone: then there is more memory in use.
    let _failed = anew.args(arguments).envs(untold).exec();
}
