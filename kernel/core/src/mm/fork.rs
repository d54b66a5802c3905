//! The copy of an address space that fork(2) makes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::unmap::unmap;
use super::{Memory, State, VmaFlags};
use crate::Errno;
use crate::platform::{Begin, Frame, HostCall, ThreadEvents, UserThread};
use crate::vfs::InUse;

/// What the child's map will be, and what its host thread has to do first.
#[derive(Debug)]
struct ForkPlan {
    state: State,
    setup: Vec<HostCall>,
}

impl Memory {
    /// A copy as fork(2) makes it, with one thread, which waits to be started.
    pub fn fork(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        begin: Begin,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<(Arc<Memory>, Arc<dyn UserThread>), Errno> {
        let plan = self.plan_fork();
        let forked = self.space.fork(frame, [plan.setup, setup].concat(), begin, events)?;
        Ok((Memory::with_state(forked.space, plan.state), forked.thread))
    }

    /// Called before the host copies the space.
    fn plan_fork(&self) -> ForkPlan {
        let state = self.state.lock();
        let mut vmas = state.vmas.clone();
        let skipped: Vec<_> = vmas
            .iter()
            .filter(|(_, vma)| vma.flags.contains(VmaFlags::NOT_FORKED))
            .map(|(start, vma)| start..vma.end)
            .collect();
        skipped.into_iter().for_each(|range| drop(vmas.take(range)));
        vmas.update(state.bounds.clone(), |vma| vma.flags -= VmaFlags::LOCKED | VmaFlags::LOCKED_ON_FAULT);
        vmas.forget_peak();
        let copy = State {
            vmas,
            bounds: state.bounds.clone(),
            top: state.top,
            heap: state.heap.clone(),
            settling: Vec::new(),
            lock_future: VmaFlags::empty(),
            deferred: Vec::new(),
            program: state.program.clone(),
            running: state.running.as_ref().map(InUse::again),
            freed_bytes: 0,
            unmapped_bytes: 0,
        };
        // What other threads are about to free is still there in the copy.
        let freed = state.settling.iter().map(|settling| settling.range()).filter(|range| !range.is_empty());
        let gaps = freed.flat_map(|range| copy.gaps(&range)).map(unmap);
        let setup = gaps.chain(state.deferred.iter().cloned()).collect();
        ForkPlan { state: copy, setup }
    }
}
