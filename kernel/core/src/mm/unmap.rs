//! munmap(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::vma::len;
use super::{Change, Memory, Object, PAGE, Source, State, Undo, Vma, page_up};
use crate::platform::HostCall;
use crate::task::Pid;
use crate::{Errno, Kernel};

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
        state.free(tid, range);
        self.tell_unmapped(&mut state);
        let calls = match (mapped.first(), mapped.last()) {
            (Some(first), Some(last)) => alloc::vec![unmap(first.start..last.end)],
            _ => Vec::new(),
        };
        Ok(Change { calls, value: 0, undo: Undo::Nothing })
    }
}

impl Memory {
    /// Unmaps all that was mapped from the start of a `T` at this address (shmdt(2)): `EINVAL` when there is none.
    pub fn detach<T: Source>(&self, tid: Pid, address: u64) -> Result<(Change, Arc<dyn Source>), Errno> {
        let mut state = self.state.lock();
        let found = state.vmas.find(address).filter(|(start, _)| *start == address);
        let source = match found.map(|(_, vma)| &vma.object) {
            Some(Object::Source { source, offset: 0, .. }) if source.downcast::<T>().is_some() => source.clone(),
            _ => return Err(Errno::EINVAL),
        };
        let same = |start: u64, vma: &Vma| match &vma.object {
            Object::Source { source: other, offset, .. } => Arc::ptr_eq(other, &source) && start == address + offset,
            Object::Anonymous => false,
        };
        let attached = state.vmas.iter().filter(|(start, vma)| same(*start, vma));
        let parts: Vec<Range<u64>> = attached.map(|(start, vma)| start..vma.end).collect();
        for part in &parts {
            state.free(tid, part.clone());
        }
        let calls = parts.into_iter().map(unmap).collect();
        Ok((Change { calls, value: 0, undo: Undo::Nothing }, source))
    }

    /// How often something is mapped from its start.
    pub fn count_mappings(&self, source: &Arc<dyn Source>) -> usize {
        let state = self.state.lock();
        let starts = state.vmas.iter().filter(|(_, vma)| {
            matches!(&vma.object, Object::Source { source: other, offset: 0, .. } if Arc::ptr_eq(other, source))
        });
        starts.count()
    }
}

impl Kernel {
    /// How often something is mapped from its start, in all address spaces.
    pub fn count_mappings<T: Source>(&self, source: &Arc<T>) -> u64 {
        let source: Arc<dyn Source> = source.clone();
        let mut memories: Vec<Arc<Memory>> = Vec::new();
        for process in self.processes() {
            let memory = process.leader().map(|task| task.memory());
            memories.extend(memory.filter(|memory| !memories.iter().any(|other| Arc::ptr_eq(other, memory))));
        }
        memories.iter().map(|memory| memory.count_mappings(&source) as u64).sum()
    }
}

/// The host call.
pub fn unmap(range: Range<u64>) -> HostCall {
    HostCall::Unmap { address: range.start, len: len(&range) }
}
