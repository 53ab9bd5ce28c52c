//! A disk of a few megabytes that can be filled.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Bytes written at a time, and at last singly.
const PIECES: [usize; 3] = [64 * 1024, 4 * 1024, 1];

/// A file system in memory, mounted until this is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB at `path`, which is made. It takes a right that not every machine gives its tests.
    pub fn mount(path: PathBuf, mebibytes: u32) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        let options = std::ffi::CString::new(format!("size={mebibytes}m,mode=0700"))?;
        mount("hermes-test", &path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes all room but about so many bytes.
    pub fn fill(&self, left: usize) {
        let mut ballast = File::create(self.ballast()).expect("the disk takes a file");
        let reserve = self.0.join("reserve");
        fs::write(&reserve, vec![0; left]).expect("there is so much room");
        for piece in PIECES {
            while ballast.write_all(&vec![0; piece]).is_ok() {}
        }
        fs::remove_file(reserve).expect("it is there");
    }

    /// Gives the room back.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Programs that were just killed may still have files open there.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}
