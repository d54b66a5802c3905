//! What of futexes is the kernel's (futex(2)): locks with priority inheritance. Waiting for words and waking who
//! waits is the host's, since words are its memory.

mod priority;
mod requeue;
#[cfg(test)]
mod tests;
mod timed;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use crate::mm::Memory;

pub(crate) use priority::LockPi;
pub(crate) use requeue::{Place, Word};
pub(crate) use timed::TimedWait;

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
    /// By its place in the pool.
    Shared(u64),
}

impl Key {
    /// Of a word in an application's memory.
    pub fn of(memory: &Memory, address: u64) -> Self {
        match memory.pool_offset(address) {
            Some(offset) => Key::Shared(offset),
            None => Key::Private { space: Arc::as_ptr(memory.space()).addr(), address },
        }
    }
}

/// All locks, and words of condition variables, that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Futexes {
    locks: Mutex<BTreeMap<Key, priority::Queue>>,
    /// Who waits for a word to be given a lock.
    words: Mutex<BTreeMap<Key, requeue::Sleepers>>,
}
