//! mlock(2) and its like. Locked memory is accounted as on Linux; whether the sandbox's memory can be swapped out is
//! the host's to decide.

use super::vma::len;
use super::{Memory, MemoryLimits, VmaFlags};
use crate::Errno;

/// What mlockall(2) locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockNow {
    /// What is mapped (MCL_CURRENT).
    Current,
    /// Nothing yet.
    Nothing,
}

const ALL: VmaFlags = VmaFlags::LOCKED.union(VmaFlags::LOCKED_ON_FAULT);

impl Memory {
    /// mlock(2), mlock2(2).
    pub fn lock(&self, address: u64, bytes: u64, flags: VmaFlags, limits: &MemoryLimits) -> Result<(), Errno> {
        let (address, bytes) = whole_pages(address, bytes)?;
        let mut state = self.state.lock();
        let range = state.checked(address, bytes, Errno::ENOMEM)?;
        let locked = |vma: &super::Vma| vma.flags.contains(VmaFlags::LOCKED);
        let already: u64 =
            state.vmas.within(range.clone()).filter(|(_, vma)| locked(vma)).map(|(part, _)| len(&part)).sum();
        if state.locked_bytes() - already + len(&range) > limits.locked {
            return Err(Errno::ENOMEM);
        }
        let until = state.vmas.first_gap(range.clone()).unwrap_or(range.end);
        state.vmas.update(range.start..until, |vma| vma.flags = (vma.flags - ALL) | flags);
        if until < range.end { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// munlock(2).
    pub fn unlock(&self, address: u64, bytes: u64) -> Result<(), Errno> {
        self.lock(address, bytes, VmaFlags::empty(), &MemoryLimits::NONE)
    }

    /// mlockall(2), munlockall(2): flags of what is mapped, and of what will be.
    pub fn lock_all(
        &self,
        now: LockNow,
        flags: VmaFlags,
        future: VmaFlags,
        limits: &MemoryLimits,
    ) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if now == LockNow::Current && !flags.is_empty() && state.vmas.total_bytes() > limits.locked {
            return Err(Errno::ENOMEM);
        }
        state.lock_future = future;
        let bounds = state.bounds.clone();
        if now == LockNow::Current {
            state.vmas.update(bounds, |vma| vma.flags = (vma.flags - ALL) | flags);
        }
        Ok(())
    }
}

/// mlock(2) takes any address, and locks every page that has a byte of the range.
fn whole_pages(address: u64, bytes: u64) -> Result<(u64, u64), Errno> {
    let start = super::page_down(address);
    Ok((start, bytes.checked_add(address - start).ok_or(Errno::EINVAL)?))
}
