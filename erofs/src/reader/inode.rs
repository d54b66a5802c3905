//! Inodes.

use super::{Image, ReadError, Source};
use crate::format::{
    CHUNK_BITS_MASK, CHUNK_INDEXES, FileKind, InodeRecord, Layout, Version, decode_rdev, mode, xattr_area_bytes,
};

/// A checked inode.
#[derive(Clone, Debug)]
pub struct Inode {
    pub(super) nid: u64,
    /// Where the record lies in the image.
    pub(super) offset: u64,
    pub(super) record: InodeRecord,
    kind: FileKind,
    mtime: (i64, u32),
}

impl<S: Source> Image<S> {
    /// Reads and checks an inode.
    pub fn inode(&self, nid: u64) -> Result<Inode, ReadError> {
        let offset = self.inode_offset(nid)?;
        let version = Version::of(u16::from_le_bytes(self.array(nid, offset)?));
        let record = match version {
            Version::Compact => InodeRecord::decode(&self.array::<32>(nid, offset)?),
            Version::Extended => InodeRecord::decode(&self.array::<64>(nid, offset)?),
        };
        let record = record.ok_or(ReadError::Corrupt { nid, what: "its data layout is unknown" })?;
        let image_time = (self.superblock().build_secs.cast_signed(), self.superblock().build_nanos);
        Inode::check(nid, offset, record, image_time)
    }
}

impl Inode {
    fn check(nid: u64, offset: u64, record: InodeRecord, image_time: (i64, u32)) -> Result<Self, ReadError> {
        let corrupt = |what| ReadError::Corrupt { nid, what };
        let kind = kind_of(record.mode).ok_or(corrupt("its file type is unknown"))?;
        let mtime = record.mtime.unwrap_or(image_time);
        if record.layout == Layout::Compressed {
            return Err(ReadError::Compressed { nid });
        }
        if i64::try_from(record.size).is_err() {
            return Err(corrupt("its size is out of range"));
        }
        if mtime.1 >= 1_000_000_000 {
            return Err(corrupt("its time has too many nanoseconds"));
        }
        if record.layout == Layout::ChunkBased && record.data & !(CHUNK_BITS_MASK | CHUNK_INDEXES) != 0 {
            return Err(corrupt("its chunk format is unknown"));
        }
        Ok(Self { nid, offset, record, kind, mtime })
    }

    /// Its number.
    pub fn nid(&self) -> u64 {
        self.nid
    }

    /// Its type.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Permission bits with setuid, setgid and sticky.
    pub fn permissions(&self) -> u16 {
        self.record.mode & !mode::TYPE_MASK
    }

    /// Type and permission bits as `stat` shows them.
    pub fn mode(&self) -> u16 {
        self.record.mode
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// Owner.
    pub fn uid(&self) -> u32 {
        self.record.uid
    }

    /// Group.
    pub fn gid(&self) -> u32 {
        self.record.gid
    }

    /// Number of names.
    pub fn nlink(&self) -> u32 {
        self.record.nlink
    }

    /// Modification time: seconds since the epoch, nanoseconds.
    pub fn mtime(&self) -> (i64, u32) {
        self.mtime
    }

    /// Major and minor number, if it is a device.
    pub fn device(&self) -> Option<(u32, u32)> {
        matches!(self.kind, FileKind::Character | FileKind::Block).then(|| decode_rdev(self.record.data))
    }

    /// Where the xattr area begins.
    pub(super) fn xattrs_offset(&self) -> u64 {
        self.offset + self.record.version.bytes() as u64
    }

    pub(super) fn xattrs_bytes(&self) -> usize {
        xattr_area_bytes(self.record.xattr_count)
    }

    /// Where the inline tail or the chunk map begins.
    pub(super) fn tail_offset(&self) -> u64 {
        self.xattrs_offset() + self.xattrs_bytes() as u64
    }
}

fn kind_of(mode_bits: u16) -> Option<FileKind> {
    Some(match mode_bits & mode::TYPE_MASK {
        mode::REGULAR => FileKind::Regular,
        mode::DIRECTORY => FileKind::Directory,
        mode::SYMLINK => FileKind::Symlink,
        mode::CHARACTER => FileKind::Character,
        mode::BLOCK => FileKind::Block,
        mode::FIFO => FileKind::Fifo,
        mode::SOCKET => FileKind::Socket,
        _ => return None,
    })
}
