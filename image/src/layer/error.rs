//! Why a layer could not be converted.

use std::io;

use stockade_erofs_writer::{InsertError, WriteError, XattrError};

/// Why a layer could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The stream failed: the download, the decompression.
    #[error("cannot read the layer after {offset} bytes of its tar")]
    Read {
        /// Bytes read before.
        offset: u64,
        /// What failed.
        source: io::Error,
    },
    /// The thread that hashes the tar could not start.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The blob could not be written.
    #[error("cannot write the layer's image")]
    Write(#[from] WriteError),
    /// The stream ends within an entry.
    #[error("the layer's tar is cut short after {offset} bytes")]
    Truncated {
        /// Its length.
        offset: u64,
    },
    /// The stream is no tar, or a damaged one.
    #[error("the layer's tar is malformed {offset} bytes in")]
    Tar {
        /// Where.
        offset: u64,
        /// What is wrong.
        source: TarError,
    },
    /// An entry was refused.
    #[error("the layer's entry {:?} is refused", .0.path)]
    Entry(#[source] Box<EntryError>),
    /// The layer as a whole is beyond a limit.
    #[error("the layer exceeds {limit} = {max}; raise it under [image.limits.layer] if you trust the image")]
    Limit {
        /// Key of the config file.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The directory to be imported could not be read.
    #[error("cannot archive the directory")]
    Archive(#[from] super::ArchiveError),
}

/// An entry that was refused, and why.
#[derive(Debug, thiserror::Error)]
#[error("{refusal}")]
pub struct EntryError {
    /// Its path as the tar has it, bytes that are no UTF-8 replaced.
    pub path: String,
    /// Why.
    pub refusal: Refusal,
}

/// Why an entry was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// `..` in its path.
    #[error("its path contains '..'")]
    ParentComponent,
    /// NUL in its path.
    #[error("its path contains a NUL byte")]
    NulInPath,
    /// A name that no Linux file system takes.
    #[error("a name in its path is longer than 255 bytes")]
    NameTooLong,
    /// Beyond a limit that holds for one entry.
    #[error("it exceeds {limit} = {max}; raise it under [image.limits.layer] if you trust the image")]
    Limit {
        /// Key of the config file.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// Its path goes through a symbolic link of the layer.
    #[error("its path goes through the symbolic link {0:?}")]
    ThroughSymlink(String),
    /// Its path goes through something else that is no directory.
    #[error("its path goes through {0:?}, which is not a directory")]
    NotDirectory(String),
    /// The root is anything but a directory.
    #[error("the root can only be a directory")]
    RootType,
    /// A hard link whose target is not in the layer.
    #[error("its hard link target {0:?} is not an earlier entry of the layer")]
    LinkTarget(String),
    /// A hard link whose target is a bad path.
    #[error("its hard link target {target:?} is refused: {refusal}")]
    LinkPath {
        /// The target.
        target: String,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// A hard link to a directory.
    #[error("its hard link target {0:?} is a directory")]
    LinkToDirectory(String),
    /// A symbolic link that Linux could not hold.
    #[error("its symbolic link target must have 1 to 4095 bytes and no NUL")]
    SymlinkTarget,
    /// A device number that Linux could not hold.
    #[error("its device number {0}:{1} is out of range")]
    Device(i64, i64),
    /// A whiteout of the root.
    #[error("it would white out the root directory")]
    WhiteoutOfRoot,
    /// A whiteout of no name.
    #[error("a whiteout must name a file")]
    WhiteoutName,
    /// A whiteout as a directory in a path.
    #[error("its path goes through the whiteout {0:?}")]
    ThroughWhiteout(String),
    /// An xattr that cannot be stored.
    #[error("its xattr {name:?} cannot be stored: {source}")]
    Xattr {
        /// Name of the xattr.
        name: String,
        /// Why.
        source: XattrError,
    },
    /// The tree did not take it.
    #[error(transparent)]
    Insert(#[from] InsertError),
}

/// What is wrong with a tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// A header's checksum differs.
    #[error("a header's checksum is wrong (is it a tar?)")]
    Checksum,
    /// A zero block that is not followed by another.
    #[error("a zero block is followed by data")]
    LoneZeroBlock,
    /// A number cannot be read.
    #[error("the {0} of a header is not a number in range")]
    Number(&'static str),
    /// An extended header is too large.
    #[error("an extended header is larger than 1 MiB")]
    ExtendedHeaderSize,
    /// A pax record cannot be read.
    #[error("a pax record is malformed")]
    PaxRecord,
    /// A pax value cannot be read.
    #[error("the pax record {0} is malformed")]
    PaxValue(&'static str),
    /// A sparse map contradicts itself.
    #[error("a sparse file's map is malformed")]
    SparseMap,
    /// An entry of a type that has no place in a layer.
    #[error("an entry has the unsupported type {:?}", char::from(*.0))]
    Type(u8),
}

/// Bytes of the tar for a message.
pub(super) fn text(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 300;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

/// The refusal of an entry.
pub(super) fn refused(path: &[u8], refusal: Refusal) -> ConvertError {
    ConvertError::Entry(Box::new(EntryError { path: text(path), refusal }))
}
