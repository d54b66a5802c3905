//! Why an image, or a part of it, could not be read.

use crate::{SourceError, format::SuperblockError};

/// Why an image could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The source failed.
    #[error("cannot read the superblock")]
    Source(#[from] SourceError),
    /// It is no EROFS image.
    #[error(transparent)]
    Superblock(#[from] SuperblockError),
    /// The checksum differs.
    #[error("superblock checksum is {found:#010x}, computed {computed:#010x}: the image is damaged")]
    Checksum {
        /// What the superblock says.
        found: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// The image is compressed.
    #[error("the image is compressed; make it uncompressed (mkfs.erofs without -z)")]
    Compressed,
    /// The image needs features which this reader lacks.
    #[error("the image needs unknown features {0:#x}")]
    Features(u32),
    /// The block size is out of range.
    #[error("block size 2^{0} is not between 2^9 and 2^16")]
    BlockSize(u8),
    /// Directory blocks differ from blocks.
    #[error("directory block size 2^{0} blocks is not supported")]
    DirectoryBlockSize(u8),
    /// The root inode cannot be read.
    #[error("cannot read the root directory")]
    Root(#[source] ReadError),
    /// The root inode is no directory.
    #[error("the root inode is not a directory")]
    RootType,
}

/// Why a part of an open image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("cannot read inode {nid}")]
    Source {
        /// The inode in hand.
        nid: u64,
        /// What failed.
        source: SourceError,
    },
    /// The image contradicts itself.
    #[error("inode {nid}: {what}")]
    Corrupt {
        /// The inode in hand.
        nid: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The inode's data is compressed.
    #[error("inode {nid} is compressed, which is not supported")]
    Compressed {
        /// The inode in hand.
        nid: u64,
    },
    /// The inode's data lies on another device.
    #[error("inode {nid} has data on another device, which is not supported")]
    OtherDevice {
        /// The inode in hand.
        nid: u64,
    },
    /// A directory was asked for.
    #[error("inode {nid} is not a directory")]
    NotDirectory {
        /// The inode in hand.
        nid: u64,
    },
    /// A symbolic link was asked for.
    #[error("inode {nid} is not a symbolic link")]
    NotSymlink {
        /// The inode in hand.
        nid: u64,
    },
}
