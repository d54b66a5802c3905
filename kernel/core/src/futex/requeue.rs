//! Waiting for a word, and then for a lock (futex(2), FUTEX_WAIT_REQUEUE_PI): condition variables whose mutex inherits
//! priority. Nobody wakes such a waiter by the word alone: whoever signals the condition moves it to the lock.
//!
//! Lock order: those who wait for words, then those who wait for locks.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::{Futexes, Key, LockPi};
use crate::mm::Memory;
use crate::task::Task;
use crate::wait::Waiter as _;
use crate::{Errno, Kernel};

/// A word in an application's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// What it is known by.
    pub key: Key,
    /// Where it is in the caller's memory.
    pub address: u64,
}

impl Word {
    /// At an address, which must be aligned.
    pub fn new(memory: &Memory, address: u64) -> Result<Self, Errno> {
        let aligned = address.is_multiple_of(4);
        if aligned { Ok(Self { key: Key::of(memory, address), address }) } else { Err(Errno::EINVAL) }
    }
}

/// A task that waits for a word, to be given a lock.
#[derive(Debug)]
pub(super) struct Sleeper {
    task: Weak<Task>,
    tid: u32,
    /// The lock.
    target: Key,
}

/// Who waits for one word.
pub(super) type Sleepers = VecDeque<Sleeper>;

/// A task's place among those who wait for a word; it is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    kernel: Arc<Kernel>,
    key: Key,
    tid: u32,
}

impl Place {
    /// Of a task that waits for a word.
    pub fn new(task: &Task, word: Word) -> Self {
        Self { kernel: task.kernel().clone(), key: word.key, tid: task.tid().raw() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kernel.futexes().leave_word(self.key, self.tid);
    }
}

impl Futexes {
    /// Takes the lock that the task was moved to, or waits: for the word if it still holds `value`, `EAGAIN` otherwise.
    pub fn wait_requeue(
        &self,
        memory: &Memory,
        (from, value): (Word, u32),
        to: Word,
        task: &Arc<Task>,
    ) -> Result<LockPi, Errno> {
        let mut words = self.words.lock();
        if let Some(got) = self.claimed(to.key, task) {
            return Ok(got);
        }
        let tid = task.tid().raw();
        if words.get(&from.key).is_some_and(|all| all.iter().any(|sleeper| sleeper.tid == tid)) {
            return Ok(LockPi::Wait);
        }
        if memory.read_struct::<u32>(from.address)? != value {
            return Err(Errno::EAGAIN);
        }
        let sleeper = Sleeper { task: Arc::downgrade(task), tid, target: to.key };
        words.entry(from.key).or_default().push_back(sleeper);
        Ok(LockPi::Wait)
    }

    /// Waits no more, after a timeout; the lock may have come in the last moment.
    pub fn give_up_requeue(&self, from: Word, to: Word, task: &Task) -> LockPi {
        self.leave_word(from.key, task.tid().raw());
        self.give_up_pi(to.key, task)
    }

    fn leave_word(&self, key: Key, tid: u32) {
        let mut words = self.words.lock();
        if let Some(all) = words.get_mut(&key) {
            all.retain(|sleeper| sleeper.tid != tid);
            if all.is_empty() {
                words.remove(&key);
            }
        }
    }

    /// Gives the lock to the first who waits for the word, if it is free, and lets up to `more` others wait for it.
    /// Says how many that were. `EAGAIN` unless the word holds `value`; `EINVAL` when they wait for another lock.
    pub fn requeue_pi(
        &self,
        memory: &Memory,
        (from, value): (Word, u32),
        to: Word,
        more: usize,
        caller: &Task,
    ) -> Result<usize, Errno> {
        let granted;
        let count = {
            let mut words = self.words.lock();
            if memory.read_struct::<u32>(from.address)? != value {
                return Err(Errno::EAGAIN);
            }
            let Some(all) = words.get_mut(&from.key) else { return Ok(0) };
            all.retain(|sleeper| sleeper.task.strong_count() > 0);
            let count = all.len().min(more.saturating_add(1));
            if all.iter().take(count).any(|sleeper| sleeper.target != to.key) {
                return Err(Errno::EINVAL);
            }
            let tasks: Vec<Arc<Task>> = all.iter().take(count).filter_map(|sleeper| sleeper.task.upgrade()).collect();
            granted = self.take_for(memory, to, &tasks, caller)?;
            all.drain(..count);
            if all.is_empty() {
                words.remove(&from.key);
            }
            count
        };
        if let Some(task) = granted {
            task.wake();
        }
        Ok(count)
    }
}
