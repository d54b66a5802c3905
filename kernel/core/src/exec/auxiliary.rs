//! The auxiliary vector (getauxval(3)).

use alloc::vec::Vec;

use linux_raw_sys::auxvec as abi;

use super::elf::SEGMENT_HEADER_BYTES;
use super::image::Image;
use crate::mm::PAGE;
use crate::platform::MachineInfo;
use crate::task::Credentials;

/// USER_HZ: ticks of a second in the ABI.
const TICKS: u64 = 100;

/// Whether a program got rights that its caller lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secure {
    /// It must not trust its environment.
    Yes,
    /// It is its caller's.
    No,
}

/// Entries that need no address on the stack.
pub fn vector(info: &MachineInfo, image: &Image, credentials: &Credentials, secure: Secure) -> Vec<(u64, u64)> {
    let entries = [
        (abi::AT_SYSINFO_EHDR, info.vdso_address),
        (abi::AT_HWCAP, info.hwcap[0]),
        (abi::AT_PAGESZ, PAGE),
        (abi::AT_CLKTCK, TICKS),
        (abi::AT_PHDR, image.headers),
        (abi::AT_PHENT, SEGMENT_HEADER_BYTES as u64),
        (abi::AT_PHNUM, image.header_count.into()),
        (abi::AT_BASE, image.base),
        (abi::AT_FLAGS, 0),
        (abi::AT_ENTRY, image.entry),
        (abi::AT_UID, credentials.uid.into()),
        (abi::AT_EUID, credentials.euid.into()),
        (abi::AT_GID, credentials.gid.into()),
        (abi::AT_EGID, credentials.egid.into()),
        (abi::AT_SECURE, u64::from(secure == Secure::Yes)),
        (abi::AT_HWCAP2, info.hwcap[1]),
        (abi::AT_MINSIGSTKSZ, info.min_signal_stack_bytes),
    ];
    let there = |(kind, value): &(u32, u64)| *kind != abi::AT_SYSINFO_EHDR || *value != 0;
    entries.into_iter().filter(there).map(|(kind, value)| (kind.into(), value)).collect()
}
