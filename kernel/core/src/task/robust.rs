//! What a task that ends owes to those who share memory with it: robust futexes and `clear_child_tid`.

use alloc::sync::Arc;

use super::Task;
use crate::mm::Memory;

/// set_robust_list(2)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RobustList {
    /// Address of `struct robust_list_head`; 0 when there is none.
    pub head: u64,
}

/// Bytes of `struct robust_list_head`.
pub(crate) const HEAD_BYTES: u64 = 24;
/// ROBUST_LIST_LIMIT of Linux: a circle ends here.
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
}

impl Task {
    /// Clears the word that CLONE_CHILD_CLEARTID named and marks the robust futexes that it holds, and wakes who waits
    /// for them. Both wakes are those of shared futexes (`FUTEX_WAKE` without `FUTEX_PRIVATE_FLAG`), as on Linux.
    pub(crate) fn settle_memory(self: &Arc<Self>, memory: &Memory) {
        let settings = *self.settings.lock();
        if settings.robust_list.head != 0 {
            self.walk_robust_list(memory, settings.robust_list.head);
        }
        let word = settings.clear_child_tid;
        if word != 0 && memory.write_struct(word, &0_u32).is_ok() {
            self.wake_futex(memory, word, 1);
        }
    }

    /// `exit_robust_list` of Linux. The list is the application's: any fault ends the walk.
    fn walk_robust_list(&self, memory: &Memory, head: u64) {
        let Ok([first, offset, pending]) = memory.read_struct::<[u64; 3]>(head) else { return };
        let pending = Entry(pending);
        let mut entry = Entry(first);
        for _ in 0..ENTRIES_MAX {
            if entry.address() == head {
                break;
            }
            let Ok(next) = memory.read_struct::<u64>(entry.address()) else { break };
            if entry.address() != pending.address() && !self.release_futex(memory, entry, offset) {
                return;
            }
            entry = Entry(next);
        }
        if pending.address() != 0 {
            self.release_futex(memory, pending, offset);
        }
    }

    /// `handle_futex_death` of Linux; false when the word is not there.
    fn release_futex(&self, memory: &Memory, entry: Entry, offset: u64) -> bool {
        let word = entry.address().wrapping_add(offset);
        let Ok(mut value) = memory.read_struct::<u32>(word) else { return false };
        while value & FUTEX_TID_MASK == self.tid().raw() {
            let new = value & FUTEX_WAITERS | FUTEX_OWNER_DIED;
            match memory.space().compare_exchange_u32(word, value, new) {
                Ok(found) if found == value => {
                    if value & FUTEX_WAITERS != 0 {
                        self.wake_futex(memory, word, 1);
                    }
                    return true;
                }
                Ok(found) => value = found,
                Err(_) => return false,
            }
        }
        true
    }
}
