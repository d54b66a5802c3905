//! Reading and writing the memory of stubs: process_vm_readv(2) and process_vm_writev(2).

use std::mem::MaybeUninit;

use rustix::process::Pid;
use stockade_kernel_stub::abi::{Context, Hello, Message, RawCall, Saved, Welcome};

/// Values that any bytes make, and whose every byte is part of them.
///
/// # Safety
/// The type is `repr(C)`, has no padding and no invalid bit pattern.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: `repr(C)`, made of integers without gaps.
unsafe impl Plain for Context {}
// SAFETY: as above.
unsafe impl Plain for Saved {}
// SAFETY: as above.
unsafe impl Plain for RawCall {}
// SAFETY: as above.
unsafe impl Plain for Hello {}
// SAFETY: as above.
unsafe impl Plain for Welcome {}
// SAFETY: as above.
unsafe impl Plain for Message {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}

/// The bytes of a value.
pub(crate) fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` types have no padding.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// A value of these bytes; `None` when they are too few.
pub(crate) fn from_bytes<T: Plain>(bytes: &[u8]) -> Option<T> {
    // SAFETY: any bytes make a `Plain` type, and there are enough.
    (bytes.len() >= size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Copies from a process; stops at the first byte that is not there.
pub(crate) fn read(pid: Pid, address: u64, buffer: &mut [u8]) -> usize {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the local range is a buffer that nobody else has.
    unsafe { transfer(libc::process_vm_readv, pid, local, address) }
}

/// Copies to a process; stops at the first byte that cannot be written.
pub(crate) fn write(pid: Pid, address: u64, bytes: &[u8]) -> usize {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the local range is only read.
    unsafe { transfer(libc::process_vm_writev, pid, local, address) }
}

type Transfer =
    unsafe extern "C" fn(libc::pid_t, *const libc::iovec, u64, *const libc::iovec, u64, u64) -> libc::ssize_t;

/// # Safety
/// The local range is valid for the direction of `call`.
unsafe fn transfer(call: Transfer, pid: Pid, local: libc::iovec, address: u64) -> usize {
    let Ok(base) = usize::try_from(address) else { return 0 };
    let remote = libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(base), iov_len: local.iov_len };
    // SAFETY: the caller's; the host checks the remote range.
    let copied = unsafe { call(pid.as_raw_nonzero().get(), &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(copied).unwrap_or(0)
}

/// Copies from several ranges (address and length) of a process, one after the other; stops at the first byte that is
/// not there.
pub(crate) fn read_ranges(pid: Pid, ranges: &[(u64, usize)], buffer: &mut [u8]) -> usize {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the local range is a buffer that nobody else has.
    unsafe { transfer_ranges(libc::process_vm_readv, pid, local, ranges) }
}

/// Copies to several ranges of a process, one after the other; stops at the first byte that cannot be written.
pub(crate) fn write_ranges(pid: Pid, ranges: &[(u64, usize)], bytes: &[u8]) -> usize {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the local range is only read.
    unsafe { transfer_ranges(libc::process_vm_writev, pid, local, ranges) }
}

/// Most ranges that one host call takes here.
const RANGES_MAX: usize = 16;

/// A host call for each 16 ranges.
///
/// # Safety
/// The local range is valid for the direction of `call`.
pub(crate) unsafe fn transfer_ranges(call: Transfer, pid: Pid, local: libc::iovec, ranges: &[(u64, usize)]) -> usize {
    let mut done = 0;
    for part in ranges.chunks(RANGES_MAX) {
        let mut remote = [NOWHERE; RANGES_MAX];
        let len = part.iter().map(|(_, len)| len).sum();
        remote.iter_mut().zip(part).for_each(|(remote, (address, len))| *remote = elsewhere(*address, *len));
        if len > local.iov_len - done {
            return done;
        }
        let local = libc::iovec { iov_base: local.iov_base.wrapping_byte_add(done), iov_len: len };
        // SAFETY: a part of the caller's range; the host checks the remote ranges.
        let copied = unsafe { transfer_pieces(call, pid, &[local], &remote[..part.len()]) }.unwrap_or(0);
        done += copied;
        if copied < len {
            break;
        }
    }
    done
}

/// Most pieces of one transfer.
const PIECES_MAX: usize = 4;

/// Copies several pieces from a process at once; false when one is not there whole.
pub(crate) fn read_pieces(pid: Pid, pieces: &mut [(u64, &mut [u8])]) -> bool {
    let wanted: usize = pieces.iter().map(|(_, buffer)| buffer.len()).sum();
    let (mut local, mut remote) = ([NOWHERE; PIECES_MAX], [NOWHERE; PIECES_MAX]);
    let count = pieces.len();
    for ((address, buffer), (local, remote)) in pieces.iter_mut().zip(local.iter_mut().zip(&mut remote)) {
        *local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        *remote = elsewhere(*address, buffer.len());
    }
    // SAFETY: the local ranges are buffers that nobody else has.
    unsafe { transfer_pieces(libc::process_vm_readv, pid, &local[..count], &remote[..count]) == Some(wanted) }
}

/// Copies several pieces to a process at once; false when one cannot be written whole.
pub(crate) fn write_pieces(pid: Pid, pieces: &[(u64, &[u8])]) -> bool {
    let wanted: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    let (mut local, mut remote) = ([NOWHERE; PIECES_MAX], [NOWHERE; PIECES_MAX]);
    let count = pieces.len();
    for ((address, bytes), (local, remote)) in pieces.iter().zip(local.iter_mut().zip(&mut remote)) {
        *local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        *remote = elsewhere(*address, bytes.len());
    }
    // SAFETY: the local ranges are only read.
    unsafe { transfer_pieces(libc::process_vm_writev, pid, &local[..count], &remote[..count]) == Some(wanted) }
}

const NOWHERE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

/// A range of another process.
fn elsewhere(address: u64, len: usize) -> libc::iovec {
    let base = usize::try_from(address).unwrap_or(0);
    libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(base), iov_len: len }
}

/// # Safety
/// The local ranges are valid for the direction of `call`.
unsafe fn transfer_pieces(call: Transfer, pid: Pid, local: &[libc::iovec], remote: &[libc::iovec]) -> Option<usize> {
    let (local_count, remote_count) = (local.len() as u64, remote.len() as u64);
    // SAFETY: the caller's; the host checks the remote ranges.
    let copied =
        unsafe { call(pid.as_raw_nonzero().get(), local.as_ptr(), local_count, remote.as_ptr(), remote_count, 0) };
    usize::try_from(copied).ok()
}

/// A value at an address of a process.
pub(crate) fn read_value<T: Plain>(pid: Pid, address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: zeroed, so initialised; any bytes make a `Plain` type.
    let bytes = unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    // SAFETY: as above.
    (read(pid, address, bytes) == size_of::<T>()).then(|| unsafe { value.assume_init() })
}

/// Writes a value to an address of a process; false when it does not go whole.
pub(crate) fn write_value<T: Plain>(pid: Pid, address: u64, value: &T) -> bool {
    write(pid, address, bytes_of(value)) == size_of::<T>()
}
