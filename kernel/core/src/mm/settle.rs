//! What host calls under way free.

use alloc::vec::Vec;
use core::ops::Range;

use super::{Memory, State, Vma};
use crate::platform::HostCall;
use crate::task::Pid;

/// Freed in the kernel's map, and not yet known to be freed on the host.
#[derive(Debug)]
pub(crate) struct Settling {
    tid: Pid,
    range: Range<u64>,
    /// The memory behind it stays taken as long.
    _vmas: Vec<(u64, Vma)>,
}

impl State {
    /// Takes a range out; it settles at the next event of this task.
    pub fn free(&mut self, tid: Pid, range: Range<u64>) {
        let vmas = self.vmas.take(range.clone());
        self.note_freed(vmas.iter().map(|(start, vma)| vma.end - start).sum());
        self.note_unmapped(&vmas);
        if !vmas.is_empty() {
            self.settling.push(Settling { tid, range, _vmas: vmas });
        }
    }

    /// Keeps what a mapping held until the next event of this task.
    pub fn keep(&mut self, tid: Pid, vmas: Vec<(u64, Vma)>) {
        self.note_unmapped(&vmas);
        if !vmas.is_empty() {
            self.settling.push(Settling { tid, range: 0..0, _vmas: vmas });
        }
    }

    fn note_unmapped(&mut self, vmas: &[(u64, Vma)]) {
        let zeros = vmas.iter().filter(|(_, vma)| vma.object.is_anonymous());
        self.unmapped_bytes += zeros.map(|(start, vma)| vma.end - start).sum::<u64>();
    }

    /// Keeps addresses from being chosen until the next event of this task.
    pub fn reserve(&mut self, tid: Pid, range: Range<u64>) {
        self.settling.push(Settling { tid, range, _vmas: Vec::new() });
    }

    /// The host calls that somebody else left to this task's thread; what they free settles with them.
    pub fn take_deferred(&mut self, tid: Pid) -> Vec<HostCall> {
        let calls = core::mem::take(&mut self.deferred);
        let left = self.settling.iter_mut().filter(|settling| settling.tid == Pid::NONE && !calls.is_empty());
        left.for_each(|settling| settling.tid = tid);
        calls
    }

    /// Addresses that cannot be chosen now.
    pub fn avoided(&self) -> Vec<Range<u64>> {
        self.settling.iter().map(|settling| settling.range.clone()).filter(|range| !range.is_empty()).collect()
    }
}

impl Memory {
    /// Tells the machine of what was taken out.
    pub(super) fn tell_unmapped(&self, state: &mut State) {
        let bytes = core::mem::take(&mut state.unmapped_bytes);
        if bytes > 0 {
            self.space.unmaps(bytes);
        }
    }

    /// The host calls of this task's last answer are done, or will never be.
    pub fn settled(&self, tid: Pid) {
        let done: Vec<Settling> = {
            let mut state = self.state.lock();
            state.settling.extract_if(.., |settling| settling.tid == tid).collect()
        };
        // Dropped here without the lock: the last reference to a file may go with it.
        drop(done);
    }
}

impl Settling {
    /// Addresses of it.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }
}
