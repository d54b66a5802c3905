//! Memory that spaces can map and the kernel can copy: one sparse memory file per sandbox.

mod extents;
mod kept;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use stockade_kernel::Errno;
use stockade_kernel::account::MEMORY;
use stockade_kernel::platform::Pool;

use crate::sys::mapping::Mapping;
use extents::Extents;
use kept::Kept;

const PAGE_BYTES: u64 = 4096;
/// Zeroing by hand is cheaper than giving so little back to the host, until it is needed again.
const PUNCH_BYTES_MIN: u64 = 4 * PAGE_BYTES;

/// The pool.
#[derive(Debug)]
pub(crate) struct HostPool {
    mapping: Mapping,
    extents: Mutex<Extents>,
    kept: Mutex<Kept>,
}

impl HostPool {
    /// At most this many bytes, rounded down to pages.
    pub(crate) fn new(bytes_max: u64) -> io::Result<Self> {
        let len = bytes_max - bytes_max % PAGE_BYTES;
        let file = memfd_create(c"stockade-pool", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, len)?;
        let mapped = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (extents, kept) = (Mutex::new(Extents::new(len)), Mutex::default());
        Ok(Self { mapping: Mapping::new(file, mapped)?, extents, kept })
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.mapping.file()
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn extents(&self) -> MutexGuard<'_, Extents> {
        self.extents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An extent that reads as zero: one that was kept, or a new one. What is kept makes room for what else would not
    /// fit.
    fn take(&self, len: u64) -> Option<u64> {
        if let Some(offset) = self.kept().take(len) {
            self.mapping.zero(offset, usize::try_from(len).ok()?);
            return Some(offset);
        }
        let taken = self.extents().take(len);
        taken.or_else(|| {
            let all = self.kept().take_all();
            all.into_iter().for_each(|(offset, len)| self.give(offset, len));
            self.extents().take(len)
        })
    }

    fn give(&self, offset: u64, len: u64) {
        self.punch(offset, len);
        self.extents().give(offset, len);
    }

    /// Gives memory back to the host. Mappings of it read as zero from now on.
    fn punch(&self, offset: u64, len: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Err(error) = fallocate(self.mapping.file(), flags, offset, len) {
            tracing::warn!(%error, "memory of the pool is zeroed by hand");
            self.mapping.zero(offset, usize::try_from(len).unwrap_or(0));
        }
    }
}

impl Pool for HostPool {
    fn set_limit(&self, bytes: u64) {
        MEMORY.set_limit(bytes);
    }

    fn allocate(&self, len: u64) -> Result<u64, Errno> {
        if len == 0 || !len.is_multiple_of(PAGE_BYTES) {
            return Err(Errno::EINVAL);
        }
        MEMORY.take(len)?;
        self.take(len).ok_or(Errno::ENOMEM).inspect_err(|_| MEMORY.give(len))
    }

    fn free(&self, offset: u64, len: u64) {
        if !self.kept().keep(offset, len) {
            self.give(offset, len);
        }
        MEMORY.give(len);
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) {
        self.mapping.read(offset, buffer);
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.mapping.write(offset, bytes);
    }

    fn copy(&self, from: u64, to: u64, len: usize) {
        self.mapping.copy(from, to, len);
    }

    fn zero(&self, offset: u64, len: u64) {
        let is_whole = offset.is_multiple_of(PAGE_BYTES) && len.is_multiple_of(PAGE_BYTES);
        match is_whole && len >= PUNCH_BYTES_MIN {
            true => self.punch(offset, len),
            false => self.mapping.zero(offset, usize::try_from(len).unwrap_or(0)),
        }
    }

    fn compare_exchange_u32(&self, offset: u64, expected: u32, new: u32) -> u32 {
        self.mapping.compare_exchange_u32(offset, expected, new)
    }

    fn wake_futex(&self, offset: u64) {
        self.mapping.wake_futex(offset);
    }

    fn used_bytes(&self) -> u64 {
        self.extents().used() - self.kept().bytes()
    }
}
