//! File systems.

mod anonymous;
pub mod dev;
mod erofs;
mod overlay;
mod stream;
mod tmpfs;
mod types;

pub use anonymous::{Anonymous, AnonymousFs};
pub use erofs::Erofs;
pub use overlay::Overlay;
pub use stream::StreamFile;
pub use tmpfs::{Seals, Tmpfs, TmpfsOptions, sealed_node};
pub use types::{TYPES, make};
