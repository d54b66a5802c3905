//! The file behind a block device, or the files.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use super::SECTOR;
use super::engine::Operation;
use crate::config::CacheType;

/// Whether the guest may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may not.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// Why a file cannot be a disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be opened.
    #[error("cannot open the disk {path}: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its size cannot be had.
    #[error("cannot tell the size of the disk {path}: {source}")]
    Size {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What the guest reads as a disk's serial number (`VIRTIO_BLK_ID_BYTES`).
pub(super) type Serial = [u8; 20];

/// The serial number of a disk without a name.
const NAMELESS: &str = "stockade";

/// Files that make one disk are as long as whole ones of these, so that what lies in each is aligned for its reader.
const PART_UNIT: u64 = 4096;

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    /// One after the other; never none.
    parts: Vec<Part>,
    sectors: u64,
    access: Access,
    cache: CacheType,
    serial: Serial,
}

#[derive(Debug)]
struct Part {
    file: Arc<File>,
    /// Where on the disk it begins.
    start: u64,
    len: u64,
}

/// A stretch of a disk that lies in one file.
pub(super) struct Piece<'a> {
    pub file: &'a Arc<File>,
    pub offset: u64,
    pub len: u32,
}

/// What becomes of the space of a range that reads as zeroes from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// It is the host's again.
    Freed,
    /// It stays the file's.
    Kept,
}

impl Disk {
    /// Opens the file or device at `path`. A last part that is no whole sector stays unseen.
    pub fn open(path: &Path, access: Access, cache: CacheType) -> Result<Self, OpenError> {
        let file = OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path);
        let file = file.map_err(|source| OpenError::Open { path: path.into(), source })?;
        Self::new(file, access, cache).map_err(|source| OpenError::Size { path: path.into(), source })
    }

    /// A disk on an open file.
    pub fn new(mut file: File, access: Access, cache: CacheType) -> io::Result<Self> {
        let sectors = file.seek(SeekFrom::End(0))? / SECTOR;
        let parts = vec![Part { file: file.into(), start: 0, len: sectors * SECTOR }];
        Ok(Disk { parts, sectors, access, cache, serial: serial(NAMELESS) })
    }

    /// Open files, one after the other, as one disk that the guest may only read. Each has a whole number of pages.
    pub fn concatenated(files: Vec<File>) -> io::Result<Self> {
        let mut parts = Vec::with_capacity(files.len());
        let mut start = 0_u64;
        for mut file in files {
            let len = file.seek(SeekFrom::End(0))?;
            let end = start.checked_add(len).filter(|_| len.is_multiple_of(PART_UNIT));
            parts.push(Part { file: file.into(), start, len });
            start = end.ok_or_else(|| io::Error::other("a part of a disk has no whole number of pages"))?;
        }
        if parts.is_empty() {
            return Err(io::Error::other("a disk has no part"));
        }
        let (sectors, cache) = (start / SECTOR, CacheType::Unsafe);
        Ok(Disk { parts, sectors, access: Access::ReadOnly, cache, serial: serial(NAMELESS) })
    }

    /// The same disk with a serial number, of which 20 bytes count.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Disk { serial: serial(name), ..self }
    }

    /// What tells the guest which disk it is.
    pub(super) fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Its size in sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Whether the guest may write.
    pub fn access(&self) -> Access {
        self.access
    }

    /// What a flush means.
    pub fn cache(&self) -> CacheType {
        self.cache
    }

    /// Where `len` bytes at `offset` lie, for transfers. They are on the disk.
    pub(super) fn pieces(&self, mut offset: u64, mut len: u32) -> impl Iterator<Item = Piece<'_>> {
        std::iter::from_fn(move || {
            if len == 0 {
                return None;
            }
            let part = &self.parts[self.parts.partition_point(|part| part.start + part.len <= offset)..].first()?;
            let within = offset - part.start;
            let here = u32::try_from(part.len - within).unwrap_or(u32::MAX).min(len);
            offset += u64::from(here);
            len -= here;
            Some(Piece { file: &part.file, offset: within, len: here })
        })
    }

    /// The file of a disk that can be written to, which has one.
    fn file(&self) -> Arc<File> {
        self.parts[0].file.clone()
    }

    /// The byte offset of `len` bytes at `sector`, if all of it lies on the disk.
    pub(super) fn offset(&self, sector: u64, len: u64) -> Option<u64> {
        let end = sector.checked_add(len.div_ceil(SECTOR))?;
        (end <= self.sectors).then(|| sector * SECTOR)
    }

    /// Puts what was written on the disk, where a flush means that.
    pub(super) fn flush(&self) -> Option<Operation> {
        match self.cache {
            CacheType::Unsafe => None,
            CacheType::Writeback => Some(Operation::Sync(self.file())),
        }
    }

    /// Waits until what was written is on the disk, whatever a flush means.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.access {
            Access::ReadOnly => Ok(()),
            Access::ReadWrite => self.parts.iter().try_for_each(|part| part.file.sync_data()),
        }
    }

    /// Makes a range read as zeroes.
    pub(super) fn zeroes(&self, offset: u64, len: u64, space: Space) -> Operation {
        let how = match space {
            Space::Freed => FallocateFlags::PUNCH_HOLE,
            Space::Kept => FallocateFlags::ZERO_RANGE,
        };
        Operation::Allocate { file: self.file(), flags: how | FallocateFlags::KEEP_SIZE, offset, len }
    }
}

fn serial(name: &str) -> Serial {
    let mut serial = Serial::default();
    for (to, from) in serial.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    serial
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(len: u64) -> File {
        let file = tempfile::tempfile().expect("file");
        file.set_len(len).expect("grow");
        file
    }

    #[test]
    fn parts_follow_each_other() {
        let disk = Disk::concatenated(vec![file(4096), file(0), file(8192)]).expect("whole pages");
        assert_eq!((disk.sectors(), disk.access()), (24, Access::ReadOnly));
        let check = |offset, len, expected: &[(u64, u32)]| {
            let pieces: Vec<_> = disk.pieces(offset, len).map(|piece| (piece.offset, piece.len)).collect();
            assert_eq!(pieces, expected, "{len} at {offset}");
        };
        check(0, 4096, &[(0, 4096)]);
        check(3584, 1024, &[(3584, 512), (0, 512)]);
        check(4096, 8192, &[(0, 8192)]);
        check(0, 12288, &[(0, 4096), (0, 8192)]);
    }

    #[test]
    fn what_is_no_whole_page_is_no_part() {
        assert!(Disk::concatenated(vec![file(4096), file(512)]).is_err());
        assert!(Disk::concatenated(Vec::new()).is_err());
    }

    #[test]
    fn names_become_serial_numbers() {
        let disk = |name: &str| Disk::new(file(512), Access::ReadOnly, CacheType::Unsafe).expect("disk").named(name);
        assert_eq!(disk("layers0").serial(), b"layers0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(disk("a-name-that-is-too-long").serial(), b"a-name-that-is-too-l");
    }
}
