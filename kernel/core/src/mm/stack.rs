//! A stack whose limit becomes lower (setrlimit(2), RLIMIT_STACK). All that the limit allowed was mapped when the
//! program began, where Linux maps what is touched.

use alloc::vec::Vec;
use core::ops::Range;

use super::{Memory, PAGE, VmaFlags};
use crate::platform::HostCall;
use crate::task::Pid;

/// A word of /proc/PID/pagemap: the page is in memory, or in swap.
const THERE: u64 = 0b11 << 62;
/// Pages that are asked for at once.
const PAGES: usize = 512;

impl Memory {
    /// Unmaps the part of the stack beyond the limit that was never touched; the stack may grow again. Says what the
    /// host has to do. Nothing else may run in the space.
    pub fn shorten_stack(&self, tid: Pid, limit: u64) -> Vec<HostCall> {
        let Some(stack) = self.stack() else { return Vec::new() };
        let allowed = stack.end.saturating_sub(limit) & !(PAGE - 1);
        let end = self.first_touched(stack.start..allowed.min(stack.end));
        match self.unmap(tid, stack.start, end.saturating_sub(stack.start)) {
            Ok(change) => change.calls,
            Err(_) => Vec::new(),
        }
    }

    /// The first thread's.
    fn stack(&self) -> Option<Range<u64>> {
        let state = self.state.lock();
        let mut parts = state.vmas.iter().filter(|(_, vma)| vma.flags.contains(VmaFlags::STACK));
        let (start, first) = parts.next()?;
        Some(start..parts.next_back().map_or(first.end, |(_, last)| last.end))
    }

    /// The first page of a range that was touched, or its end; its start where the host does not tell.
    fn first_touched(&self, range: Range<u64>) -> u64 {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from((range.end - at) / PAGE).unwrap_or(PAGES);
            let mut words = alloc::vec![0; left.min(PAGES)];
            if self.space().page_map(at, &mut words).is_err() {
                return range.start;
            }
            if let Some(index) = words.iter().position(|word| word & THERE != 0) {
                return at + index as u64 * PAGE;
            }
            at += words.len() as u64 * PAGE;
        }
        range.end
    }
}
