//! Futexes that tasks wait for in the kernel: shared ones (futex(2)). Private ones are the host's.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel_sync::Mutex;

use crate::mm::Memory;
use crate::task::Task;
use crate::wait::Waiter;

/// Names a word: in one address space, or in the pool when spaces can share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// By address.
    Private {
        /// Which address space.
        space: usize,
        /// Where in it.
        address: u64,
    },
}

impl Key {
    /// Of a word in an application's memory.
    pub fn of(memory: &Memory, address: u64) -> Self {
        Key::Private { space: Arc::as_ptr(memory.space()).addr(), address }
    }
}

/// One task that waits for a word.
#[derive(Debug)]
pub(crate) struct Sleeper {
    waiter: Arc<dyn Waiter>,
    bits: u32,
    woken: AtomicBool,
}

impl Sleeper {
    /// Whether it was woken.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }
}

/// Wakes whoever waits, whatever bits it waits for.
pub(crate) const ANY_BITS: u32 = u32::MAX;

/// All tasks that wait for words, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Futexes(Mutex<BTreeMap<Key, VecDeque<Weak<Sleeper>>>>);

impl Futexes {
    /// Adds a sleeper. It stays until it is woken or dropped.
    pub fn add(&self, key: Key, waiter: Arc<dyn Waiter>, bits: u32) -> Arc<Sleeper> {
        let sleeper = Arc::new(Sleeper { waiter, bits, woken: AtomicBool::new(false) });
        let mut table = self.0.lock();
        let queue = table.entry(key).or_default();
        queue.retain(|other| other.strong_count() > 0);
        queue.push_back(Arc::downgrade(&sleeper));
        sleeper
    }

    /// Wakes up to `count` sleepers that wait for one of `bits`, and says how many.
    pub fn wake(&self, key: Key, count: usize, bits: u32) -> usize {
        let taken = self.take(key, count, bits);
        for sleeper in &taken {
            sleeper.woken.store(true, Ordering::SeqCst);
            sleeper.waiter.clone().wake();
        }
        taken.len()
    }

    fn take(&self, key: Key, count: usize, bits: u32) -> Vec<Arc<Sleeper>> {
        let mut taken = Vec::new();
        let mut table = self.0.lock();
        let Some(queue) = table.get_mut(&key) else { return taken };
        queue.retain(|sleeper| match sleeper.upgrade() {
            None => false,
            Some(sleeper) if taken.len() < count && sleeper.bits & bits != 0 => {
                taken.push(sleeper);
                false
            }
            Some(_) => true,
        });
        if queue.is_empty() {
            table.remove(&key);
        }
        taken
    }
}

impl Task {
    /// FUTEX_WAKE on a shared word.
    pub(crate) fn wake_futex(&self, memory: &Memory, address: u64, count: usize) -> usize {
        self.kernel().futexes().wake(Key::of(memory, address), count, ANY_BITS)
    }
}
