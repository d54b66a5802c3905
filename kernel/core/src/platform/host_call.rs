//! Calls that only the application's own host process can make: changes of its address space.
//!
//! The kernel picks every address, so that its own map of a space is exact. The platform refuses what touches its own
//! pages, whoever asks.

use alloc::vec::Vec;

use bitflags::bitflags;

bitflags! {
    /// Access to memory; the bits of mmap(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Protection: u32 {
        /// PROT_READ
        const READ = 1;
        /// PROT_WRITE
        const WRITE = 2;
        /// PROT_EXEC
        const EXEC = 4;
    }
}

/// Whether writes to a mapping reach what it maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// MAP_PRIVATE
    Private,
    /// MAP_SHARED
    Shared,
}

/// An immutable file that the platform holds: an EROFS layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub u32);

/// An open file of the host that the platform holds ([`super::HostFile`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub u64);

/// What a mapping shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Zeros, private.
    Anonymous,
    /// The pool from this offset.
    Pool {
        /// A multiple of the page size.
        offset: u64,
        /// Private or shared.
        sharing: Sharing,
    },
    /// A blob from this offset, private; never writable when shared.
    Blob {
        /// Which.
        blob: BlobId,
        /// A multiple of the page size.
        offset: u64,
        /// Private or shared.
        sharing: Sharing,
    },
    /// A file of the host from this offset. Beyond its end the host itself raises SIGBUS.
    File {
        /// Which.
        file: FileId,
        /// A multiple of the page size.
        offset: u64,
        /// Private or shared.
        sharing: Sharing,
    },
    /// Reserved and inaccessible: faults come to the kernel.
    Nothing,
}

/// What to tell the host about a range (madvise(2)); the number is the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice(pub i32);

/// Most bytes of a [`HostCall::Fill`].
pub const FILL_BYTES_MAX: usize = 2048;

/// One host call. Addresses and lengths of mappings are multiples of the page size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCall {
    /// mmap(2) with MAP_FIXED.
    Map {
        /// Start.
        address: u64,
        /// Bytes.
        len: u64,
        /// Access.
        protection: Protection,
        /// Contents.
        backing: Backing,
    },
    /// munmap(2).
    Unmap {
        /// Start.
        address: u64,
        /// Bytes.
        len: u64,
    },
    /// mprotect(2).
    Protect {
        /// Start.
        address: u64,
        /// Bytes.
        len: u64,
        /// Access.
        protection: Protection,
    },
    /// mremap(2) with MREMAP_MAYMOVE | MREMAP_FIXED, or in place when the addresses are equal.
    Remap {
        /// Old start.
        from: u64,
        /// Old bytes.
        from_len: u64,
        /// New start.
        to: u64,
        /// New bytes.
        to_len: u64,
        /// Leave the old range mapped and empty (MREMAP_DONTUNMAP).
        keep: Keep,
    },
    /// madvise(2).
    Advise {
        /// Start.
        address: u64,
        /// Bytes.
        len: u64,
        /// What.
        advice: Advice,
    },
    /// futex(2) FUTEX_WAKE without FUTEX_PRIVATE_FLAG: what the kernel owes for robust lists.
    FutexWake {
        /// The word.
        address: u64,
        /// How many to wake.
        count: u32,
    },
    /// Not of the host: bytes that the thread itself puts into memory that it may write.
    Fill {
        /// Where.
        address: u64,
        /// What: [`FILL_BYTES_MAX`] at most.
        bytes: Vec<u8>,
    },
    /// The same with zeros.
    Zero {
        /// Where.
        address: u64,
        /// How many.
        len: u64,
    },
    /// set_tid_address(2): the host clears the word and wakes it when the thread ends.
    SetTidAddress {
        /// The word.
        address: u64,
    },
}

/// What becomes of the old range of a [`HostCall::Remap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is unmapped.
    Nothing,
    /// It stays mapped and empty.
    Range,
}
