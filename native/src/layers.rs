//! Image layers mounted on the host, once each, for all containers that use them.
//!
//! One mount per blob shares one page cache among all containers. `STATE_ROOT/@layers/KEY/`, a name that no container
//! has, holds `fs` (the mount point),
//! `users/` (one empty file per container) and `lock`; KEY is the blob's device and inode number, which cannot be
//! reused while the mount holds the inode. Whoever removes the last user unmounts. All changes happen under `lock`.
//!
//! Invariant: a mount without users is only ever the trace of a killed process, and [`Layers::sweep`] removes it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, StatxAttributes, StatxFlags, flock, statx};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};
use stockade_sandbox::{ContainerId, Error, Result};

use crate::loop_device::LoopDevice;

/// The layer mounts below one state directory.
#[derive(Debug)]
pub(crate) struct Layers {
    root: PathBuf,
}

/// One layer's folder, locked.
struct Layer {
    dir: PathBuf,
    _lock: File,
}

impl Layers {
    /// The layers of a state directory; nothing is touched yet.
    pub(crate) fn new(state_root: &Path) -> Self {
        Self { root: state_root.join("@layers") }
    }

    /// Makes `id` a user of every blob, mounts those that are not mounted, and returns the mounts' paths in order.
    pub(crate) fn acquire(&self, id: &ContainerId, blobs: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mounts = blobs.iter().map(|blob| self.acquire_one(id, blob)).collect::<Result<_>>();
        if mounts.is_err() {
            self.release(id)?;
        }
        mounts
    }

    /// Ends `id`'s use of whatever it uses, and unmounts what nobody uses any more.
    pub(crate) fn release(&self, id: &ContainerId) -> Result<()> {
        for key in self.keys()? {
            if self.root.join(&key).join("users").join(id.as_str()).exists() {
                self.drop_users(&key, |user| user == id.as_str())?;
            }
        }
        Ok(())
    }

    /// Drops the users that are not alive, left by killed processes, with their mounts.
    pub(crate) fn sweep(&self, is_alive: impl Fn(&str) -> bool) -> Result<()> {
        for key in self.keys()? {
            self.drop_users(&key, |user| !is_alive(user))?;
        }
        Ok(())
    }

    fn acquire_one(&self, id: &ContainerId, blob: &Path) -> Result<PathBuf> {
        let file = File::open(blob).map_err(|e| Error::os(format!("open layer {}", blob.display()), e))?;
        let data = file.metadata().map_err(|e| Error::os(format!("stat layer {}", blob.display()), e))?;
        let layer = self.lock(&format!("{:x}-{:x}", data.dev(), data.ino()), Absent::Make)?;
        let Some(layer) = layer else { return Err(Error::Other("a layer's folder vanished".into())) };
        layer.add_user(id, &file).map_err(|e| Error::os(format!("mount layer {}", blob.display()), e))?;
        Ok(layer.mount_point())
    }

    fn drop_users(&self, key: &str, is_dropped: impl Fn(&str) -> bool) -> Result<()> {
        let Some(layer) = self.lock(key, Absent::Leave)? else { return Ok(()) };
        layer.drop_users(is_dropped).map_err(|e| Error::os(format!("unmount layer {}", layer.dir.display()), e))
    }

    fn keys(&self) -> Result<Vec<String>> {
        names(&self.root).map_err(|e| Error::os(format!("read {}", self.root.display()), e))
    }

    fn lock(&self, key: &str, absent: Absent) -> Result<Option<Layer>> {
        let dir = self.root.join(key);
        Layer::lock(&dir, absent).map_err(|e| Error::os(format!("lock layer {}", dir.display()), e))
    }
}

/// What to do about a layer folder that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Make,
    Leave,
}

impl Layer {
    fn lock(dir: &Path, absent: Absent) -> io::Result<Option<Self>> {
        loop {
            match Self::try_lock(dir, absent) {
                Ok(Some(layer)) => return Ok(Some(layer)),
                Err(error) if error.kind() == io::ErrorKind::NotFound && absent == Absent::Leave => return Ok(None),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // The folder was removed under us by its last user.
                _ => {}
            }
        }
    }

    /// `None` when the lock file was removed while we waited for it.
    fn try_lock(dir: &Path, absent: Absent) -> io::Result<Option<Self>> {
        let make = absent == Absent::Make;
        if make {
            make_private_dirs(dir)?;
        }
        let path = dir.join("lock");
        let lock = OpenOptions::new().read(true).write(true).create(make).truncate(false).mode(0o600).open(&path)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let still_there =
            fs::metadata(&path).is_ok_and(|now| lock.metadata().is_ok_and(|held| held.ino() == now.ino()));
        Ok(still_there.then(|| Self { dir: dir.to_owned(), _lock: lock }))
    }

    fn mount_point(&self) -> PathBuf {
        self.dir.join("fs")
    }

    fn users(&self) -> PathBuf {
        self.dir.join("users")
    }

    fn add_user(&self, id: &ContainerId, blob: &File) -> io::Result<()> {
        for dir in [self.users(), self.mount_point()] {
            fs::create_dir(dir).or_else(exists_is_fine)?;
        }
        File::create(self.users().join(id.as_str()))?;
        if is_mount_point(&self.mount_point())? {
            return Ok(());
        }
        mount_erofs(blob, &self.mount_point())
    }

    fn drop_users(&self, is_dropped: impl Fn(&str) -> bool) -> io::Result<()> {
        let (dropped, kept): (Vec<_>, Vec<_>) = names(&self.users())?.into_iter().partition(|user| is_dropped(user));
        for user in dropped {
            fs::remove_file(self.users().join(user)).or_else(absent_is_fine)?;
        }
        if kept.is_empty() { self.remove() } else { Ok(()) }
    }

    fn remove(&self) -> io::Result<()> {
        let mount_point = self.mount_point();
        if mount_point.exists() && is_mount_point(&mount_point)? {
            unmount(&mount_point, UnmountFlags::DETACH)?;
        }
        for dir in [mount_point, self.users()] {
            fs::remove_dir(dir).or_else(absent_is_fine)?;
        }
        // The lock goes last: until then nobody else works in this folder.
        fs::remove_file(self.dir.join("lock"))?;
        fs::remove_dir(&self.dir).or(Ok(()))
    }
}

/// Each level by itself: the recursive form of the standard library fails when the last level is removed by another
/// process between its mkdir and its look at what is there.
fn make_private_dirs(dir: &Path) -> io::Result<()> {
    let make = |dir: &Path, recursive| fs::DirBuilder::new().recursive(recursive).mode(0o700).create(dir);
    if let Some(parent) = dir.parent() {
        make(parent, true)?;
    }
    make(dir, false).or_else(exists_is_fine)
}

fn exists_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn is_mount_point(path: &Path) -> io::Result<bool> {
    let data = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
    Ok(data.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Mounts a blob read-only. Set-user-id programs and devices in it work for containers through their overlay, whose own
/// flags count, and for nobody through this mount.
fn mount_erofs(blob: &File, at: &Path) -> io::Result<()> {
    let from_file = erofs_from(&format!("/proc/self/fd/{}", blob.as_raw_fd()), at);
    match from_file {
        // Before Linux 6.12 EROFS takes block devices only.
        Err(error) if error.raw_os_error() == Some(libc::ENOTBLK) => {
            let device = LoopDevice::attach(blob)?;
            erofs_from(device.path(), at)
        }
        other => other,
    }
}

fn erofs_from(source: &str, at: &Path) -> io::Result<()> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, "ro")?;
    fsconfig_set_string(&context, "source", source)?;
    fsconfig_create(&context)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(&mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A state directory and two blobs that hold one file each.
    fn fixture() -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let blobs = ["one", "two"].map(|name| {
            let (tree, blob) = (dir.path().join(name), dir.path().join(format!("{name}.erofs")));
            fs::create_dir(&tree).and_then(|()| fs::write(tree.join("name"), name)).expect("tree");
            let made = Command::new("mkfs.erofs").args([&blob, &tree]).output().expect("mkfs.erofs runs");
            assert!(made.status.success(), "{made:?}");
            blob
        });
        (dir, blobs.to_vec())
    }

    fn id(name: &str) -> ContainerId {
        name.parse().expect("id")
    }

    fn mounts_below(dir: &Path) -> usize {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        table.lines().filter(|line| line.contains(&*dir.to_string_lossy())).count()
    }

    #[test]
    fn a_layer_is_mounted_once_and_until_its_last_user_leaves() {
        let (dir, blobs) = fixture();
        let layers = Layers::new(dir.path());
        let first = layers.acquire(&id("a"), &blobs).expect("acquire");
        assert_eq!(first, layers.acquire(&id("b"), &blobs).expect("acquire again"));
        let content: Vec<_> = first.iter().map(|at| fs::read_to_string(at.join("name")).expect("read")).collect();
        assert_eq!(content, ["one", "two"]);
        assert_eq!(mounts_below(dir.path()), 2);
        layers.release(&id("a")).expect("release");
        assert_eq!(mounts_below(dir.path()), 2);
        layers.release(&id("b")).expect("release");
        assert_eq!(mounts_below(dir.path()), 0);
        assert_eq!(names(&dir.path().join("@layers")).expect("layers"), Vec::<String>::new());
    }

    #[test]
    fn a_missing_blob_leaves_nothing_mounted() {
        let (dir, mut blobs) = fixture();
        blobs.push(dir.path().join("absent.erofs"));
        let error = Layers::new(dir.path()).acquire(&id("a"), &blobs).expect_err("no such blob");
        assert!(error.to_string().contains("absent.erofs"), "{error}");
        assert_eq!(mounts_below(dir.path()), 0);
    }

    #[test]
    fn sweep_drops_the_dead_and_keeps_the_living() {
        let (dir, blobs) = fixture();
        let layers = Layers::new(dir.path());
        layers.acquire(&id("dead"), &blobs).expect("acquire");
        layers.acquire(&id("alive"), &blobs[..1]).expect("acquire");
        layers.sweep(|user| user == "alive").expect("sweep");
        assert_eq!(mounts_below(dir.path()), 1);
        layers.sweep(|_| false).expect("sweep");
        assert_eq!(mounts_below(dir.path()), 0);
    }

    #[test]
    fn many_users_come_and_go_at_once() {
        let (dir, blobs) = fixture();
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let (layers, blobs) = (Layers::new(dir.path()), &blobs);
                scope.spawn(move || {
                    for turn in 0..20 {
                        let id = id(&format!("{worker}-{turn}"));
                        let mounts = layers.acquire(&id, blobs).expect("acquire");
                        assert!(mounts[1].join("name").exists());
                        layers.release(&id).expect("release");
                    }
                });
            }
        });
        assert_eq!(mounts_below(dir.path()), 0);
    }

    #[test]
    fn a_loop_device_serves_where_files_cannot_be_mounted() {
        let (dir, blobs) = fixture();
        let at = dir.path().join("at");
        fs::create_dir(&at).expect("mount point");
        let device = LoopDevice::attach(&File::open(&blobs[0]).expect("blob")).expect("loop device");
        erofs_from(device.path(), &at).expect("mount");
        drop(device);
        assert_eq!(fs::read_to_string(at.join("name")).expect("read"), "one");
        unmount(&at, UnmountFlags::empty()).expect("unmount");
    }
}
