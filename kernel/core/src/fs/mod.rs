//! File systems.

mod anonymous;

pub use anonymous::{Anonymous, AnonymousFs};
