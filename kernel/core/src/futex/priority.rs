//! Locks with priority inheritance (futex(2), "Priority-inheritance futexes"): the word holds the owner's id, and the
//! kernel hands the lock over. Priorities are the host's; nobody is boosted.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};

use super::{Futexes, Key, Word};
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

/// Who waits for one lock, and who was given it and does not know yet.
pub(super) type Queue = VecDeque<Claim>;

/// Each operation holds the queues' lock from its look at the word to its exchange: nobody hears that the lock is its
/// own before the word says so. Applications alone change the word meanwhile, and the exchange sees that.
impl Futexes {
    /// Takes the lock, or joins its queue. A task may ask again while it waits.
    pub fn lock_pi(&self, memory: &Memory, key: Key, word: u64, task: &Arc<Task>) -> Result<LockPi, Errno> {
        self.change(key, |queue| {
            if take_grant(queue, task) {
                return Ok(LockPi::Taken);
            }
            let got = attempt(queue, memory, word, task);
            if got != Ok(LockPi::Wait) {
                leave(queue, task);
            }
            got
        })
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
        self.hand_over(memory, key, word, (task.tid().raw(), 0))
    }

    /// The owner ended.
    pub fn owner_died(&self, memory: &Memory, key: Key, word: u64, owner: u32) {
        // The word was there a moment ago; who took it away has no lock any more.
        let _gone = self.hand_over(memory, key, word, (owner, OWNER_DIED));
    }

    fn hand_over(&self, memory: &Memory, key: Key, word: u64, (owner, mark): (u32, u32)) -> Result<(), Errno> {
        let next = self.change(key, |queue| {
            queue.retain(|claim| claim.task.strong_count() > 0 && claim.tid != owner);
            loop {
                let value = memory.read_struct::<u32>(word)?;
                if value & OWNER != owner {
                    return Err(Errno::EPERM);
                }
                let more = if queue.len() > 1 { WAITERS } else { 0 };
                let new = queue.front().map_or(0, |next| next.tid | more) | mark;
                if memory.space().compare_exchange_u32(word, value, new)? == value {
                    return Ok(queue.front_mut().and_then(Claim::grant));
                }
            }
        })?;
        if let Some(task) = next {
            task.wake();
        }
        Ok(())
    }

    /// Leaves the queue after a timeout.
    pub fn give_up_pi(&self, key: Key, task: &Task) -> LockPi {
        self.change(key, |queue| {
            let is_granted = take_grant(queue, task);
            leave(queue, task);
            if is_granted { LockPi::Taken } else { LockPi::Wait }
        })
    }

    /// Whether the task was given a lock, or waits for it; `None` when neither.
    pub(super) fn claimed(&self, key: Key, task: &Task) -> Option<LockPi> {
        self.change(key, |queue| {
            if take_grant(queue, task) {
                return Some(LockPi::Taken);
            }
            queue.iter().any(|claim| claim.tid == task.tid().raw()).then_some(LockPi::Wait)
        })
    }

    /// Takes a lock for the first of some tasks, if it is free; the others wait for it. Says who has it now.
    pub(super) fn take_for(
        &self,
        memory: &Memory,
        to: Word,
        tasks: &[Arc<Task>],
        caller: &Task,
    ) -> Result<Option<Arc<Task>>, Errno> {
        let Some(first) = tasks.first() else { return Ok(None) };
        self.change(to.key, |queue| {
            let others = if queue.is_empty() && tasks.len() == 1 { 0 } else { WAITERS };
            let is_taken = take_or_mark(memory, to.address, first, others, caller)?;
            tasks.iter().for_each(|task| join(queue, task));
            let claim = queue.iter_mut().find(|claim| is_taken && claim.tid == first.tid().raw());
            Ok(claim.and_then(Claim::grant))
        })
    }

    fn change<T>(&self, key: Key, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut locks = self.locks.lock();
        let result = change(locks.entry(key).or_default());
        if locks.get(&key).is_some_and(VecDeque::is_empty) {
            locks.remove(&key);
        }
        result
    }
}

impl Claim {
    fn grant(&mut self) -> Option<Arc<Task>> {
        self.granted = true;
        self.task.upgrade()
    }
}

/// Takes a lock that is free, or marks it and stays in the queue.
fn attempt(queue: &mut Queue, memory: &Memory, word: u64, task: &Arc<Task>) -> Result<LockPi, Errno> {
    let tid = task.tid().raw();
    loop {
        let value = memory.read_struct::<u32>(word)?;
        let owner = value & OWNER;
        let new = if owner == 0 { tid | value & (OWNER_DIED | WAITERS) } else { value | WAITERS };
        if owner == tid {
            return Err(Errno::EDEADLK);
        }
        if owner != 0
            && let Err(errno) = check_owner(task, owner)
        {
            // An owner that ended may have given the lock up before.
            if memory.read_struct::<u32>(word)? != value {
                continue;
            }
            return Err(errno);
        }
        if memory.space().compare_exchange_u32(word, value, new)? != value {
            continue;
        }
        if owner == 0 {
            return Ok(LockPi::Taken);
        }
        join(queue, task);
        return Ok(LockPi::Wait);
    }
}

/// Makes a task the owner of a lock that is free, true; marks one that is not as waited for, false.
fn take_or_mark(memory: &Memory, word: u64, task: &Task, others: u32, caller: &Task) -> Result<bool, Errno> {
    let tid = task.tid().raw();
    loop {
        let value = memory.read_struct::<u32>(word)?;
        let is_free = value & OWNER == 0;
        if value & OWNER == tid {
            return Err(Errno::EDEADLK);
        }
        let new = if is_free { tid | value & OWNER_DIED | others } else { value | WAITERS };
        if !is_free {
            check_owner(caller, value & OWNER)?;
        }
        if memory.space().compare_exchange_u32(word, value, new)? == value {
            return Ok(is_free);
        }
    }
}

/// `ESRCH` when nobody has the owner's id.
fn check_owner(task: &Task, owner: u32) -> Result<(), Errno> {
    let pid = i32::try_from(owner).ok().and_then(Pid::new).ok_or(Errno::ESRCH)?;
    task.process().pids().task(pid).map(drop).ok_or(Errno::ESRCH)
}

fn join(queue: &mut Queue, task: &Arc<Task>) {
    let tid = task.tid().raw();
    if !queue.iter().any(|claim| claim.tid == tid) {
        queue.push_back(Claim { task: Arc::downgrade(task), tid, granted: false });
    }
}

fn leave(queue: &mut Queue, task: &Task) {
    queue.retain(|claim| claim.tid != task.tid().raw());
}

/// Whether the task was given the lock; it is told once.
fn take_grant(queue: &mut Queue, task: &Task) -> bool {
    let before = queue.len();
    queue.retain(|claim| claim.tid != task.tid().raw() || !claim.granted);
    queue.len() < before
}
