//! Address spaces: what is mapped where, and the application's memory seen from the kernel.
//!
//! Application memory is hostile: it is copied once, and the copy is judged.

mod source;
mod user;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Errno;
use crate::platform::{Frame, HostCall, Space, ThreadEvents, UserThread};

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

    /// A copy as fork(2) makes it, with one thread, which waits to be started.
    pub fn fork(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<(Arc<Memory>, Arc<dyn UserThread>), Errno> {
        let forked = self.space.fork(frame, setup, events)?;
        Ok((Memory::new(forked.space), forked.thread))
    }
}
