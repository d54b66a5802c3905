//! Memory that spaces can map and the kernel can copy: one sparse memory file per sandbox, and behind its offsets the
//! files of the host that writable layers lie in.

mod extents;
mod kept;
mod store;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use stockade_kernel::Errno;
use stockade_kernel::account::MEMORY;
use stockade_kernel::platform::Pool;

use crate::sys::mapping::Mapping;
use extents::Extents;
use kept::Kept;
pub(crate) use store::HostStore;
use store::{REGION_BYTES, Stores};

const PAGE_BYTES: u64 = 4096;
/// Zeroing by hand is cheaper than giving so little back to the host, until it is needed again.
const PUNCH_BYTES_MIN: u64 = 4 * PAGE_BYTES;

/// Whether an offset of the pool is one of memory.
pub(crate) fn is_memory(offset: u64) -> bool {
    offset < REGION_BYTES
}

/// Where an offset of the pool lies in its file.
pub(crate) fn offset_in_file(offset: u64) -> u64 {
    offset % REGION_BYTES
}

/// The pool.
#[derive(Debug)]
pub(crate) struct HostPool {
    mapping: Mapping,
    extents: Mutex<Extents>,
    kept: Mutex<Kept>,
    stores: Arc<Stores>,
}

/// Where an offset of the pool lies.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// In memory, at the same offset.
    Memory(&'a Mapping),
    /// In a file, at this offset of it.
    Store(Arc<HostStore>, u64),
}

impl HostPool {
    /// At most this many bytes, rounded down to pages.
    pub(crate) fn new(bytes_max: u64) -> io::Result<Self> {
        let len = (bytes_max - bytes_max % PAGE_BYTES).min(REGION_BYTES);
        let file = memfd_create(c"stockade-pool", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, len)?;
        let mapped = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (extents, kept) = (Mutex::new(Extents::new(len)), Mutex::default());
        Ok(Self { mapping: Mapping::new(file, mapped)?, extents, kept, stores: Arc::default() })
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.mapping.file()
    }

    /// Takes a file of the host that nobody else has; its length says how much it may hold.
    pub(crate) fn add_store(&self, file: OwnedFd) -> io::Result<Arc<HostStore>> {
        self.stores.add(file)
    }

    /// Where an offset lies that was given out.
    pub(crate) fn place(&self, offset: u64) -> Result<Place<'_>, Errno> {
        if is_memory(offset) {
            return Ok(Place::Memory(&self.mapping));
        }
        let (store, offset) = self.stores.at(offset).ok_or(Errno::EIO)?;
        Ok(Place::Store(store, offset))
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

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        match self.place(offset)? {
            Place::Memory(mapping) => mapping.read(offset, buffer),
            Place::Store(store, offset) => store.read(offset, buffer)?,
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        match self.place(offset)? {
            Place::Memory(mapping) => mapping.write(offset, bytes),
            Place::Store(store, offset) => store.write(offset, bytes)?,
        }
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) {
        if let Ok(Place::Store(store, offset)) = self.place(offset) {
            if let Err(error) = store.zero(offset, len) {
                tracing::error!(%error, "a part of a writable layer keeps what it held");
            }
            return;
        }
        let is_whole = offset.is_multiple_of(PAGE_BYTES) && len.is_multiple_of(PAGE_BYTES);
        match is_whole && len >= PUNCH_BYTES_MIN {
            true => self.punch(offset, len),
            false => self.mapping.zero(offset, usize::try_from(len).unwrap_or(0)),
        }
    }

    fn compare_exchange_u32(&self, offset: u64, expected: u32, new: u32) -> Result<u32, Errno> {
        match self.place(offset)? {
            Place::Memory(mapping) => Ok(mapping.compare_exchange_u32(offset, expected, new)),
            Place::Store(store, offset) => store.compare_exchange_u32(offset, expected, new),
        }
    }

    fn wake_futex(&self, offset: u64) {
        match self.place(offset) {
            Ok(Place::Memory(mapping)) => mapping.wake_futex(offset),
            Ok(Place::Store(store, offset)) => {
                if let Err(error) = store.wake_futex(offset) {
                    tracing::warn!(%error, "who waits for a word of a writable layer is not woken");
                }
            }
            Err(_) => {}
        }
    }

    fn used_bytes(&self) -> u64 {
        self.extents().used() - self.kept().bytes()
    }
}
