//! What client and server say to each other: one packet each way over a SOCK_SEQPACKET socket, a request after the
//! answer to the one before. A packet is a tag and its fields, integers little-endian, bytes after their length.
//!
//! Both ends take the other one's packets for hostile: a packet that cannot be read whole is none.

mod answer;
mod codec;
mod request;
#[cfg(test)]
mod tests;

pub use answer::{Attributes, Entry, FileSystem, Listed, decode_answer, encode_failure, listed, push_listed};
pub use codec::{Reader, Writer};
pub use request::{Access, Make, MakeKind, Removal, RenameHow, Request, SetXattr, Times};

/// The node of the served directory itself.
pub const ROOT: u32 = 0;
/// Most bytes of a packet. The value of an extended attribute is the longest thing in a request, a part of a listing
/// that in an answer.
pub const PACKET_BYTES_MAX: usize = 128 << 10;
/// NAME_MAX
pub const NAME_BYTES_MAX: usize = 255;
/// PATH_MAX without its NUL: the longest target of a symbolic link.
pub const TARGET_BYTES_MAX: usize = 4095;
/// XATTR_SIZE_MAX
pub const VALUE_BYTES_MAX: usize = 65_536;
/// Most nodes that one packet lets go of.
pub const FORGOTTEN_MAX: usize = 256;
