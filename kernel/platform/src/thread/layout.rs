//! Host calls as numbers, and which of them are let through.

use std::ops::Range;

use stockade_kernel::platform::{Backing, BlobId, FILL_BYTES_MAX, FileId, HostCall, Keep, Protection, Sharing};
use stockade_kernel_stub::abi::{
    FILL, FIRST_BLOB_FD, FIRST_FILE_FD, FIRST_HIGH_BLOB_FD, FIRST_HIGH_FILE_FD, NO_FILE, POOL_FD, RawCall, ZERO, ZEROS,
    slot_address,
};

use crate::pool;
use crate::range::is_applications;

const MMAP: u64 = 9;
const MPROTECT: u64 = 10;
const MUNMAP: u64 = 11;
const MREMAP: u64 = 25;
const MADVISE: u64 = 28;
const FUTEX: u64 = 202;

const MAP_SHARED: u64 = 0x01;
const MAP_PRIVATE: u64 = 0x02;
const MAP_FIXED: u64 = 0x10;
const MREMAP_MAYMOVE: u64 = 1;
const MREMAP_FIXED: u64 = 2;
const MREMAP_DONTUNMAP: u64 = 4;
const FUTEX_WAKE: u64 = 1;
const FUTEX_WAKE_PRIVATE: u64 = 129;

/// A file that mappings show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Descriptor {
    /// Memory of the pool.
    Pool,
    /// What of the pool lies in a file of the host, by an offset.
    Store(u64),
    Blob(BlobId),
    File(FileId),
}

impl Descriptor {
    /// Its number in the stub, when a thread in a slot maps it.
    pub(super) fn number(self, slot: u32) -> u32 {
        self.own_number().unwrap_or_else(|| one_of(slot, FIRST_FILE_FD..FIRST_HIGH_BLOB_FD, FIRST_HIGH_FILE_FD))
    }

    /// The number at which the stub keeps it, for all of its threads. `None`: it has the number that the thread has for
    /// what it maps one after another.
    pub(super) fn own_number(self) -> Option<u32> {
        match self {
            Descriptor::Pool => Some(POOL_FD),
            Descriptor::Blob(BlobId(index)) => {
                Some(one_of(index, FIRST_BLOB_FD..FIRST_FILE_FD, FIRST_HIGH_BLOB_FD)).filter(is_below_files)
            }
            Descriptor::Store(_) | Descriptor::File(_) => None,
        }
    }
}

/// A low number, as far as they go.
fn one_of(index: u32, low: Range<u32>, high: u32) -> u32 {
    let number = low.start.saturating_add(index);
    if low.contains(&number) { number } else { high.saturating_add(index) }
}

fn is_below_files(number: &u32) -> bool {
    *number < FIRST_HIGH_FILE_FD
}

/// The file that a call needs in the stub.
pub(super) fn descriptor(call: &HostCall) -> Option<Descriptor> {
    match call {
        HostCall::Map { backing: Backing::Pool { offset, .. }, .. } => Some(of_pool(*offset)),
        HostCall::Map { backing: Backing::Blob { blob, .. }, .. } => Some(Descriptor::Blob(*blob)),
        HostCall::Map { backing: Backing::File { file, .. }, .. } => Some(Descriptor::File(*file)),
        _ => None,
    }
}

fn of_pool(offset: u64) -> Descriptor {
    if pool::is_memory(offset) { Descriptor::Pool } else { Descriptor::Store(offset) }
}

/// The call as the handler of the thread in a slot makes it.
pub(super) fn encode(call: &HostCall, slot: u32) -> RawCall {
    let (number, arguments) = match *call {
        HostCall::Map { address, len, protection, backing } => (MMAP, map(address, len, protection, backing, slot)),
        HostCall::Unmap { address, len } => (MUNMAP, [address, len, 0, 0, 0, 0]),
        HostCall::Protect { address, len, protection } => (MPROTECT, [address, len, protection.bits().into(), 0, 0, 0]),
        HostCall::Remap { from, from_len, to, to_len, keep } => {
            (MREMAP, [from, from_len, to_len, remap_flags(from, to, keep), to, 0])
        }
        HostCall::Advise { address, len, advice } => {
            (MADVISE, [address, len, u64::from(advice.0.cast_unsigned()), 0, 0, 0])
        }
        HostCall::FutexWake { address, count } => (FUTEX, [address, FUTEX_WAKE, count.into(), 0, 0, 0]),
        // The platform clears the word itself: the host's thread may outlive the application's. Here the thread wakes
        // nobody, in place of a call that does less and gives its processor away.
        HostCall::SetTidAddress { .. } => (FUTEX, [slot_address(slot), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0]),
        // Where the bytes lie is known when the batch is put together.
        HostCall::Fill { address, .. } => (FILL, [address, payload(call).len() as u64, 0, 0, 0, 0]),
        HostCall::Zero { address, len } => (ZERO, [address, if is_permitted(call) { len } else { 0 }, 0, 0, 0, 0]),
    };
    RawCall { number, arguments }
}

/// Whether no notification comes: the base filter leaves the call to the host, or it is none of the host's.
pub(super) fn is_unseen(call: &HostCall) -> bool {
    use HostCall::{Fill, FutexWake, SetTidAddress, Zero};
    matches!(call, FutexWake { .. } | SetTidAddress { .. } | Fill { .. } | Zero { .. })
}

/// Bytes that come along with a call.
pub(super) fn payload(call: &HostCall) -> &[u8] {
    match call {
        HostCall::Fill { bytes, .. } if is_permitted(call) => &bytes[..bytes.len().min(FILL_BYTES_MAX)],
        _ => &[],
    }
}

fn map(address: u64, len: u64, protection: Protection, backing: Backing, slot: u32) -> [u64; 6] {
    let number = |descriptor: Descriptor| u64::from(descriptor.number(slot));
    let (flags, file, offset) = match backing {
        Backing::Anonymous | Backing::Nothing => (ZEROS, NO_FILE, 0),
        Backing::Pool { offset, sharing } => {
            (MAP_FIXED | share(sharing), number(of_pool(offset)), pool::offset_in_file(offset))
        }
        Backing::Blob { blob, offset, sharing } => (MAP_FIXED | share(sharing), number(Descriptor::Blob(blob)), offset),
        Backing::File { file, offset, sharing } => (MAP_FIXED | share(sharing), number(Descriptor::File(file)), offset),
    };
    let protection = if backing == Backing::Nothing { Protection::empty() } else { protection };
    [address, len, protection.bits().into(), flags, file, offset]
}

fn share(sharing: Sharing) -> u64 {
    match sharing {
        Sharing::Private => MAP_PRIVATE,
        Sharing::Shared => MAP_SHARED,
    }
}

fn remap_flags(from: u64, to: u64, keep: Keep) -> u64 {
    match keep {
        Keep::Range => MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
        Keep::Nothing if from == to => 0,
        Keep::Nothing => MREMAP_MAYMOVE | MREMAP_FIXED,
    }
}

/// Whether a call leaves the stub's own pages alone, and a shared blob unwritten.
pub(super) fn is_permitted(call: &HostCall) -> bool {
    match *call {
        HostCall::Map { address, len, protection, backing } => {
            is_applications(address, len) && !writes_blob(protection, backing)
        }
        HostCall::Unmap { address, len }
        | HostCall::Protect { address, len, .. }
        | HostCall::Advise { address, len, .. } => is_applications(address, len),
        HostCall::Remap { from, from_len, to, to_len, .. } => {
            is_applications(from, from_len) && is_applications(to, to_len)
        }
        HostCall::FutexWake { address, .. } | HostCall::SetTidAddress { address } => is_applications(address, 4),
        HostCall::Fill { address, ref bytes } => is_applications(address, bytes.len() as u64),
        HostCall::Zero { address, len } => is_applications(address, len),
    }
}

fn writes_blob(protection: Protection, backing: Backing) -> bool {
    matches!(backing, Backing::Blob { sharing: Sharing::Shared, .. }) && protection.contains(Protection::WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_files_have_one_number_in_a_stub() {
        let blobs = (0..600).filter_map(|index| Descriptor::Blob(BlobId(index)).own_number());
        let files = (0..600).map(|slot| Descriptor::File(FileId(1)).number(slot));
        let mut all: Vec<u32> = blobs.chain(files).chain([POOL_FD]).collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!((all.len(), all[0]), (count, POOL_FD));
    }

    #[test]
    fn the_first_ones_need_no_larger_table() {
        let numbers =
            [Descriptor::Blob(BlobId(23)).number(1), Descriptor::Store(0).number(1), Descriptor::Store(0).number(23)];
        assert_eq!(numbers, [39, 41, 63]);
    }
}
