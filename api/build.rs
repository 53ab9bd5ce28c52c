//! Names this build of the API by its sources, so that two programs notice that they were not made together.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=src");
    let mut hash = FNV_OFFSET;
    add(
        &mut hash,
        Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("src").as_path(),
    )?;
    println!("cargo:rustc-env=HERMES_API_BUILD={hash:016x}");
    Ok(())
}

/// FNV-1a: nothing that lies is kept apart by it, only what differs.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn add(hash: &mut u64, directory: &Path) -> io::Result<()> {
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => add(hash, &path)?,
            false => {
                for byte in fs::read(&path)? {
                    *hash = (*hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
                }
            }
        }
    }
    Ok(())
}
