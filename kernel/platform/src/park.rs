//! What contended locks of the kernel wait on: the host's futex.

use std::sync::Once;
use std::sync::atomic::AtomicU32;

use rustix::thread::futex;
use stockade_kernel_sync::{Parker, set_parker};

struct Futex;

static PARKER: &dyn Parker = &Futex;
static ONCE: Once = Once::new();

/// Sets it, once for the process.
pub(crate) fn set_up() {
    ONCE.call_once(|| set_parker(&PARKER));
}

impl Parker for Futex {
    fn park(&self, word: &AtomicU32, expected: u32) {
        // It may return early: the lock looks again.
        let _woken = futex::wait(word, futex::Flags::PRIVATE, expected, None);
    }

    fn unpark(&self, word: &AtomicU32) {
        let woken = futex::wake(word, futex::Flags::PRIVATE, 1);
        debug_assert!(woken.is_ok(), "a word of ours can be woken");
    }
}
