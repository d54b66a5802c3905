//! Locks with priority inheritance (futex(2), "Priority-inheritance futexes"): the word holds the owner's id, and the
//! kernel hands the lock over. Priorities are the host's; nobody is boosted.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::{Futexes, Key};
use crate::Errno;
use crate::mm::Memory;
use crate::task::{Pid, Task};
use crate::wait::Waiter as _;

const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3fff_ffff;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockPi {
    /// The lock is the task's.
    Taken,
    /// Another owns it; the task is in its queue.
    Wait,
}

/// A task that waits for a lock, or was just given it.
#[derive(Debug)]
pub(super) struct Claim {
    task: Weak<Task>,
    tid: u32,
    granted: bool,
}

impl Futexes {
    /// Takes the lock, or joins its queue. A task may ask again while it waits.
    pub fn lock_pi(&self, memory: &Memory, key: Key, word: u64, task: &Arc<Task>) -> Result<LockPi, Errno> {
        let tid = task.tid().raw();
        if self.take_grant(key, tid) {
            return Ok(LockPi::Taken);
        }
        loop {
            let value = memory.read_struct::<u32>(word)?;
            let owner = value & OWNER;
            if owner == tid && !self.is_queued(key, tid) {
                return Err(Errno::EDEADLK);
            }
            let new = if owner == 0 { tid | value & (OWNER_DIED | WAITERS) } else { value | WAITERS };
            if owner != 0 {
                if let Err(errno) = self.check_owner(task, owner) {
                    // An owner that ended may have given the lock up before.
                    if memory.read_struct::<u32>(word)? != value {
                        continue;
                    }
                    self.leave(key, tid);
                    return Err(errno);
                }
                // In the queue before the word says so: who unlocks must find it.
                self.join(key, task, tid);
            }
            if memory.space().compare_exchange_u32(word, value, new)? != value {
                continue;
            }
            if owner == 0 {
                self.leave(key, tid);
                return Ok(LockPi::Taken);
            }
            return Ok(if self.take_grant(key, tid) { LockPi::Taken } else { LockPi::Wait });
        }
    }

    /// Takes the lock if nobody has it: `EAGAIN`.
    pub fn try_lock_pi(&self, memory: &Memory, word: u64, task: &Task) -> Result<(), Errno> {
        let tid = task.tid().raw();
        let value = memory.read_struct::<u32>(word)?;
        match value & OWNER {
            0 => {}
            owner if owner == tid => return Err(Errno::EDEADLK),
            _ => return Err(Errno::EAGAIN),
        }
        let new = tid | value & (OWNER_DIED | WAITERS);
        if memory.space().compare_exchange_u32(word, value, new)? == value { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// Gives the lock to whoever waits longest: `EPERM` unless it is the task's.
    pub fn unlock_pi(&self, memory: &Memory, key: Key, word: u64, task: &Task) -> Result<(), Errno> {
        let value = memory.read_struct::<u32>(word)?;
        if value & OWNER != task.tid().raw() {
            return Err(Errno::EPERM);
        }
        self.hand_over(memory, key, word, 0)
    }

    /// The owner ended.
    pub fn owner_died(&self, memory: &Memory, key: Key, word: u64) {
        // The word was there a moment ago; who took it away has no lock any more.
        let _gone = self.hand_over(memory, key, word, OWNER_DIED);
    }

    /// Who joins the queue does so before it marks the word. One who found the mark there already changed nothing that
    /// the exchange would see; so whoever is in the queue after an exchange that took the mark away looks again.
    fn hand_over(&self, memory: &Memory, key: Key, word: u64, mark: u32) -> Result<(), Errno> {
        let mut next = None;
        loop {
            let value = memory.read_struct::<u32>(word)?;
            next = next.or_else(|| self.grant_next(key));
            let more = if next.is_some() && self.has_waiters(key) { WAITERS } else { 0 };
            let new = next.as_ref().map_or(0, |task| task.tid().raw() | more) | mark;
            if memory.space().compare_exchange_u32(word, value, new)? != value {
                continue;
            }
            if let Some(task) = next {
                task.wake();
            }
            if more == 0 {
                self.waiters(key).into_iter().for_each(|task| task.wake());
            }
            return Ok(());
        }
    }

    /// Leaves the queue after a timeout.
    pub fn give_up_pi(&self, key: Key, task: &Task) -> LockPi {
        let tid = task.tid().raw();
        if self.take_grant(key, tid) {
            return LockPi::Taken;
        }
        self.leave(key, tid);
        LockPi::Wait
    }

    /// `ESRCH` when nobody has the owner's id.
    fn check_owner(&self, task: &Task, owner: u32) -> Result<(), Errno> {
        let pid = i32::try_from(owner).ok().and_then(Pid::new).ok_or(Errno::ESRCH)?;
        task.process().pids().task(pid).map(drop).ok_or(Errno::ESRCH)
    }

    fn join(&self, key: Key, task: &Arc<Task>, tid: u32) {
        let mut locks = self.locks.lock();
        let queue = locks.entry(key).or_default();
        if !queue.iter().any(|claim| claim.tid == tid) {
            queue.push_back(Claim { task: Arc::downgrade(task), tid, granted: false });
        }
    }

    fn leave(&self, key: Key, tid: u32) {
        self.change(key, |queue| queue.retain(|claim| claim.tid != tid));
    }

    fn is_queued(&self, key: Key, tid: u32) -> bool {
        self.locks.lock().get(&key).is_some_and(|queue| queue.iter().any(|claim| claim.tid == tid))
    }

    fn has_waiters(&self, key: Key) -> bool {
        self.locks.lock().get(&key).is_some_and(|queue| queue.iter().any(|claim| !claim.granted))
    }

    fn waiters(&self, key: Key) -> Vec<Arc<Task>> {
        let locks = self.locks.lock();
        let waiting = locks.get(&key).into_iter().flatten().filter(|claim| !claim.granted);
        waiting.filter_map(|claim| claim.task.upgrade()).collect()
    }

    /// Whether the task was given the lock; it is told once.
    fn take_grant(&self, key: Key, tid: u32) -> bool {
        self.change(key, |queue| {
            let before = queue.len();
            queue.retain(|claim| claim.tid != tid || !claim.granted);
            queue.len() < before
        })
    }

    /// Gives the lock to the first waiter that lives.
    fn grant_next(&self, key: Key) -> Option<Arc<Task>> {
        self.change(key, |queue| {
            queue.retain(|claim| claim.task.strong_count() > 0);
            let claim = queue.iter_mut().find(|claim| !claim.granted)?;
            claim.granted = true;
            claim.task.upgrade()
        })
    }

    fn change<T>(&self, key: Key, change: impl FnOnce(&mut VecDeque<Claim>) -> T) -> T {
        let mut locks = self.locks.lock();
        let result = change(locks.entry(key).or_default());
        if locks.get(&key).is_some_and(VecDeque::is_empty) {
            locks.remove(&key);
        }
        result
    }
}
