//! The daemon's one source of randomness: the operating system's, asked each time.
//!
//! No generator of our own stands between: its state would be copied with the memory of a suspended or cloned machine,
//! and two copies would then draw the same nonces.

use rand::{rand_core::UnwrapErr, rngs::SysRng};

/// Randomness from the kernel. It can only fail before the kernel has booted, and nothing could run then.
pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
