//! What the host offers and no safe wrapper covers. Each function is safe to call; its module says why.

pub(crate) mod launch;
pub(crate) mod mapping;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod seccomp;

use std::io;

/// What a raw system call returned.
pub(crate) fn checked(result: i64) -> io::Result<u64> {
    u64::try_from(result).map_err(|_| io::Error::last_os_error())
}
