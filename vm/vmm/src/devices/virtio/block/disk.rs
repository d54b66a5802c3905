//! The file behind a block device.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::SECTOR;
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

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    file: File,
    sectors: u64,
    access: Access,
    cache: CacheType,
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
        Ok(Disk { file, sectors, access, cache })
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

    /// For transfers.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The byte offset of `len` bytes at `sector`, if all of it lies on the disk.
    pub(super) fn offset(&self, sector: u64, len: u64) -> Option<u64> {
        let end = sector.checked_add(len.div_ceil(SECTOR))?;
        (end <= self.sectors).then(|| sector * SECTOR)
    }

    /// Waits until what was written is on the disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self.cache {
            CacheType::Unsafe => Ok(()),
            CacheType::Writeback => self.file.sync_data(),
        }
    }

    /// Gives space back; the range reads as zeroes after it.
    pub(super) fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)?)
    }

    /// Makes a range read as zeroes and keeps its space.
    pub(super) fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(fallocate(&self.file, FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE, offset, len)?)
    }
}
