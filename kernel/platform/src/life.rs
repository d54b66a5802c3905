//! What is known of a process beyond its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use stockade_kernel::platform::{LateUsage, ThreadUsage};

use crate::thread::Inner;

/// What the watch knows of a process.
#[derive(Debug, Default)]
pub(crate) struct Life {
    is_over: AtomicBool,
    threads: Mutex<Vec<Weak<Inner>>>,
    used: Mutex<Used>,
    taken_off: Condvar,
}

/// What it used.
#[derive(Debug, Default)]
struct Used {
    /// Once it was taken off the host.
    told: Option<ThreadUsage>,
    /// How many wait for that: most often nobody, and then nobody is woken.
    waiting: usize,
}

impl Life {
    /// The process is dead, and used so much. Threads for which nobody receives are received for, so that their end is
    /// noticed.
    pub(crate) fn end(&self, used: ThreadUsage) {
        self.is_over.store(true, Ordering::SeqCst);
        if self.tell(used) > 0 {
            self.taken_off.notify_all();
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.iter().filter_map(Weak::upgrade).for_each(|thread| thread.attend_the_dead());
    }

    /// Says how many wait for it.
    fn tell(&self, used: ThreadUsage) -> usize {
        let mut all = self.used();
        all.told = Some(used);
        all.waiting
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.used().told
    }

    fn wait(&self, patience: Duration) -> ThreadUsage {
        let mut used = self.used();
        used.waiting += 1;
        let waited = self.taken_off.wait_timeout_while(used, patience, |used| used.told.is_none());
        let mut used = waited.unwrap_or_else(PoisonError::into_inner).0;
        used.waiting -= 1;
        used.told.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn who_asks_early_waits_for_the_end() {
        let life = Arc::new(Life::default());
        assert_eq!(life.known(), None);
        let of_thread = life.clone();
        let asking = std::thread::spawn(move || of_thread.wait(LONG));
        while life.used().waiting == 0 {
            std::thread::yield_now();
        }
        let used = ThreadUsage { minor_faults: 7, ..ThreadUsage::default() };
        life.end(used);
        assert_eq!((asking.join().ok(), life.known(), life.wait(Duration::ZERO)), (Some(used), Some(used), used));
        assert!(life.is_over());
    }
}
