//! On-disk records, little endian, as in the kernel's `fs/erofs/erofs_fs.h`.

mod checksum;
mod dirent;
mod inode;
mod superblock;
mod xattr;

pub use checksum::crc32c;
pub use dirent::{DIRENT_BYTES, Dirent, FileKind, NAME_BYTES_MAX};
pub use inode::{
    CHUNK_BITS_MASK, CHUNK_INDEXES, CHUNK_NULL, COMPACT_BYTES, EXTENDED_BYTES, InodeRecord, Layout, NID_BYTES, Version,
    decode_rdev, encode_rdev, mode,
};
pub use superblock::{
    Compat, Incompat, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock, SuperblockError, superblock_checksum,
};
pub use xattr::{
    XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES, XATTR_ID_BYTES, XATTR_SHARED_MAX, XattrEntry, XattrHeader, XattrPrefix,
    xattr_area_bytes, xattr_area_count,
};

/// The block size this crate writes: the page size, so that file data can be mapped.
pub const BLOCK_BYTES: u32 = 4096;
/// `log2` of [`BLOCK_BYTES`].
pub const BLOCK_BITS: u8 = 12;

/// A fixed-size field of a record; the caller has bounds.
fn field<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&record[at..at + N]);
    bytes
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(record, at))
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(record, at))
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(record, at))
}

fn put<const N: usize>(record: &mut [u8], at: usize, bytes: [u8; N]) {
    record[at..at + N].copy_from_slice(&bytes);
}
