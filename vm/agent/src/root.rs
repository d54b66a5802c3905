//! A container's root and files in the guest: what has to be mounted before class native can, and taken away after it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open, syncfs};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use stockade_sandbox::protocol::{BoundFile, DiskPart, GuestRoot, PARTS_MAX};
use stockade_sandbox::{Error, Result, Rootfs, WritableLayer};

use crate::sys;
use crate::world::World;

/// Each container's own things: `upper` (a mount), `files`.
const PLACE: &str = "/run/containers";
/// Bytes of all files that come with one container.
const FILES_BYTES_MAX: usize = 4 << 20;
/// How long a disk may be busy with what has just been unmounted.
const BUSY_TRIES: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What is held for one container. It must be let go by [`Held::release`].
#[derive(Debug)]
pub(crate) struct Held {
    place: PathBuf,
    disks: Vec<Disk>,
    /// Whether what is written is to outlive the machine.
    keeps: bool,
}

/// A disk that it uses.
#[derive(Debug)]
struct Disk {
    path: PathBuf,
    /// Its partitions of this container, by number.
    parts: Vec<u8>,
    /// It leaves the machine with the container.
    leaves: bool,
}

impl Held {
    /// Makes the container's place, which must not be there.
    pub(crate) fn new(id: &str) -> Result<Self> {
        let place = Path::new(PLACE).join(id);
        let private = |dir: &Path, recursive| fs::DirBuilder::new().mode(0o711).recursive(recursive).create(dir);
        let made = private(Path::new(PLACE), true).and_then(|()| private(&place, false));
        made.map_err(|error| Error::os(format!("make {}", place.display()), error))?;
        Ok(Self { place, disks: Vec::new(), keeps: false })
    }

    /// Whether something of a container is held still that could not be let go.
    pub(crate) fn is_left(id: &str) -> bool {
        Path::new(PLACE).join(id).exists()
    }

    /// A directory in which relative paths of the spec may start; it is the container's own.
    pub(crate) fn bundle(&self) -> &Path {
        &self.place
    }

    /// Writes the files that came along; each one's path, in order.
    pub(crate) fn write_files(&self, files: &[BoundFile]) -> Result<Vec<PathBuf>> {
        if files.iter().map(|file| file.content.len()).sum::<usize>() > FILES_BYTES_MAX {
            return Err(Error::InvalidConfig("the files that come with a container are too large".to_owned()));
        }
        let dir = self.place.join("files");
        let write = |(number, file): (usize, &BoundFile)| -> io::Result<PathBuf> {
            let path = dir.join(number.to_string());
            let mut open = fs::OpenOptions::new();
            let mut target = open.write(true).create_new(true).mode(0o600).open(&path)?;
            io::Write::write_all(&mut target, &file.content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(file.permissions & 0o7777))?;
            Ok(path)
        };
        let made = fs::create_dir(&dir).and_then(|()| files.iter().enumerate().map(write).collect());
        made.map_err(|error| Error::os("write the container's files", error))
    }

    /// Makes what class native takes as the root; the path of a root that is a directory.
    pub(crate) fn open_root(&mut self, world: &World, root: &GuestRoot) -> Result<(Rootfs, Option<PathBuf>)> {
        root.check()?;
        if let Some(directory) = &root.directory {
            return Ok((Rootfs::Bundle, Some(World::shared(directory)?)));
        }
        let blobs = match root.parts.as_slice() {
            [] => root.blobs.iter().map(World::shared).collect::<Result<_>>()?,
            parts => self.take_disk(world, root, &root.disk)?.partition(parts)?,
        };
        let upper = self.place.join("upper");
        fs::create_dir(&upper).map_err(|error| Error::os("make the writable layer", error))?;
        let wanted = root.upper.clone().unwrap_or_default();
        let disk = if wanted.disk.is_empty() { None } else { Some(self.take_disk(world, root, &wanted.disk)?) };
        mount_upper(disk.map(|disk| disk.path.as_path()), &upper, wanted.size_bytes)?;
        self.keeps = !wanted.disk.is_empty() && !wanted.volatile;
        Ok((Rootfs::Layers { blobs, writable: WritableLayer { dir: upper, volatile: !self.keeps } }, None))
    }

    fn take_disk(&mut self, world: &World, root: &GuestRoot, serial: &str) -> Result<&mut Disk> {
        self.disks.push(Disk { path: world.disk(serial)?, parts: Vec::new(), leaves: root.leave });
        self.disks.last_mut().ok_or_else(|| Error::Other("no disk".to_owned()))
    }

    /// Brings what was written to the host, where that is to outlive the machine: a host ends it once it has heard of
    /// the container's end.
    pub(crate) fn keep(&self) -> Result<()> {
        if !self.keeps {
            return Ok(());
        }
        let upper = self.place.join("upper");
        let kept = open(&upper, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).and_then(syncfs);
        kept.map_err(|errno| Error::os("keep what was written", errno))
    }

    /// Lets everything go that a container whose processes have ended had.
    pub(crate) fn release(&mut self, world: &World) -> Result<()> {
        let upper = self.place.join("upper");
        if upper.exists() {
            // Absent when it was never mounted.
            let _ = unmount(&upper, UnmountFlags::DETACH);
        }
        std::mem::take(&mut self.disks).into_iter().try_for_each(|disk| disk.release(world))?;
        match fs::remove_dir_all(&self.place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::os(format!("remove {}", self.place.display()), error))
            }
            _ => Ok(()),
        }
    }
}

impl Disk {
    /// A partition for each layer; their devices.
    fn partition(&mut self, parts: &[DiskPart]) -> Result<Vec<PathBuf>> {
        let disk = open_disk(&self.path)?;
        let mut devices = Vec::new();
        for part in parts {
            let number = add_part(&disk, *part).map_err(|error| {
                Error::os(format!("make {} bytes at {} a partition", part.len_bytes, part.offset_bytes), error)
            })?;
            self.parts.push(number);
            devices.push(device(&self.path, number));
        }
        Ok(devices)
    }

    fn release(self, world: &World) -> Result<()> {
        let disk = open_disk(&self.path)?;
        self.parts.into_iter().try_for_each(|number| delete_part(&disk, number))?;
        drop(disk);
        if !self.leaves {
            return Ok(());
        }
        wait_until_unused(&self.path)?;
        world.release_disk(&self.path)
    }
}

/// A file system on it keeps others from having it alone (open(2), `O_EXCL`); one that was unmounted a moment ago, too.
fn wait_until_unused(disk: &Path) -> Result<()> {
    for _ in 0..BUSY_TRIES {
        match open(disk, OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::BUSY) => std::thread::sleep(BUSY_PAUSE),
            opened => return opened.map(drop).map_err(|errno| Error::os(format!("open {}", disk.display()), errno)),
        }
    }
    Err(Error::Other(format!("{} is still in use", disk.display())))
}

fn open_disk(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::os(format!("open {}", path.display()), errno))
}

/// Makes a partition with the lowest number that is free.
fn add_part(disk: &OwnedFd, part: DiskPart) -> io::Result<u8> {
    let bytes = |count: u64| i64::try_from(count).map_err(io::Error::other);
    let (start, length) = (bytes(part.offset_bytes)?, bytes(part.len_bytes)?);
    for number in 1..=u8::try_from(PARTS_MAX).unwrap_or(u8::MAX) {
        match sys::add_partition(disk, number, start, length) {
            // Taken, by this number or by this range.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            made => return made.map(|()| number),
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// What was unmounted a moment ago may still hold its device.
fn delete_part(disk: &OwnedFd, number: u8) -> Result<()> {
    for _ in 0..BUSY_TRIES {
        match sys::delete_partition(disk, number) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => std::thread::sleep(BUSY_PAUSE),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Ok(()),
            done => return done.map_err(|error| Error::os(format!("remove partition {number}"), error)),
        }
    }
    Err(Error::Other(format!("partition {number} is still in use")))
}

/// The kernel puts a `p` between a name that ends with a digit and the number.
fn device(disk: &Path, number: u8) -> PathBuf {
    let name = disk.as_os_str().to_string_lossy();
    let between = if name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    format!("{name}{between}{number}").into()
}

/// On a disk, or in memory of so many bytes.
fn mount_upper(disk: Option<&Path>, at: &Path, size_bytes: u64) -> Result<()> {
    if let Some(disk) = disk {
        // What is deleted is the host's again.
        return mount(disk, at, "ext4", MountFlags::empty(), Some(c"discard"))
            .map_err(|errno| Error::os("mount the writable layer's disk", errno));
    }
    let size = if size_bytes == 0 { "50%".to_owned() } else { size_bytes.to_string() };
    let options =
        std::ffi::CString::new(format!("mode=755,size={size}")).map_err(|error| Error::Other(error.to_string()))?;
    mount("upper", at, "tmpfs", MountFlags::empty(), Some(options.as_c_str()))
        .map_err(|errno| Error::os("mount the writable layer", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_have_the_kernels_names() {
        assert_eq!(device(Path::new("/dev/vda"), 1), Path::new("/dev/vda1"));
        assert_eq!(device(Path::new("/dev/loop7"), 12), Path::new("/dev/loop7p12"));
    }
}
