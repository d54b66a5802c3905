//! What a task that ends owes to those who share memory with it: robust futexes (set_robust_list(2)).
//!
//! The words are written here. Their waiters wait in the host's futex(2): a thread of the host has to wake those of
//! private memory; shared memory is the pool's, and so can be woken whatever became of the task's host thread.
//!
//! A task that computes may take and release locks at any time, and its list can be read only as long as its space is
//! there. So one that can write shared memory is not ended from outside, but interrupted, and ends by itself.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::Task;
use crate::futex::Key;
use crate::mm::{Memory, SharedWord};
use crate::platform::{HostCall, Reply};
use crate::signal::Attention;

/// set_robust_list(2)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RobustList {
    /// Address of `struct robust_list_head`; 0 when there is none.
    pub head: u64,
}

/// Bytes of `struct robust_list_head`.
pub(crate) const HEAD_BYTES: u64 = 24;
/// ROBUST_LIST_LIMIT of Linux.
const ENTRIES_MAX: usize = 2048;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// An entry of the list: its lowest bit says that it is a PI futex.
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    fn address(self) -> u64 {
        self.0 & !1
    }

    fn is_pi(self) -> bool {
        self.0 & 1 != 0
    }
}

impl Task {
    /// Ends the task on its own host thread, which first wakes who waits for its robust futexes.
    pub(crate) fn end_politely(self: &Arc<Self>) {
        let wakes = self.release_robust_list(&self.memory());
        let Some(thread) = self.thread().filter(|_| !wakes.is_empty()) else { return self.end_here() };
        self.signals.raise(Attention::EXIT);
        self.sleep.leave();
        let calls = wakes.into_iter().map(|address| HostCall::FutexWake { address, count: 1 }).collect();
        thread.reply(Reply::LayoutThenEvent { calls });
    }

    /// Whether the task must end on its own host thread: it computes, and may hold what other processes wait for. It is
    /// told to, then.
    pub(super) fn ends_by_itself(&self) -> bool {
        let may_hold = || self.settings.lock().robust_list.head != 0 && self.memory().writes_shared();
        let Some(thread) = self.thread().filter(|_| self.sleep.computes() && may_hold()) else { return false };
        thread.interrupt();
        true
    }

    /// Marks the robust futexes that it holds (`exit_robust_list` of Linux), once, wakes who waits for those in shared
    /// memory, and says which others somebody waits for. The list is the application's: any fault ends the walk.
    pub(crate) fn release_robust_list(&self, memory: &Memory) -> Vec<u64> {
        let mut wakes = Vec::new();
        let head = core::mem::take(&mut self.settings.lock().robust_list).head;
        if head != 0 && self.is_seen(memory) {
            self.walk_robust_list(memory, head, &mut wakes);
        }
        wakes
    }

    /// Whether anybody else sees what it writes.
    fn is_seen(&self, memory: &Memory) -> bool {
        let process = self.process();
        process.task_count() > 1 || process.shares_memory.load(Ordering::Relaxed) || memory.writes_shared()
    }

    fn walk_robust_list(&self, memory: &Memory, head: u64, wakes: &mut Vec<u64>) {
        let Ok([first, offset, pending]) = memory.read_struct::<[u64; 3]>(head) else { return };
        let pending = Entry(pending);
        let mut entry = Entry(first);
        // Of a circle that misses its head, what is on it was released when it comes by again.
        let mut mark = first;
        for step in 0..ENTRIES_MAX {
            if entry.address() == head {
                break;
            }
            let Ok(next) = memory.read_struct::<u64>(entry.address()) else { break };
            if entry.address() != pending.address() && self.release_futex(memory, entry, offset, wakes).is_none() {
                return;
            }
            if next == mark {
                break;
            }
            if step.is_power_of_two() {
                mark = next;
            }
            entry = Entry(next);
        }
        if pending.address() != 0 {
            self.release_futex(memory, pending, offset, wakes);
        }
    }

    /// `handle_futex_death` of Linux; `None` when the word is not there.
    fn release_futex(&self, memory: &Memory, entry: Entry, offset: u64, wakes: &mut Vec<u64>) -> Option<()> {
        let word = Word::find(memory, entry.address().wrapping_add(offset))?;
        let tid = self.tid().raw();
        if entry.is_pi() {
            self.kernel().futexes().owner_died(memory, Key::of(memory, word.address), word.address, tid);
            return Some(());
        }
        let mut value: u32 = memory.read_struct(word.address).ok()?;
        while value & FUTEX_TID_MASK == tid {
            let found = word.exchange(self, memory, value, value & FUTEX_WAITERS | FUTEX_OWNER_DIED)?;
            if found == value {
                if value & FUTEX_WAITERS != 0 {
                    word.wake(self, wakes);
                }
                break;
            }
            value = found;
        }
        Some(())
    }
}

/// The word of a robust futex.
struct Word {
    address: u64,
    shared: Option<SharedWord>,
}

impl Word {
    /// `None` where the application could not write it itself.
    fn find(memory: &Memory, address: u64) -> Option<Self> {
        let shared = memory.shared_word(address);
        let is_possible = address.is_multiple_of(4) && shared.as_ref().is_none_or(|word| word.is_writable);
        is_possible.then_some(Self { address, shared })
    }

    fn exchange(&self, task: &Task, memory: &Memory, expected: u32, new: u32) -> Option<u32> {
        match &self.shared {
            Some(word) => task.kernel().machine().pool().compare_exchange_u32(word.offset, expected, new).ok(),
            None => memory.space().compare_exchange_u32(self.address, expected, new).ok(),
        }
    }

    fn wake(&self, task: &Task, wakes: &mut Vec<u64>) {
        match &self.shared {
            Some(word) => task.kernel().machine().pool().wake_futex(word.offset),
            None => wakes.push(self.address),
        }
    }
}
