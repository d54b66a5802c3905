//! File systems.

mod anonymous;
mod erofs;
mod overlay;
mod stream;
mod tmpfs;

pub use anonymous::{Anonymous, AnonymousFs};
pub use erofs::Erofs;
pub use overlay::Overlay;
pub use stream::StreamFile;
pub use tmpfs::{Seals, Tmpfs, TmpfsOptions, sealed_node};
