//! Reads an image through a [`Source`].

mod data;
mod directory;
mod error;
mod image;
mod inode;
mod source;
mod xattr;

pub use data::Extent;
pub use directory::{DirEntries, DirEntry};
pub use error::{OpenError, ReadError};
pub use image::Image;
pub use inode::Inode;
pub use source::{Source, SourceError};
pub use xattr::{Xattr, Xattrs};
