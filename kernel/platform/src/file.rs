//! Regular files of the host that change: those of a bundle's directory. Applications map them; the kernel reads and
//! writes them by offset and never maps them, since whoever shortens one would take the monitor with it (SIGBUS).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{
    AtFlags, FallocateFlags, SeekFrom, Statx, StatxFlags, StatxTimestamp, fallocate, fsync, ftruncate, seek, statx,
};
use rustix::io::{pread, pwrite};
use stockade_kernel::Errno;
use stockade_kernel::platform::{FileId, HostFile};
use stockade_kernel::vfs::{Allocation, Device, Direction, Stat, Timestamp};

/// All files that are open, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: BTreeMap<FileId, Weak<OpenFile>>,
}

/// One file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    id: FileId,
    file: OwnedFd,
    files: Arc<Files>,
}

impl Files {
    pub(crate) fn add(self: &Arc<Self>, file: OwnedFd) -> Arc<dyn HostFile> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.last += 1;
        let id = FileId(table.last);
        let open = Arc::new(OpenFile { id, file, files: self.clone() });
        table.open.insert(id, Arc::downgrade(&open));
        open
    }

    pub(crate) fn get(&self, id: FileId) -> Option<Arc<OpenFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open.get(&id)?.upgrade()
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.files.0.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.id);
    }
}

impl HostFile for OpenFile {
    fn id(&self) -> FileId {
        self.id
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        pread(&self.file, buffer, offset).map_err(errno)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        pwrite(&self.file, bytes, offset).map_err(errno)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        statx(&self.file, c"", AtFlags::EMPTY_PATH, wanted).map(|found| shown(&found)).map_err(errno)
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        ftruncate(&self.file, len).map_err(errno)
    }

    fn allocate(&self, what: Allocation, offset: u64, len: u64) -> Result<(), Errno> {
        let flags = match what {
            Allocation::Extend => FallocateFlags::empty(),
            Allocation::Reserve => FallocateFlags::KEEP_SIZE,
            Allocation::Punch => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            Allocation::Zero => FallocateFlags::ZERO_RANGE,
            Allocation::ZeroWithin => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
        };
        fallocate(&self.file, flags, offset, len).map_err(errno)
    }

    fn find(&self, from: u64, what: Direction) -> Result<u64, Errno> {
        let whence = match what {
            Direction::Data => SeekFrom::Data(from),
            Direction::Hole => SeekFrom::Hole(from),
        };
        seek(&self.file, whence).map_err(errno)
    }

    fn sync(&self) -> Result<(), Errno> {
        fsync(&self.file).map_err(errno)
    }
}

fn shown(found: &Statx) -> Stat {
    Stat {
        ino: found.stx_ino,
        mode: found.stx_mode.into(),
        nlink: found.stx_nlink,
        uid: found.stx_uid,
        gid: found.stx_gid,
        rdev: Device::new(found.stx_rdev_major, found.stx_rdev_minor),
        size: found.stx_size,
        blocks: found.stx_blocks,
        atime: time(&found.stx_atime),
        mtime: time(&found.stx_mtime),
        ctime: time(&found.stx_ctime),
        btime: (found.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time(&found.stx_btime)),
    }
}

fn time(time: &StatxTimestamp) -> Timestamp {
    Timestamp { secs: time.tv_sec, nanos: time.tv_nsec }
}

/// The host's reason, as the application hears it.
fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error()).unwrap_or(Errno::EIO)
}
