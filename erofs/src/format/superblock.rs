//! The superblock, 1024 bytes into the image.

use bitflags::bitflags;

use super::{crc32c, field, put, u16_at, u32_at, u64_at};

/// Where the superblock lies.
pub const SUPERBLOCK_OFFSET: u64 = 1024;
/// Size of the superblock without extension slots.
pub const SUPERBLOCK_BYTES: usize = 128;

const MAGIC: u32 = 0xe0f5_e1e2;
const CHECKSUM_AT: usize = 4;

bitflags! {
    /// Features that a reader may ignore.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Compat: u32 {
        /// The superblock carries a checksum.
        const SB_CHKSUM = 0x1;
        /// Inode times are modification times.
        const MTIME = 0x2;
        /// Inodes carry a Bloom filter of their xattr names.
        const XATTR_FILTER = 0x4;
        const _ = !0;
    }
}

bitflags! {
    /// Features that a reader must know.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Incompat: u32 {
        /// Compressed data is padded at its start; says nothing about uncompressed images.
        const ZERO_PADDING = 0x1;
        /// Compression configurations or big physical clusters.
        const COMPRESSION = 0x2;
        /// Chunk-based files.
        const CHUNKED_FILE = 0x4;
        /// A table of further devices, or a second compression head.
        const DEVICE_TABLE = 0x8;
        /// Compressed tails inside inodes.
        const ZTAILPACKING = 0x10;
        /// Fragments in a packed inode.
        const FRAGMENTS = 0x20;
        /// Long xattr name prefixes.
        const XATTR_PREFIXES = 0x40;
        const _ = !0;
    }
}

/// Why a superblock was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// The magic number differs.
    #[error("not an EROFS image: magic number {0:#010x}")]
    Magic(u32),
}

/// The superblock's fields, as far as uncompressed images have a use for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// CRC-32C, see [`superblock_checksum`]; zero while it is computed.
    pub checksum: u32,
    /// Features that a reader may ignore.
    pub compat: Compat,
    /// Features that a reader must know.
    pub incompat: Incompat,
    /// `log2` of the block size.
    pub block_bits: u8,
    /// Extension slots of 16 bytes behind the superblock.
    pub extension_slots: u8,
    /// Number of the root directory's inode.
    pub root_nid: u16,
    /// Number of inodes.
    pub inodes: u64,
    /// Time of compact inodes, seconds since the epoch.
    pub build_secs: u64,
    /// Nanoseconds of `build_secs`.
    pub build_nanos: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// First block of the inodes; inode `nid` lies `nid` × 32 bytes behind it.
    pub meta_block: u32,
    /// First block of the shared xattrs.
    pub xattr_block: u32,
    /// The volume's UUID.
    pub uuid: [u8; 16],
    /// `log2` of the directory block size over the block size; always zero so far.
    pub dir_block_bits: u8,
}

impl Superblock {
    /// Reads the record; whether its features and sizes are served is the reader's question.
    pub fn decode(record: &[u8; SUPERBLOCK_BYTES]) -> Result<Self, SuperblockError> {
        match u32_at(record, 0) {
            MAGIC => Ok(Self::fields(record)),
            other => Err(SuperblockError::Magic(other)),
        }
    }

    fn fields(record: &[u8]) -> Self {
        Self {
            checksum: u32_at(record, CHECKSUM_AT),
            compat: Compat::from_bits_retain(u32_at(record, 8)),
            block_bits: record[12],
            extension_slots: record[13],
            root_nid: u16_at(record, 14),
            inodes: u64_at(record, 16),
            build_secs: u64_at(record, 24),
            build_nanos: u32_at(record, 32),
            blocks: u32_at(record, 36),
            meta_block: u32_at(record, 40),
            xattr_block: u32_at(record, 44),
            uuid: field(record, 48),
            incompat: Incompat::from_bits_retain(u32_at(record, 80)),
            dir_block_bits: record[90],
        }
    }

    /// The record as it lies on disk.
    pub fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut record = [0; SUPERBLOCK_BYTES];
        put(&mut record, 0, MAGIC.to_le_bytes());
        put(&mut record, CHECKSUM_AT, self.checksum.to_le_bytes());
        put(&mut record, 8, self.compat.bits().to_le_bytes());
        put(&mut record, 12, [self.block_bits, self.extension_slots]);
        put(&mut record, 14, self.root_nid.to_le_bytes());
        put(&mut record, 16, self.inodes.to_le_bytes());
        put(&mut record, 24, self.build_secs.to_le_bytes());
        put(&mut record, 32, self.build_nanos.to_le_bytes());
        put(&mut record, 36, self.blocks.to_le_bytes());
        put(&mut record, 40, self.meta_block.to_le_bytes());
        put(&mut record, 44, self.xattr_block.to_le_bytes());
        put(&mut record, 48, self.uuid);
        put(&mut record, 80, self.incompat.bits().to_le_bytes());
        put(&mut record, 90, [self.dir_block_bits]);
        record
    }
}

/// The checksum over `rest`: the bytes from the superblock to the end of its block (`erofs_superblock_csum_verify`).
pub fn superblock_checksum(rest: &[u8]) -> u32 {
    let (head, tail) = rest.split_at(CHECKSUM_AT.min(rest.len()));
    let crc = crc32c(crc32c(!0, head), &[0; 4]);
    crc32c(crc, tail.get(4..).unwrap_or_default())
}
