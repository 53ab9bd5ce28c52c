//! Where tests put what nobody needs afterwards.

use std::path::Path;

use tempfile::TempDir;

/// A directory in memory, where that is to be had.
pub fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory can be made")
}
