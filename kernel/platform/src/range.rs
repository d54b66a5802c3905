//! Which addresses are the application's.

use stockade_kernel_stub::abi::RESERVED_START;

/// The lowest address that is handed out: vm.mmap_min_addr at its usual greatest.
pub(crate) const USER_START: u64 = 0x1_0000;

/// Whether `address..address + len` stays clear of the stub's own pages. Both are hostile.
pub(crate) fn is_applications(address: u64, len: u64) -> bool {
    address.checked_add(len).is_some_and(|end| end <= RESERVED_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: u64, len: u64, expected: bool) {
        assert_eq!(is_applications(address, len), expected, "{address:#x} + {len:#x}");
    }

    #[test]
    fn ranges_that_reach_the_stub_are_seen() {
        check(0x1000, 0x1000, true);
        check(RESERVED_START - 0x1000, 0x1000, true);
        check(RESERVED_START - 0x1000, 0x1001, false);
        check(RESERVED_START, 0, true);
        check(RESERVED_START, 1, false);
        check(0x1000, u64::MAX, false);
        check(u64::MAX, u64::MAX, false);
        check(0, RESERVED_START, true);
        check(0, RESERVED_START + 1, false);
    }
}
