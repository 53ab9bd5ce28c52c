//! What becomes of a store's file on a bad disk.

/// Bytes of a page of a store, SQLite's own choice.
pub const PAGE: usize = 4_096;

/// Puts two pages of a file in each other's place.
pub fn exchange_pages(file: &mut [u8], one: usize, other: usize) {
    let (first, second) = (one.min(other), one.max(other));
    if first < second {
        let (before, from_second) = file.split_at_mut(second * PAGE);
        before[first * PAGE..][..PAGE].swap_with_slice(&mut from_second[..PAGE]);
    }
}
