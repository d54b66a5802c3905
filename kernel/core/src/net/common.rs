//! What all sockets have.

use core::sync::atomic::{AtomicI32, Ordering};

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
}

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

    /// Whether something failed.
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::Relaxed) != 0
    }
}
