//! Whose turn it is when the host lacks memory. Applications end before their sandbox's init, unless they take less
//! than it. The host is told of a copy of an init once it can have taken much, or younger ones live: most end before.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use stockade_kernel::platform::{Backing, HostCall, Keep};

use crate::stub::Stub;

/// What a program maps for itself before the host is told: more than its stack, and less than what the host would
/// notice.
const MAPPED_MIN: u64 = 16 << 20;
/// So many processes live of which it has not been told.
const UNTOLD_MAX: usize = 2;

/// What is known of a process. It counts what its program asks for, which the program may make look less than it is:
/// all that this spares is the program, at the cost of its own container's init.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Others end before it.
    preferred: AtomicBool,
    /// It was copied from one that is preferred, and the host takes it for that one still.
    untold: AtomicBool,
    mapped: AtomicU64,
}

impl Turn {
    /// Of a copy; the host copied what it was told.
    pub(crate) fn of_copy(&self) -> Self {
        let untold = self.preferred.load(Ordering::Relaxed) || self.untold.load(Ordering::Relaxed);
        let mapped = self.mapped.load(Ordering::Relaxed);
        Self { untold: AtomicBool::new(untold), mapped: AtomicU64::new(mapped), ..Self::default() }
    }

    /// Others end before it. The host is told by the caller.
    pub(crate) fn prefer(&self) {
        self.preferred.store(true, Ordering::Relaxed);
        self.untold.store(false, Ordering::Relaxed);
    }

    /// Another program begins in it.
    pub(crate) fn begin_program(&self) {
        self.mapped.store(0, Ordering::Relaxed);
    }

    /// Its program will make these.
    pub(crate) fn count(&self, calls: &[HostCall]) {
        for call in calls {
            match *call {
                HostCall::Map { len, backing: Backing::Anonymous | Backing::Pool { .. }, .. } => self.grow(len),
                HostCall::Remap { to_len, keep: Keep::Range, .. } => self.grow(to_len),
                HostCall::Remap { from_len, to_len, keep: Keep::Nothing, .. } => {
                    self.grow(to_len.saturating_sub(from_len));
                }
                _ => {}
            }
        }
    }

    /// Its program unmaps this much of what was counted; the kernel's map says so, since the host unmaps nothing too.
    pub(crate) fn shrink(&self, len: u64) {
        self.mapped.update(Ordering::Relaxed, Ordering::Relaxed, |mapped| mapped.saturating_sub(len));
    }

    fn grow(&self, len: u64) {
        self.mapped.update(Ordering::Relaxed, Ordering::Relaxed, |mapped| mapped.saturating_add(len));
    }

    /// Whether the host is to be told that this process ends early, since it has mapped much. Once.
    pub(crate) fn has_grown(&self) -> bool {
        self.mapped.load(Ordering::Relaxed) >= MAPPED_MIN && self.is_told_now()
    }

    fn is_untold(&self) -> bool {
        self.untold.load(Ordering::Relaxed)
    }

    /// Whether the host has not been told; whoever asks tells it.
    fn is_told_now(&self) -> bool {
        self.is_untold() && self.untold.swap(false, Ordering::Relaxed)
    }
}

/// The latest processes of which the host has not been told.
#[derive(Debug, Default)]
pub(crate) struct Untold(Mutex<VecDeque<Weak<Stub>>>);

impl Untold {
    /// One more; gives one of which the host is to be told now.
    pub(crate) fn add(&self, stub: &Arc<Stub>) -> Option<Arc<Stub>> {
        if !stub.turn().is_untold() {
            return None;
        }
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.retain(|other| other.upgrade().is_some_and(|other| is_alive(&other) && other.turn().is_untold()));
        latest.push_back(Arc::downgrade(stub));
        let is_full = latest.len() > UNTOLD_MAX;
        let oldest = is_full.then(|| latest.pop_front()?.upgrade()).flatten();
        oldest.filter(|oldest| oldest.turn().is_told_now())
    }
}

fn is_alive(stub: &Stub) -> bool {
    !stub.is_killed() && !stub.is_dead()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::stub::{Inherited, Slots};
    use rustix::process::Pid;
    use stockade_kernel::platform::{Protection, ThreadUsage};

    /// A process that does nothing until it is killed.
    fn process(inherited: Inherited) -> (Arc<Stub>, Child) {
        let child = Command::new("sleep").arg("60").spawn().expect("a process");
        (Arc::new(Stub::new(Pid::from_child(&child), Slots::after(1), inherited).expect("a stub")), child)
    }

    #[test]
    fn of_many_copies_the_oldest_that_lives_is_told() {
        let init = process(Inherited::default());
        init.0.turn().prefer();
        let (untold, copies) = (Untold::default(), [(); 5].map(|()| process(init.0.bequeath())));
        let [first, second, third, fourth, fifth] = copies.each_ref().map(|(stub, _)| stub);
        assert!(untold.add(first).is_none() && untold.add(second).is_none());
        first.life().end(ThreadUsage::default());
        assert!(untold.add(third).is_none(), "the first is dead");
        assert!(untold.add(fourth).is_some_and(|told| Arc::ptr_eq(&told, second)));
        third.kill();
        assert!(untold.add(fifth).is_none(), "the third was killed");
        for (stub, mut child) in copies.into_iter().chain([init]) {
            stub.kill();
            child.wait().expect("its end");
        }
    }

    fn map(len: u64) -> [HostCall; 1] {
        [HostCall::Map { address: 0x1000, len, protection: Protection::READ, backing: Backing::Anonymous }]
    }

    #[test]
    fn the_host_is_told_of_an_inits_copies_that_map_much() {
        let init = Turn::default();
        init.count(&map(MAPPED_MIN));
        init.prefer();
        assert!(!init.has_grown());
        let copy = init.of_copy();
        assert!(copy.has_grown() && !copy.has_grown());
        assert!(!copy.of_copy().has_grown());
    }

    #[test]
    fn what_a_program_before_mapped_or_what_is_gone_does_not_count() {
        let init = Turn::default();
        init.prefer();
        init.count(&map(MAPPED_MIN));
        let copy = init.of_copy();
        copy.begin_program();
        copy.count(&map(MAPPED_MIN - 1));
        let of_copy = copy.of_copy();
        copy.count(&[HostCall::Unmap { address: 0x1000, len: 1 << 40 }]);
        copy.shrink(5);
        copy.count(&map(5));
        assert!(!copy.has_grown() && !of_copy.has_grown());
        copy.count(&map(1));
        of_copy.count(&map(1));
        assert!(copy.has_grown() && of_copy.has_grown());
    }

    #[test]
    fn what_moves_counts_once() {
        let init = Turn::default();
        init.prefer();
        let copy = init.of_copy();
        copy.count(&map(MAPPED_MIN - 1));
        let remap = |to_len, keep| [HostCall::Remap { from: 0x1000, from_len: 9, to: 0x2000, to_len, keep }];
        copy.count(&remap(9, Keep::Nothing));
        assert!(!copy.has_grown());
        let of_copy = copy.of_copy();
        copy.count(&remap(10, Keep::Nothing));
        of_copy.count(&remap(9, Keep::Range));
        assert!(copy.has_grown() && of_copy.has_grown());
    }
}
