//! What can be mapped: files, and memory of the pool.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Debug;

use super::{Fixed, Mappers};
use crate::Errno;
use crate::platform::{Backing, Machine, Sharing, Store};

/// Part of what a mapping shows.
#[derive(Clone, Debug)]
pub struct MapPiece {
    /// Bytes, a multiple of the page size.
    pub len: u64,
    /// What is there; [`Backing::Nothing`] where the file has no page (beyond its end: SIGBUS).
    pub backing: Backing,
    /// Keeps the memory from being used for something else while it is mapped; usually a [`PoolRange`].
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
    /// Where else its bytes can be read, if they never change.
    pub fixed: Option<Fixed>,
}

/// What /proc/PID/maps says about a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappedName {
    /// The path, as the process would see it; or a name such as `/dev/zero (deleted)`.
    pub path: String,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its inode number.
    pub inode: u64,
}

/// What can be mapped: an open file.
pub trait Source: Any + Debug + Send + Sync {
    /// The pieces from `offset` on, `len` bytes in all, both multiples of the page size.
    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno>;

    /// Its name.
    fn name(&self) -> MappedName;

    /// Makes what was written through shared mappings durable (msync(2) with MS_SYNC).
    fn sync(&self, offset: u64, len: u64) -> Result<(), Errno>;

    /// Who is told when its length changes.
    fn mappers(&self) -> Option<Arc<Mappers>> {
        None
    }

    /// Whether shared mappings of it must not be writable (F_SEAL_WRITE and F_SEAL_FUTURE_WRITE of fcntl(2)).
    fn is_sealed(&self) -> bool {
        false
    }
}

impl dyn Source {
    /// What it is inside, if it is a `T`.
    pub fn downcast<T: Source>(&self) -> Option<&T> {
        let source: &dyn Any = self;
        source.downcast_ref()
    }
}

/// A range of the pool, given back when the last mapping and the last file let go of it.
#[derive(Debug)]
pub struct PoolRange {
    home: Home,
    offset: u64,
    len: u64,
}

/// Where a range lies.
#[derive(Debug)]
enum Home {
    Memory(Arc<dyn Machine>),
    Store(Arc<dyn Store>),
}

impl PoolRange {
    /// Takes a range of memory that reads as zero.
    pub fn allocate(machine: &Arc<dyn Machine>, len: u64) -> Result<Arc<Self>, Errno> {
        let offset = machine.pool().allocate(len)?;
        Ok(Arc::new(Self { home: Home::Memory(machine.clone()), offset, len }))
    }

    /// Takes a range of a store that reads as zero.
    pub fn allocate_in(store: &Arc<dyn Store>, len: u64) -> Result<Arc<Self>, Errno> {
        let offset = store.allocate(len)?;
        Ok(Arc::new(Self { home: Home::Store(store.clone()), offset, len }))
    }

    /// Where it starts in the pool.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: an empty range cannot be taken.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for PoolRange {
    fn drop(&mut self) {
        match &self.home {
            Home::Memory(machine) => machine.pool().free(self.offset, self.len),
            Home::Store(store) => store.free(self.offset, self.len),
        }
    }
}
