//! Files of the host that are a part of the pool.

use core::fmt::Debug;

use crate::Errno;

/// A file of the host that nobody else has, for what must not stay in memory: its ranges are ranges of the
/// [`Pool`](super::Pool), which copies, clears and maps them as it does memory, until the store is dropped. What is in
/// it is gone with it.
pub trait Store: Debug + Send + Sync {
    /// The most bytes that files in it may have.
    fn bytes_max(&self) -> u64;

    /// Bytes that the host has left for it and others.
    fn host_free_bytes(&self) -> Result<u64, Errno>;

    /// Takes `len` bytes (a multiple of the page size) that read as zero, in one piece; says where in the pool. The
    /// host has no room for them until they are written or reserved. `ENOSPC` when there is no such piece.
    fn allocate(&self, len: u64) -> Result<u64, Errno>;

    /// Has the host keep room for a part of what was taken: `ENOSPC` when it has none.
    fn reserve(&self, offset: u64, len: u64) -> Result<(), Errno>;

    /// Gives a range back.
    fn free(&self, offset: u64, len: u64);
}
