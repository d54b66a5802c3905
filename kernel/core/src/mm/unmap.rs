//! munmap(2).

use alloc::vec::Vec;
use core::ops::Range;

use super::vma::len;
use super::{Change, Memory, PAGE, State, Undo, page_up};
use crate::Errno;
use crate::platform::HostCall;
use crate::task::Pid;

impl State {
    /// A range that an application gave: `wrong` unless it is aligned and within what applications can have.
    pub fn checked(&self, address: u64, bytes: u64, wrong: Errno) -> Result<Range<u64>, Errno> {
        let len = page_up(bytes).ok_or(wrong)?;
        let end = address.checked_add(len).filter(|end| *end <= self.bounds.end).ok_or(wrong)?;
        if address.is_multiple_of(PAGE) { Ok(address..end) } else { Err(wrong) }
    }
}

impl Memory {
    /// Unmaps whatever is there.
    pub fn unmap(&self, tid: Pid, address: u64, bytes: u64) -> Result<Change, Errno> {
        let mut state = self.state.lock();
        let range = state.checked(address, bytes, Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mapped: Vec<Range<u64>> = state.vmas.within(range.clone()).map(|(part, _)| part).collect();
        state.free(tid, range.clone());
        let calls = match (mapped.first(), mapped.last()) {
            (Some(first), Some(last)) => alloc::vec![unmap(first.start..last.end)],
            _ => Vec::new(),
        };
        Ok(Change { calls, value: 0, undo: Undo::Nothing })
    }
}

/// The host call.
pub fn unmap(range: Range<u64>) -> HostCall {
    HostCall::Unmap { address: range.start, len: len(&range) }
}
