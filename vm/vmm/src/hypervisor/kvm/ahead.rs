//! Pages that a guest is about to touch, mapped before it does: each would be an exit of its own.

use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use kvm_bindings::kvm_pre_fault_memory;
use kvm_ioctls::VcpuFd;

const PAGE: u64 = 0x1000;
/// `_IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)`.
const KVM_PRE_FAULT_MEMORY: libc::c_ulong = 0xc040_aed5;

/// Maps all pages of `addresses`, or those up to the first that cannot be: none before Linux 6.11 and without nested
/// paging.
pub fn map(fd: &VcpuFd, addresses: Range<u64>) {
    let gpa = addresses.start & !(PAGE - 1);
    let size = addresses.end.saturating_sub(gpa) & !(PAGE - 1);
    let mut left = kvm_pre_fault_memory { gpa, size, ..Default::default() };
    while left.size > 0 {
        // SAFETY: the request reads and writes the record, which lives until it returns; what it tells of what is left
        // is only given back to it. kvm-ioctls does not have it.
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), KVM_PRE_FAULT_MEMORY, &raw mut left) };
        let error = io::Error::last_os_error();
        if result < 0 && !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) {
            tracing::debug!("memory from {:#x} on is not mapped ahead: {error}", left.gpa);
            return;
        }
    }
}
