//! The one thing here that the safe wrappers leave out.

use rustix::process::Signal;

use super::CgroupError;

/// Any signal of the kernel, real-time ones included.
pub(super) fn signal(number: i32) -> Result<Signal, CgroupError> {
    if !(1..=64).contains(&number) {
        return Err(CgroupError::invalid("signal", format!("{number} is not in 1..=64")));
    }
    if let Some(signal) = Signal::from_named_raw(number) {
        return Ok(signal);
    }
    // SAFETY: the number is one of the kernel's. rustix fears for the two that libc keeps to itself (32, 33) when they
    // go to a thread of this process; these go to a container's, as kill(1) would send them.
    Ok(unsafe { Signal::from_raw_unchecked(number) })
}
