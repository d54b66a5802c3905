//! How much may be mapped.

use core::ops::Range;

use super::vma::len;
use super::{State, Vma, VmaFlags};
use crate::Errno;
use crate::account::MEMORY;
use crate::platform::{Protection, Sharing};
use crate::task::{Capabilities, Resource, Task};

/// vm.max_map_count, less than the host's, so that ours is met first.
const MAPPINGS_MAX: usize = 60_000;

/// What limits one process's mappings, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// RLIMIT_AS
    pub address_space: u64,
    /// RLIMIT_DATA
    pub data: u64,
    /// RLIMIT_STACK
    pub stack: u64,
    /// RLIMIT_MEMLOCK; no limit with CAP_IPC_LOCK.
    pub locked: u64,
    /// The sandbox's memory: one mapping that reserves more cannot be met (heuristic overcommit, proc(5)).
    pub total: u64,
}

impl MemoryLimits {
    /// None at all.
    pub const NONE: Self =
        Self { address_space: u64::MAX, data: u64::MAX, stack: u64::MAX, locked: u64::MAX, total: u64::MAX };
}

impl State {
    /// Bytes of all mappings that match.
    pub fn bytes(&self, matches: impl Fn(&Vma) -> bool) -> u64 {
        self.vmas.iter().filter(|(_, vma)| matches(vma)).map(|(start, vma)| vma.end - start).sum()
    }

    /// Bytes locked.
    pub fn locked_bytes(&self) -> u64 {
        self.bytes(|vma| vma.flags.contains(VmaFlags::LOCKED))
    }

    /// Whether this can be mapped in addition, in place of what the range holds: `ENOMEM`, or `EAGAIN` for locks.
    pub fn check_limits(&self, range: &Range<u64>, vma: &Vma, limits: &MemoryLimits) -> Result<(), Errno> {
        let added = len(range);
        let replaced = |matches: fn(&Vma) -> bool| -> u64 {
            self.vmas.within(range.clone()).filter(|(_, vma)| matches(vma)).map(|(part, _)| len(&part)).sum()
        };
        let fits = |used: u64, replaced: u64, limit: u64| used - replaced + added <= limit;
        if vma.flags.contains(VmaFlags::LOCKED) && !fits(self.locked_bytes(), 0, limits.locked) {
            return Err(Errno::EAGAIN);
        }
        let many = self.vmas.count() >= MAPPINGS_MAX || !MEMORY.has_room();
        let space =
            limits.address_space == u64::MAX || fits(self.vmas.total_bytes(), replaced(|_| true), limits.address_space);
        let data = !vma.is_data()
            || limits.data == u64::MAX
            || fits(self.bytes(Vma::is_data), replaced(Vma::is_data), limits.data);
        if many || !space || !data || (reserves(vma) && added > limits.total) {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }
}

/// Whether all of it may come to need memory.
fn reserves(vma: &Vma) -> bool {
    vma.sharing == Sharing::Private
        && vma.protection.contains(Protection::WRITE)
        && !vma.flags.contains(VmaFlags::NO_RESERVE)
}

impl Task {
    /// What limits its process's mappings now.
    pub fn memory_limits(&self) -> MemoryLimits {
        let limits = self.process().limits();
        let soft = |resource| limits.get(resource).soft;
        let unlocked = self.credentials().has(Capabilities::IPC_LOCK);
        MemoryLimits {
            address_space: soft(Resource::AddressSpace),
            data: soft(Resource::Data),
            stack: soft(Resource::Stack),
            locked: if unlocked { u64::MAX } else { soft(Resource::LockedMemory) },
            total: self.kernel().limits().memory_shown(),
        }
    }
}
