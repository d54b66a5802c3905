//! msync(2), and other questions about a range.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Memory, Object, PAGE, Source, VmaFlags};
use crate::Errno;
use crate::platform::Sharing;

/// Whether msync(2) invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidate {
    /// MS_INVALIDATE: fails on locked memory.
    Yes,
    /// It does not.
    No,
}

/// A mapped file, and which part of it: offset and bytes.
pub type FilePart = (Arc<dyn Source>, u64, u64);

impl Memory {
    /// The files whose shared mappings lie in the range, each with its part; the error says what else is wrong.
    pub fn shared_files(
        &self,
        address: u64,
        bytes: u64,
        invalidate: Invalidate,
    ) -> Result<(Vec<FilePart>, Result<(), Errno>), Errno> {
        let state = self.state.lock();
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let range = state.checked(address, bytes, Errno::ENOMEM)?;
        let locked = state.vmas.within(range.clone()).any(|(_, vma)| vma.flags.contains(VmaFlags::LOCKED));
        if locked && invalidate == Invalidate::Yes {
            return Err(Errno::EBUSY);
        }
        let mut files = Vec::new();
        for (part, vma) in state.vmas.within(range.clone()).filter(|(_, vma)| vma.sharing == Sharing::Shared) {
            if let Object::Source { source, offset, .. } = &vma.object {
                let start = state.vmas.find(part.start).map_or(part.start, |(start, _)| start);
                files.push((source.clone(), offset + (part.start - start), part.end - part.start));
            }
        }
        let whole = state.vmas.first_gap(range).map_or(Ok(()), |_| Err(Errno::ENOMEM));
        Ok((files, whole))
    }

    /// Whether applications can have this range at all, aligned at its start.
    pub fn check_range(&self, address: u64, bytes: u64) -> Result<(), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        self.state.lock().checked(address, bytes, Errno::ENOMEM).map(drop)
    }
}
