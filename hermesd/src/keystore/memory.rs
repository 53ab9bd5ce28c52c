//! The keys of stores in memory, and those that open them: each on pages of its own, which the system does not swap out, and wiped when it is dropped.
//!
//! On pages of its own because locks do not add up: whoever unlocked a page would unlock it for every other key there. What
//! a computation leaves on the stack while it uses a key is in no such page; threads that used one end with their account.

use region::LockGuard;
use zeroize::Zeroize;

use super::KEY_BYTES;

/// As large as a page: 16 KiB on Apple silicon. A few Linux systems have 64 KiB, on which two keys may share one, and the
/// end of one unlocks the other; so much for each key would be more than most systems let a program lock.
#[cfg_attr(target_arch = "x86_64", repr(C, align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C, align(16384)))]
struct Page([u8; KEY_BYTES]);

/// A key that stays in this place. To move it moves a pointer.
pub(crate) struct LockedKey {
    /// First, so that the page is unlocked while it is still ours. `None` where the system refuses, as it does past the
    /// limit of locked memory (`ulimit -l`): the key serves all the same, and `hermesctl doctor` says so.
    lock: Option<LockGuard>,
    page: Box<Page>,
}

impl LockedKey {
    /// A place for a key, which is all zeros.
    pub(crate) fn zeroed() -> Self {
        let page = Box::new(Page([0; KEY_BYTES]));
        let lock = region::lock(&raw const *page, size_of::<Page>()).ok();
        Self { lock, page }
    }

    /// A copy of these bytes.
    pub(crate) fn of(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Self::zeroed();
        key.page.0.copy_from_slice(bytes);
        key
    }

    /// Whether it stays in RAM.
    pub(crate) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.page.0
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8; KEY_BYTES] {
        &mut self.page.0
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Kilobytes of this process that are locked, where the system tells.
    fn locked() -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    #[test]
    fn each_key_is_locked_by_itself() {
        let keys = [LockedKey::of(&[1; KEY_BYTES]), LockedKey::of(&[2; KEY_BYTES])];
        if !keys.iter().all(LockedKey::is_locked) {
            println!("SKIPPED: this system locks no memory for us (ulimit -l)");
            return;
        }
        let [first, second] = keys;
        drop(first);
        assert_eq!(second.expose(), &[2; KEY_BYTES]);
        // Other tests lock keys of their own meanwhile, none of them less than this one.
        assert!(locked().is_none_or(|kib| kib as usize * 1024 >= size_of::<Page>()));
    }
}
