//! EROFS: the on-disk format and a reader.
//!
//! [`format`] holds the records as they lie on disk, shared with the writer. [`Image`] reads an image through a
//! [`Source`], and serves the uncompressed subset: flat and chunk-based data, inline tails, shared xattrs.
//!
//! Invariants: every number that comes from the image is checked before it is used; no call allocates more than a
//! few blocks for a hostile image, loops for ever on it, or panics. A cycle of directories is the walker's to notice.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod format;
mod reader;

pub use reader::{
    DirEntries, DirEntry, Extent, Image, Inode, OpenError, ReadError, Source, SourceError, Xattr, Xattrs,
};
