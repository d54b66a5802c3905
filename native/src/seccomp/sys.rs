//! seccomp(2). Unsafe because no safe wrapper of it is among our dependencies.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::bpf::Instruction;

pub(super) const FLAG_LOG: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_LOG;
pub(super) const FLAG_SPEC_ALLOW: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
pub(super) const FLAG_NEW_LISTENER: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
pub(super) const FLAG_TSYNC: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_TSYNC;
/// Linux 5.19.
pub(super) const FLAG_WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: libc::c_ushort,
    filter: *const Instruction,
}

/// Adds a filter to the calling thread. Async-signal-safe.
pub(super) fn install(filter: &[Instruction], flags: libc::c_ulong) -> io::Result<Option<OwnedFd>> {
    let length = libc::c_ushort::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = Program { length, filter: filter.as_ptr() };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel copies `length` instructions from the slice, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, std::ptr::from_ref(&program)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & FLAG_TSYNC != 0 && result > 0 {
        // The id of a thread with a filter of its own (seccomp(2)).
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    if flags & FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    let fd = RawFd::try_from(result).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: with this flag the kernel returns a new descriptor, close-on-exec, that is ours.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}
