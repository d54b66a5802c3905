//! A layer's tar stream becomes an EROFS image while it streams in.
//!
//! [`convert`] reads the tar once, to its true end, and writes file data to the blob as it comes; memory holds only
//! names, owners and xattrs, within [`Limits`]. OCI whiteouts become overlayfs's: `.wh.NAME` a character device 0:0,
//! `.wh..wh..opq` the xattr `trusted.overlay.opaque`.
//!
//! The stream is hostile. Invariants: nothing of it reaches the host's file system but the blob; a path never climbs
//! (`..` is refused) and never goes through a symbolic link: what a link means is decided when the container runs, and
//! tools that followed it while unpacking are where the escapes were. Xattrs that overlayfs interprets
//! (`trusted.overlay.*`, `user.overlay.*`) are dropped: they could redirect a directory to another one below.

mod apply;
mod archive;
mod convert;
mod error;
mod hash;
mod limits;
mod path;
mod source;
mod stream;
mod tar;
mod whiteout;
mod xattrs;

pub use archive::{ArchiveError, archive_directory};
pub use convert::{CONVERTER_VERSION, Converted, convert, convert_directory};
pub use error::{ConvertError, EntryError, Refusal, TarError};
pub use limits::Limits;
pub use source::FileSource;

/// `usize` to `u64`, which cannot truncate on any target Rust has.
fn to_u64(bytes: usize) -> u64 {
    bytes as u64
}
