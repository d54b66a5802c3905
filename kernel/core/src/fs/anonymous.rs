//! Files without a path: pipes, sockets, `anon_inode`s. They lie on a file system of the kernel's own that is never
//! mounted, so that each has an inode, a device and a name in /proc/PID/fd like any other.

use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::vfs::{Changes, FileKind, FileObject, Filesystem, Inode, Opening, Stat, StatFs, Timestamp};

/// `ANON_INODE_FS_MAGIC`
const MAGIC: u32 = 0x0904_1934;

/// The file system.
#[derive(Debug)]
pub struct AnonymousFs;

impl Filesystem for AnonymousFs {
    fn name(&self) -> &'static str {
        "anon_inodefs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(Anonymous::new(1, FileKind::Directory, 0o700, 0, 0, Timestamp::default()))
    }

    fn statfs(&self) -> Result<StatFs, Errno> {
        Ok(StatFs::of(MAGIC))
    }
}

/// A file without a path. It cannot be opened again.
#[derive(Debug)]
pub struct Anonymous {
    kind: FileKind,
    stat: Mutex<Stat>,
    number: u64,
}

impl Anonymous {
    /// Owned by somebody, made at a time.
    pub fn new(number: u64, kind: FileKind, permissions: u32, uid: u32, gid: u32, now: Timestamp) -> Self {
        let stat = Stat { uid, gid, atime: now, mtime: now, ctime: now, ..Stat::new(number, kind, permissions) };
        Self { kind, stat: Mutex::new(stat), number }
    }
}

impl Inode for Anonymous {
    fn number(&self) -> u64 {
        self.number
    }

    fn kind(&self) -> FileKind {
        self.kind
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(*self.stat.lock())
    }

    fn change(&self, changes: &Changes) -> Result<(), Errno> {
        let mut stat = self.stat.lock();
        let stat = &mut *stat;
        stat.mode = changes.permissions.map_or(stat.mode, |permissions| self.kind.mode() | permissions);
        stat.uid = changes.uid.unwrap_or(stat.uid);
        stat.gid = changes.gid.unwrap_or(stat.gid);
        stat.atime = changes.atime.unwrap_or(stat.atime);
        stat.mtime = changes.mtime.unwrap_or(stat.mtime);
        Ok(())
    }

    fn open(self: Arc<Self>, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        Err(Errno::ENXIO)
    }
}
