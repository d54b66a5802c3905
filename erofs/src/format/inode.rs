//! Inodes: 64 bytes extended, 32 bytes compact, on 32-byte slots.

use super::{put, u16_at, u32_at, u64_at};

/// An inode's number counts slots of this size from the start of the metadata area.
pub const NID_BYTES: u64 = 32;
/// Size of an extended inode.
pub const EXTENDED_BYTES: usize = 64;
/// Size of a compact inode.
pub const COMPACT_BYTES: usize = 32;
/// Bits of a chunk format that hold `log2` of the chunk size over the block size.
pub const CHUNK_BITS_MASK: u32 = 0x1f;
/// Chunk format flag: 8-byte indexes instead of 4-byte block numbers.
pub const CHUNK_INDEXES: u32 = 0x20;
/// Block number of a hole in a chunk map.
pub const CHUNK_NULL: u32 = u32::MAX;

/// File type bits of `mode` (inode(7)).
pub mod mode {
    /// Mask of the type bits.
    pub const TYPE_MASK: u16 = 0o170_000;
    /// Socket.
    pub const SOCKET: u16 = 0o140_000;
    /// Symbolic link.
    pub const SYMLINK: u16 = 0o120_000;
    /// Regular file.
    pub const REGULAR: u16 = 0o100_000;
    /// Block device.
    pub const BLOCK: u16 = 0o060_000;
    /// Directory.
    pub const DIRECTORY: u16 = 0o040_000;
    /// Character device.
    pub const CHARACTER: u16 = 0o020_000;
    /// Fifo.
    pub const FIFO: u16 = 0o010_000;
}

/// Which of the two forms an inode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 32 bytes: 16-bit owners, the image's time.
    Compact,
    /// 64 bytes: everything.
    Extended,
}

impl Version {
    /// The version that an inode's first two bytes announce.
    pub fn of(format: u16) -> Self {
        if format & 1 == 0 { Self::Compact } else { Self::Extended }
    }

    /// Size of the record.
    pub fn bytes(self) -> usize {
        match self {
            Self::Compact => COMPACT_BYTES,
            Self::Extended => EXTENDED_BYTES,
        }
    }
}

/// How a file's data lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One run of blocks.
    FlatPlain,
    /// One run of blocks, the last partial block behind the inode.
    FlatInline,
    /// Chunks of equal size, found through a map behind the inode.
    ChunkBased,
    /// One of the compressed layouts.
    Compressed,
}

impl Layout {
    fn decode(format: u16) -> Option<Self> {
        match (format >> 1) & 7 {
            0 => Some(Self::FlatPlain),
            1 | 3 => Some(Self::Compressed),
            2 => Some(Self::FlatInline),
            4 => Some(Self::ChunkBased),
            _ => None,
        }
    }

    fn bits(self) -> u16 {
        match self {
            Self::FlatPlain => 0,
            Self::Compressed => 3,
            Self::FlatInline => 2,
            Self::ChunkBased => 4,
        }
    }
}

/// An inode's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeRecord {
    /// Which form it has.
    pub version: Version,
    /// How its data lies.
    pub layout: Layout,
    /// Size of the xattr area, see [`super::xattr_area_bytes`].
    pub xattr_count: u16,
    /// Type and permission bits.
    pub mode: u16,
    /// Size of the data in bytes.
    pub size: u64,
    /// First block, device number or chunk format, as layout and mode say.
    pub data: u32,
    /// Inode number for 32-bit `stat`.
    pub ino: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since the epoch; `None` in a compact inode.
    pub mtime: Option<(i64, u32)>,
    /// Number of names.
    pub nlink: u32,
}

impl InodeRecord {
    /// Reads a record of [`Version::bytes`] bytes; `None` if it is too short or its layout is unknown.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let format = u16::from_le_bytes([*record.first()?, *record.get(1)?]);
        let version = Version::of(format);
        let record = record.get(..version.bytes())?;
        let layout = Layout::decode(format)?;
        Some(match version {
            Version::Compact => Self::compact(record, layout),
            Version::Extended => Self::extended(record, layout),
        })
    }

    fn compact(record: &[u8], layout: Layout) -> Self {
        Self {
            version: Version::Compact,
            layout,
            xattr_count: u16_at(record, 2),
            mode: u16_at(record, 4),
            nlink: u16_at(record, 6).into(),
            size: u32_at(record, 8).into(),
            data: u32_at(record, 16),
            ino: u32_at(record, 20),
            uid: u16_at(record, 24).into(),
            gid: u16_at(record, 26).into(),
            mtime: None,
        }
    }

    fn extended(record: &[u8], layout: Layout) -> Self {
        Self {
            version: Version::Extended,
            layout,
            xattr_count: u16_at(record, 2),
            mode: u16_at(record, 4),
            size: u64_at(record, 8),
            data: u32_at(record, 16),
            ino: u32_at(record, 20),
            uid: u32_at(record, 24),
            gid: u32_at(record, 28),
            mtime: Some((u64_at(record, 32).cast_signed(), u32_at(record, 40))),
            nlink: u32_at(record, 44),
        }
    }

    /// The extended record, whatever `version` says.
    pub fn encode(&self) -> [u8; EXTENDED_BYTES] {
        let mut record = [0; EXTENDED_BYTES];
        let (secs, nanos) = self.mtime.unwrap_or_default();
        put(&mut record, 0, (self.layout.bits() << 1 | 1).to_le_bytes());
        put(&mut record, 2, self.xattr_count.to_le_bytes());
        put(&mut record, 4, self.mode.to_le_bytes());
        put(&mut record, 8, self.size.to_le_bytes());
        put(&mut record, 16, self.data.to_le_bytes());
        put(&mut record, 20, self.ino.to_le_bytes());
        put(&mut record, 24, self.uid.to_le_bytes());
        put(&mut record, 28, self.gid.to_le_bytes());
        put(&mut record, 32, secs.to_le_bytes());
        put(&mut record, 40, nanos.to_le_bytes());
        put(&mut record, 44, self.nlink.to_le_bytes());
        record
    }
}

/// A device number as the kernel's `new_encode_dev` packs it; `None` above 12 and 20 bits.
pub fn encode_rdev(major: u32, minor: u32) -> Option<u32> {
    let fits = major < 1 << 12 && minor < 1 << 20;
    fits.then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// Major and minor number of a packed device number (`new_decode_dev`).
pub fn decode_rdev(packed: u32) -> (u32, u32) {
    ((packed >> 8) & 0xfff, (packed & 0xff) | ((packed >> 12) & 0xf_ff00))
}
