//! Why an image could not be written.

/// Why writing an image failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output failed.
    #[error("cannot write the image")]
    Io(#[from] std::io::Error),
    /// More blocks than a block number can count.
    #[error("the image exceeds 2^32 blocks of 4 KiB")]
    TooManyBlocks,
    /// A file's data was longer or shorter than announced.
    #[error("a file of {expected} bytes was given {found} bytes of data")]
    ContentLength {
        /// The size announced.
        expected: u64,
        /// The bytes written and skipped.
        found: u64,
    },
}

/// Why a name could not be added to the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The name is empty, too long, or contains what a name cannot.
    #[error("a name must have 1 to 255 bytes, no '/' and no NUL, and not be '.' or '..'")]
    Name,
    /// The parent is no directory.
    #[error("the parent is not a directory")]
    NotDirectory,
    /// Directories have one name.
    #[error("a directory cannot have a second name")]
    DirectoryLink,
    /// More inodes than fit in memory.
    #[error("too many inodes")]
    TooManyInodes,
}

/// Why an extended attribute cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XattrError {
    /// The format numbers no prefix for the name.
    #[error("EROFS has no xattr name prefix for it")]
    Prefix,
    /// The name is too long.
    #[error("its name is longer than 255 bytes")]
    Name,
    /// The value is too long.
    #[error("its value is longer than 65535 bytes")]
    Value,
    /// All together are too long.
    #[error("the xattrs of one file exceed 256 KiB")]
    Total,
}
