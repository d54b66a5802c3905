//! File systems.

mod anonymous;
mod tmpfs;

pub use anonymous::{Anonymous, AnonymousFs};
pub use tmpfs::{Tmpfs, TmpfsOptions};
