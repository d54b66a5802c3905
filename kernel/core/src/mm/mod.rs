//! Address spaces: what is mapped where, and the application's memory seen from the kernel.
//!
//! Application memory is hostile: it is copied once, and the copy is judged.

mod source;
mod user;

use alloc::sync::Arc;

use crate::platform::Space;

pub use source::{Hold, MapPiece, MappedName, PoolRange, Source};

/// One address space, shared by the tasks that clone(2) made with CLONE_VM.
#[derive(Debug)]
pub struct Memory {
    space: Arc<dyn Space>,
}

impl Memory {
    /// Of an empty space.
    pub fn new(space: Arc<dyn Space>) -> Arc<Self> {
        Arc::new(Self { space })
    }

    /// The machine's side of it.
    pub fn space(&self) -> &Arc<dyn Space> {
        &self.space
    }
}
