//! Writes EROFS images: uncompressed, 4 KiB blocks, file data page-aligned so that the image can be mapped.
//!
//! Data goes out as it comes ([`Writer::content`]); the tree of names stays in memory ([`Tree`]) and is written behind
//! the data by [`Writer::finish`], the superblock last, so that a torn image has none. Equal calls give equal bytes.
//!
//! Order on disk: superblock, file data, directory blocks, shared xattrs, inodes with the root first (its number has
//! only 16 bits). Inodes are extended; directories and symbolic links keep short tails inline.
#![forbid(unsafe_code)]

mod area;
mod content;
mod directory;
mod error;
mod finish;
mod inode;
mod layout;
mod metadata;
mod tree;
mod writer;
mod xattrs;

pub use content::{Content, ContentWriter};
pub use error::{InsertError, WriteError, XattrError};
pub use metadata::{Device, Metadata, SymlinkTarget, Timestamp, Xattrs};
pub use tree::{Node, NodeId, Tree};
pub use writer::{Summary, Writer};

/// `usize` to `u64`, which cannot truncate on any target Rust has.
fn to_u64(bytes: usize) -> u64 {
    bytes as u64
}
