//! Locks for the kernel's core, which is `no_std` and has no operating system of its own to wait on.
//!
//! An uncontended lock is one atomic exchange. A contended one spins for a moment, since most sections are shorter than
//! a futex call, and then waits on the [`Parker`] that the program gave (the host's futex), or spins where none was
//! given (unit tests).
//!
//! Invariant: no lock is held while a task is blocked, and none while user memory faults in a way that waits for
//! another task.
#![no_std]

use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// A mutual exclusion lock around a value.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// Holds a [`Mutex`].
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// Puts host threads to sleep and wakes them, as futex(2) does.
pub trait Parker: Sync {
    /// Sleeps while `word` holds `expected`; may return early.
    fn park(&self, word: &AtomicU32, expected: u32);
    /// Wakes one thread that sleeps on `word`.
    fn unpark(&self, word: &AtomicU32);
}

/// A thin pointer to the `&'static dyn Parker`, which itself is two words wide.
static PARKER: AtomicPtr<&'static dyn Parker> = AtomicPtr::new(core::ptr::null_mut());

/// Sets what contended locks wait on. Call once, before the first lock is contended.
pub fn set_parker(parker: &'static &'static dyn Parker) {
    PARKER.store(core::ptr::from_ref(parker).cast_mut(), Ordering::Release);
}

fn parker() -> Option<&'static dyn Parker> {
    let pointer = PARKER.load(Ordering::Acquire);
    // SAFETY: only `set_parker` stores here, and it stores a pointer made from a `&'static` reference.
    unsafe { pointer.as_ref() }.copied()
}

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;
/// About as long as a short section plus a cache line's way; a futex round trip costs ten times that.
const SPINS: u32 = 100;

/// The lock below [`Mutex`]: Drepper's second mutex ("Futexes are tricky", 2011).
#[derive(Debug)]
pub struct RawMutex(AtomicU32);

// SAFETY: `lock` and `try_lock` return only to the one thread that moved the word from FREE to HELD or AWAITED with
// acquire ordering, and `unlock` moves it back with release ordering.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = Self(AtomicU32::new(FREE));
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended();
        }
    }

    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Ordering::Release) == AWAITED
            && let Some(parker) = parker()
        {
            parker.unpark(&self.0);
        }
    }
}

impl RawMutex {
    #[cold]
    fn lock_contended(&self) {
        use lock_api::RawMutex as _;
        for _ in 0..SPINS {
            core::hint::spin_loop();
            if self.try_lock() {
                return;
            }
        }
        while self.0.swap(AWAITED, Ordering::Acquire) != FREE {
            match parker() {
                Some(parker) => parker.park(&self.0, AWAITED),
                None => core::hint::spin_loop(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn many_threads_count_right() {
        let count = Mutex::new(0_u32);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| *count.lock() += 1));
            }
        });
        assert_eq!(*count.lock(), 40_000);
    }
}
