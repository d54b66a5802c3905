//! What is known of a process beyond its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use stockade_kernel::platform::{LateUsage, ThreadUsage};

use crate::thread::Inner;

/// A process that was killed and is there for longer is one that the host keeps, with its whole control group.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the watch knows of a process.
#[derive(Debug, Default)]
pub(crate) struct Life {
    is_over: AtomicBool,
    threads: Mutex<Vec<Weak<Inner>>>,
    /// Once it was taken off the host.
    used: Mutex<Option<ThreadUsage>>,
    taken_off: Condvar,
}

impl Life {
    /// The process is dead, and used so much. Threads for which nobody receives are received for, so that their end is
    /// noticed.
    pub(crate) fn end(&self, used: ThreadUsage) {
        self.is_over.store(true, Ordering::SeqCst);
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
        self.taken_off.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.iter().filter_map(Weak::upgrade).for_each(|thread| thread.attend_the_dead());
    }

    /// Whether the watch saw its end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The watch finds it when the process dies.
    pub(crate) fn add_thread(&self, thread: &Arc<Inner>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() == threads.capacity() {
            threads.retain(|other| other.strong_count() > 0);
        }
        threads.push(Arc::downgrade(thread));
    }
}

impl LateUsage for Life {
    fn known(&self) -> Option<ThreadUsage> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> ThreadUsage {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.taken_off.wait_timeout_while(used, PATIENCE, |used| used.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.unwrap_or_default()
    }
}
