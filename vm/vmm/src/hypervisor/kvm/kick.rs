//! How a processor thread is brought back from the guest without losing a signal that comes too early.
//!
//! The handler marks its own thread as kicked and, if that thread is about to enter the guest, sets `immediate_exit` of
//! its `kvm_run` page (Documentation/virt/kvm/api.rst, 5): the kernel looks at it after the signal can no longer be
//! missed.

use std::cell::Cell;
use std::ptr;

use vmm_sys_util::signal::register_signal_handler;

use super::super::{Error, kick_signal};
use super::refused;

thread_local! {
    static KICKED: Cell<bool> = const { Cell::new(false) };
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// Makes [`kick_signal`] harmless and useful, in the whole process.
pub fn install() -> Result<(), Error> {
    register_signal_handler(kick_signal(), on_kick).map_err(refused("handle the signal that pauses processors"))
}

/// Runs `enter` with kicks going to `immediate_exit`; `None` if a kick came since the last time.
pub fn with_kicks<T>(immediate_exit: *mut u8, enter: impl FnOnce() -> T) -> Option<T> {
    IMMEDIATE_EXIT.set(immediate_exit);
    let entered = if KICKED.take() { None } else { Some(enter()) };
    IMMEDIATE_EXIT.set(ptr::null_mut());
    KICKED.set(false);
    // SAFETY: the caller's `kvm_run` page is mapped as long as its processor lives, which its `&mut` outlasts; the
    // kernel only reads this byte. No safe wrapper writes it while the processor is borrowed by the running call.
    unsafe { immediate_exit.write_volatile(0) };
    entered
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    KICKED.set(true);
    let immediate_exit = IMMEDIATE_EXIT.get();
    if !immediate_exit.is_null() {
        // SAFETY: not null only while this very thread is inside `with_kicks`, whose caller keeps the page mapped.
        // A signal handler can do no more than store a byte.
        unsafe { immediate_exit.write_volatile(1) };
    }
}
