//! What contended locks of the kernel wait on: the host's futexes.

use std::sync::atomic::AtomicU32;

use rustix::thread::futex;
use stockade_kernel_sync::{Parker, set_parker};

struct Futex;

static FUTEX: &dyn Parker = &Futex;

impl Parker for Futex {
    fn park(&self, word: &AtomicU32, expected: u32) {
        // An early return is allowed: the lock looks again.
        let _ = futex::wait(word, futex::Flags::PRIVATE, expected, None);
    }

    fn unpark(&self, word: &AtomicU32) {
        let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
    }
}

/// Lets the kernel's locks sleep.
pub(super) fn install() {
    set_parker(&FUTEX);
}
