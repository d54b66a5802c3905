//! brk(2).

use super::map::host_map;
use super::unmap::unmap;
use super::{Change, Memory, MemoryLimits, Object, State, Undo, Vma, VmaFlags, page_up};
use crate::Errno;
use crate::platform::{Backing, Protection, Sharing};
use crate::task::Pid;

impl Memory {
    /// Where the heap starts and ends.
    pub fn heap(&self) -> core::ops::Range<u64> {
        self.state.lock().heap.clone()
    }

    /// Moves the break, if it can be; the value is where it is then.
    pub fn set_break(&self, tid: Pid, to: u64, limits: &MemoryLimits) -> Change {
        let mut state = self.state.lock();
        let old = state.heap.end;
        let none = Change { calls: alloc::vec::Vec::new(), value: old, undo: Undo::Nothing };
        let (Some(from), Some(end)) = (page_up(old), page_up(to)) else { return none };
        if to < state.heap.start {
            return none;
        }
        if end > from {
            return state.grow_heap(from..end, to, limits).unwrap_or(none);
        }
        let calls = if end < from { alloc::vec![unmap(end..from)] } else { alloc::vec::Vec::new() };
        if end < from {
            state.free(tid, end..from);
            self.tell_unmapped(&mut state);
        }
        state.heap.end = to;
        Change { calls, value: to, undo: Undo::Nothing }
    }
}

impl State {
    fn grow_heap(&mut self, added: core::ops::Range<u64>, to: u64, limits: &MemoryLimits) -> Result<Change, Errno> {
        let vma = Vma {
            end: added.end,
            protection: Protection::READ | Protection::WRITE,
            sharing: Sharing::Private,
            flags: VmaFlags::HEAP | self.lock_future,
            object: Object::Anonymous,
        };
        let settled = self.avoided().iter().all(|other| other.end <= added.start || added.end <= other.start);
        let above = self.vmas.next_above(added.start).is_none_or(|(start, _)| start > added.end);
        if !settled || !above || added.end > self.bounds.end || !self.vmas.is_free(added.clone()) {
            return Err(Errno::ENOMEM);
        }
        self.check_limits(&added, &vma, limits)?;
        let call = host_map(added.clone(), vma.protection, Backing::Anonymous);
        self.vmas.insert(added.start, vma);
        let undo = Undo::Heap { added, old: self.heap.end };
        self.heap.end = to;
        Ok(Change { calls: alloc::vec![call], value: to, undo })
    }
}
