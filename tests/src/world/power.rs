//! A disk whose power can be cut: what was not synced is really gone.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::wait::until;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH` (fs/ext4/ext4.h): from one moment to the next nothing reaches the
/// device any more, not even what the journal has in memory. Said in Perl, which is wherever Debian is, because a call of
/// the kernel that no crate wraps takes `unsafe`.
const CUT: &str =
    "open(my $d, '<', $ARGV[0]) or die; my $how = pack('L', 2); ioctl($d, 0x8004587d, $how) or die $!";

/// An ext4 on a file, mounted until this is dropped.
#[derive(Debug)]
pub struct PowerDisk {
    image: PathBuf,
    path: PathBuf,
}

impl PowerDisk {
    /// Makes one of so many MiB and mounts it at `path`. It takes rights and programs that not every machine gives its
    /// tests.
    pub fn mount(path: PathBuf, mebibytes: u64) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        let image = path.with_extension("ext4");
        File::create(&image)?.set_len(mebibytes * 1024 * 1024)?;
        succeeded(Command::new("mkfs.ext4").arg("-qF").arg(&image).output()?)?;
        let disk = Self { image, path };
        disk.share()?;
        disk.attach()?;
        // As what is secret wants its directory.
        fs::set_permissions(&disk.path, Permissions::from_mode(0o700))?;
        Ok(disk)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts the power. Whoever has files open there can only fail from here on.
    pub fn cut(&self) -> io::Result<()> {
        succeeded(Command::new("perl").args(["-e", CUT]).arg(&self.path).output()?)
    }

    /// From here on nothing can be written there, as when the system has seen the disk fail and saves what can be read
    /// (`errors=remount-ro` in ext4(5)).
    pub fn make_read_only(&self) -> io::Result<()> {
        succeeded(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.path).output()?)
    }

    /// Power is back: what is on the device is read again. Nobody has files open there.
    pub fn restore(&self) {
        // A process that was killed a moment ago may not have let go yet.
        until("the disk is unmounted", || self.detach(&[]).is_ok());
        // Who else mounts a disk at this moment may be given the same loop device, and one of the two is refused.
        until("the disk is mounted, for what the journal says makes a whole file system", || {
            self.attach().is_ok()
        });
    }

    /// Has what is mounted here, and taken away again, be so in other mount namespaces as well (mount_namespaces(7)). Programs in
    /// network namespaces of other tests have such, and a disk that one of them still holds is not mounted anew: it goes
    /// on as the one whose power was cut.
    fn share(&self) -> io::Result<()> {
        let mount = |option: &str, paths: &[&Path]| {
            succeeded(Command::new("mount").arg(option).args(paths).output()?)
        };
        mount("--bind", &[&self.path, &self.path])?;
        mount("--make-shared", &[&self.path])
    }

    fn attach(&self) -> io::Result<()> {
        let mut mount = Command::new("mount");
        succeeded(mount.args(["-o", "loop,nosuid,nodev"]).arg(&self.image).arg(&self.path).output()?)
    }

    fn detach(&self, options: &[&str]) -> io::Result<()> {
        succeeded(Command::new("umount").args(options).arg(&self.path).output()?)
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        // The disk, and what it was mounted on. Programs that were just killed may still have files open there.
        let _ = self.detach(&["--lazy"]);
        let _ = self.detach(&["--lazy"]);
    }
}

fn succeeded(output: Output) -> io::Result<()> {
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
