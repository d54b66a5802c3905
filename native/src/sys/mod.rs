//! The system calls that no safe wrapper covers. The only unsafe code of this crate outside `seccomp`, `cgroup` and
//! `device` lives here, one small file per family.

pub(crate) mod clone;
pub(crate) mod identity;
pub(crate) mod loop_ioctl;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod process;

use std::io;

/// A raw system call's answer as a result.
pub(crate) fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
