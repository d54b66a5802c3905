//! What all sockets have.

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

use super::Options;
use crate::Errno;
use crate::wait::SharedQueue;

/// A socket's queue, options and pending error.
#[derive(Debug, Default)]
pub struct Common {
    /// Woken when something changes.
    pub queue: SharedQueue,
    /// What setsockopt(2) changes.
    pub options: Mutex<Options>,
    error: AtomicI32,
    cookie: AtomicU64,
}

/// The last cookie that a socket was given.
static LAST_COOKIE: AtomicU64 = AtomicU64::new(0);

impl Common {
    /// As new.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something failed while nobody called: the next call is told.
    pub fn set_error(&self, errno: Errno) {
        self.error.store(errno.raw(), Ordering::SeqCst);
        self.queue.wake();
    }

    /// What failed, once.
    pub fn take_error(&self) -> Option<Errno> {
        match self.error.load(Ordering::Relaxed) {
            0 => None,
            _ => Errno::from_raw(self.error.swap(0, Ordering::SeqCst)),
        }
    }

    /// Fails with what failed before, once.
    pub fn check_error(&self) -> Result<(), Errno> {
        self.take_error().map_or(Ok(()), Err)
    }

    /// A number that no other socket has or had (SO_COOKIE). Few ask, so it is given to those.
    pub fn cookie(&self) -> u64 {
        if self.cookie.load(Ordering::Relaxed) == 0 {
            let new = LAST_COOKIE.fetch_add(1, Ordering::Relaxed) + 1;
            let _other_was_first = self.cookie.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.cookie.load(Ordering::Relaxed)
    }

    /// Whether something failed.
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::Relaxed) != 0
    }
}
