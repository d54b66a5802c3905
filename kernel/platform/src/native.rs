//! System calls that the application may make of the host when the kernel says so. All that matters about their
//! arguments is numbers in registers, so that nothing can change between check and use; the newer futex calls are as
//! harmless as futex(2) whatever memory their arguments point to, since they touch only their caller's words.

use crate::range::is_applications;

const MPROTECT: u32 = 10;
const MUNMAP: u32 = 11;
const MINCORE: u32 = 27;
const MADVISE: u32 = 28;
const EXIT: u32 = 60;
const MLOCK: u32 = 149;
const MUNLOCK: u32 = 150;
pub(crate) const FUTEX: u32 = 202;
pub(crate) const FUTEX_COMMAND_MASK: u64 = 0x7f;
pub(crate) const FUTEX_WAIT_COMMAND: u64 = 0;
const MEMBARRIER: u32 = 324;
pub(crate) const FUTEX_WAITV: u32 = 449;
const FUTEX_WAKE: u32 = 454;
pub(crate) const FUTEX_WAIT: u32 = 455;
const FUTEX_REQUEUE: u32 = 456;

/// Whether the host may do this call for the application: it stays within the application's memory.
pub(crate) fn is_permitted(number: u32, arguments: [u64; 6]) -> bool {
    match number {
        FUTEX => arguments[1] & FUTEX_COMMAND_MASK == FUTEX_WAIT_COMMAND,
        MPROTECT | MUNMAP | MADVISE | MLOCK | MUNLOCK => is_applications(arguments[0], arguments[1]),
        // A byte for each page.
        MINCORE => {
            is_applications(arguments[0], arguments[1]) && is_applications(arguments[2], arguments[1].div_ceil(4096))
        }
        EXIT | MEMBARRIER | FUTEX_WAITV | FUTEX_WAKE | FUTEX_WAIT | FUTEX_REQUEUE => true,
        _ => false,
    }
}
