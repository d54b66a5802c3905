//! Structures of the application's ABI, to and from bytes. Little endian, laid out as the C compiler does on x86-64.

mod codec;
mod time;
mod vector;

pub use codec::{Abi, Decoder, Encoder};
pub use time::{Timespec, Timeval};
pub use vector::Iovec;
