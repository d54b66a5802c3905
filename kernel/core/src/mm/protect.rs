//! mprotect(2).

use alloc::vec::Vec;
use core::ops::Range;

use super::vma::len;
use super::{Memory, MemoryLimits, PAGE, State, Vma, VmaFlags};
use crate::Errno;
use crate::platform::{HostCall, Protection};

/// What mprotect(2) comes to.
#[derive(Clone, Debug)]
pub struct Protected {
    /// What the host has to do.
    pub calls: Vec<HostCall>,
    /// What the call returns.
    pub result: Result<(), Errno>,
    /// Whether the application's own call does exactly that.
    pub native: bool,
}

impl Memory {
    /// Changes access up to the first address where it cannot.
    pub fn protect(
        &self,
        address: u64,
        bytes: u64,
        protection: Protection,
        limits: &MemoryLimits,
    ) -> Result<Protected, Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        let range = state.checked(address, bytes, Errno::ENOMEM)?;
        let (until, result) = state.protectable(&range, protection, limits);
        let holes = state.vmas.within(range.start..until).any(|(_, vma)| vma.flags.contains(VmaFlags::HOLE));
        let calls = state.protect(range.start..until, protection);
        Ok(Protected { calls, result, native: !holes && result.is_ok() })
    }
}

impl State {
    /// How far access can be changed, and what stops it there.
    fn protectable(
        &self,
        range: &Range<u64>,
        protection: Protection,
        limits: &MemoryLimits,
    ) -> (u64, Result<(), Errno>) {
        let denied =
            self.vmas.within(range.clone()).find(|(_, vma)| denies(vma, protection)).map(|(part, _)| part.start);
        let stops = [
            (self.vmas.first_gap(range.clone()), Errno::ENOMEM),
            (denied, Errno::EACCES),
            (self.above_data_limit(range, protection, limits), Errno::ENOMEM),
        ];
        let first = stops.into_iter().filter_map(|(at, errno)| Some((at?, Err(errno)))).min_by_key(|(at, _)| *at);
        first.unwrap_or((range.end, Ok(())))
    }

    /// From where on what becomes writable is more than RLIMIT_DATA allows.
    fn above_data_limit(&self, range: &Range<u64>, protection: Protection, limits: &MemoryLimits) -> Option<u64> {
        if limits.data == u64::MAX {
            return None;
        }
        let mut used = self.bytes(Vma::is_data);
        for (part, vma) in self.vmas.within(range.clone()).filter(|(_, vma)| !vma.is_data()) {
            if (Vma { protection, ..vma.clone() }).is_data() {
                used += len(&part);
                if used > limits.data {
                    return Some(part.start);
                }
            }
        }
        None
    }

    /// Changes access; all is mapped and nothing denies it.
    fn protect(&mut self, range: Range<u64>, protection: Protection) -> Vec<HostCall> {
        let mut parts: Vec<Range<u64>> = Vec::new();
        for (part, _) in self.vmas.within(range.clone()).filter(|(_, vma)| !vma.flags.contains(VmaFlags::HOLE)) {
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        self.vmas.update(range, |vma| vma.set_protection(protection));
        let call = |part: Range<u64>| HostCall::Protect { address: part.start, len: len(&part), protection };
        parts.into_iter().map(call).collect()
    }
}

fn denies(vma: &Vma, protection: Protection) -> bool {
    let write = protection.contains(Protection::WRITE) && vma.flags.contains(VmaFlags::NEVER_WRITE);
    let execute = protection.contains(Protection::EXEC) && vma.flags.contains(VmaFlags::NEVER_EXECUTE);
    write || execute
}
