//! The memory of a process, as a thief with root's rights would have it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

use memchr::memmem;

/// Bytes that are read at a time.
const PIECE: usize = 1024 * 1024;

/// How often one of `needles` stands in what a process can write to; an error where the system does not let us look.
pub fn count(pid: u32, needles: &[&[u8]]) -> io::Result<usize> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
    let mut found = 0;
    for (from, to) in maps.lines().filter_map(writable) {
        let mut at = from;
        while at < to {
            // A needle may lie across two pieces; one that lies in the overlap is counted twice, and too often.
            let mut piece = vec![0; usize::try_from(to - at).unwrap_or(PIECE).min(PIECE + longest)];
            match memory.read_at(&mut piece, at) {
                Ok(length) => piece.truncate(length),
                // Gone since the list was made, or a guard.
                Err(_) => break,
            }
            found += needles.iter().map(|needle| memmem::find_iter(&piece, needle).count()).sum::<usize>();
            at += PIECE as u64;
        }
    }
    Ok(found)
}

/// Its resident memory in KiB (`VmRSS` of proc(5)); nothing when it is gone.
pub fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    memory.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The range of a line of `/proc/PID/maps` (proc(5)), if the process may write there.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    fields.next().filter(|rights| rights.starts_with("rw"))?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}
