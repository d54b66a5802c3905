//! Memory that processes share without a file system: MAP_SHARED | MAP_ANONYMOUS, and System V segments.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{MapPiece, MappedName, PoolRange, Source, page_up};
use crate::Errno;
use crate::platform::{Backing, Machine, Sharing};

/// Some memory of the pool.
#[derive(Debug)]
pub struct SharedMemory {
    range: Arc<PoolRange>,
    name: MappedName,
}

impl SharedMemory {
    /// Zeros.
    pub fn new(machine: &Arc<dyn Machine>, bytes: u64, path: &str, inode: u64) -> Result<Arc<Self>, Errno> {
        let len = page_up(bytes).ok_or(Errno::ENOMEM)?;
        let name = MappedName { path: String::from(path), device: (0, 1), inode };
        Ok(Arc::new(Self { range: PoolRange::allocate(machine, len)?, name }))
    }

    /// Pages that begin with these bytes.
    pub fn filled(machine: &Arc<dyn Machine>, bytes: &[u8], len: u64, name: MappedName) -> Result<Arc<Self>, Errno> {
        let range = PoolRange::allocate(machine, len)?;
        machine.pool().write(range.offset(), bytes)?;
        Ok(Arc::new(Self { range, name }))
    }

    /// Bytes, in whole pages.
    pub fn len(&self) -> u64 {
        self.range.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl Source for SharedMemory {
    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        let there = self.range.len().saturating_sub(offset).min(len);
        let backing = Backing::Pool { offset: self.range.offset() + offset, sharing };
        let inside = MapPiece { len: there, backing, keep: Some(self.range.clone()), fixed: None };
        let beyond = MapPiece { len: len - there, backing: Backing::Nothing, keep: None, fixed: None };
        Ok([inside, beyond].into_iter().filter(|piece| piece.len > 0).collect())
    }

    fn name(&self) -> MappedName {
        self.name.clone()
    }

    fn sync(&self, _: u64, _: u64) -> Result<(), Errno> {
        Ok(())
    }
}
