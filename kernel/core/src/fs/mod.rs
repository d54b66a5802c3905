//! File systems.

mod anonymous;
mod erofs;
mod stream;
mod tmpfs;

pub use anonymous::{Anonymous, AnonymousFs};
pub use erofs::Erofs;
pub use stream::StreamFile;
pub use tmpfs::{Seals, Tmpfs, TmpfsOptions, sealed_node};
