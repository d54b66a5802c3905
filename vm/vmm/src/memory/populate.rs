//! Pages before they are touched.

use std::io;
use std::ops::Range;

use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::Memory;

/// Gives `addresses`, which lie in one part, pages of their own, as the guest's first stores would.
///
/// # Errors
/// There is no such memory, or the host is older than Linux 5.14.
pub fn populate(memory: &Memory, addresses: &Range<u64>) -> io::Result<()> {
    let len = usize::try_from(addresses.end.saturating_sub(addresses.start)).unwrap_or(usize::MAX);
    let slice = memory.get_slice(GuestAddress(addresses.start), len).map_err(io::Error::other)?;
    // SAFETY: the range is guest memory, whose contents the advice leaves alone. `madvise` has no safe form.
    match unsafe { libc::madvise(slice.ptr_guard_mut().as_ptr().cast(), len, libc::MADV_POPULATE_WRITE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory::{MIB, anonymous};

    fn is_resident(memory: &Memory, address: u64) -> bool {
        let page = memory.get_slice(GuestAddress(address), 4096).expect("a page");
        let mut state = 0;
        // SAFETY: the address is a page of this memory, and one byte is written for it.
        let result = unsafe { libc::mincore(page.ptr_guard_mut().as_ptr().cast(), 4096, &raw mut state) };
        result == 0 && state & 1 == 1
    }

    #[test]
    fn pages_come_ahead_where_there_is_memory() {
        let memory = anonymous(4, DirtyLog::Off).expect("memory");
        let are_resident = || [1, 2].map(|mib| is_resident(&memory, mib * MIB));
        assert_eq!(are_resident(), [false, false]);
        populate(&memory, &(MIB..3 * MIB)).expect("populated");
        assert_eq!(are_resident(), [true, true]);
        populate(&memory, &(3 * MIB..5 * MIB)).expect_err("beyond its end");
    }
}
