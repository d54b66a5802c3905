//! Directory blocks: an array of entries, then their names, sorted bytewise over the whole directory.

use super::{put, u16_at, u64_at};

/// Size of an entry without its name.
pub const DIRENT_BYTES: usize = 12;
/// Longest name (`EROFS_NAME_LEN`).
pub const NAME_BYTES_MAX: usize = 255;

/// The type that an entry announces, equal to Linux's `FT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileKind {
    /// Not said.
    Unknown = 0,
    /// Regular file.
    Regular = 1,
    /// Directory.
    Directory = 2,
    /// Character device.
    Character = 3,
    /// Block device.
    Block = 4,
    /// Fifo.
    Fifo = 5,
    /// Socket.
    Socket = 6,
    /// Symbolic link.
    Symlink = 7,
}

impl FileKind {
    /// The kind for a byte on disk.
    pub fn decode(byte: u8) -> Self {
        match byte {
            1 => Self::Regular,
            2 => Self::Directory,
            3 => Self::Character,
            4 => Self::Block,
            5 => Self::Fifo,
            6 => Self::Socket,
            7 => Self::Symlink,
            _ => Self::Unknown,
        }
    }
}

/// A directory entry without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirent {
    /// Inode number.
    pub nid: u64,
    /// Where the name begins in the block; the first entry's tells the number of entries.
    pub name_offset: u16,
    /// The inode's type.
    pub kind: FileKind,
}

impl Dirent {
    /// Reads the record.
    pub fn decode(record: &[u8; DIRENT_BYTES]) -> Self {
        Self { nid: u64_at(record, 0), name_offset: u16_at(record, 8), kind: FileKind::decode(record[10]) }
    }

    /// The record as it lies on disk.
    pub fn encode(self) -> [u8; DIRENT_BYTES] {
        let mut record = [0; DIRENT_BYTES];
        put(&mut record, 0, self.nid.to_le_bytes());
        put(&mut record, 8, self.name_offset.to_le_bytes());
        record[10] = self.kind as u8;
        record
    }
}
