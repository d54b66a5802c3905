//! Address spaces: what is mapped where, and the application's memory seen from the kernel.
//!
//! Application memory is hostile: it is copied once, and the copy is judged.
//!
//! The host maps, the kernel decides: it keeps an exact map of its own ([`Vmas`]) and turns each change into host calls
//! that the calling thread makes before it goes on. Since they happen after the kernel's map changed, what such a call
//! frees is *settling*: neither its addresses nor the memory behind it are used again before that thread's next event.
//!
//! Lock order: an address space's state; nothing else is locked or called under it. Files are asked for their pieces
//! before.

mod access;
mod advise;
mod answer;
mod brk;
mod copy;
mod fault;
mod fixed;
mod fork;
mod limits;
mod lock;
mod map;
mod memory;
mod place;
mod protect;
mod remap;
mod report;
mod resize;
mod settle;
mod shared;
mod source;
mod stack;
#[cfg(test)]
mod tests;
mod unmap;
mod user;
mod vma;
mod vmas;

pub use access::Invalidate;
pub use advise::Advised;
pub use answer::{Change, TaskMemory, Undo};
pub use fault::Resolution;
pub use fixed::Fixed;
pub use limits::MemoryLimits;
pub use lock::LockNow;
pub use map::{MapRequest, Placement};
pub(crate) use memory::State;
pub use memory::{Memory, SharedWord};
pub use protect::Protected;
pub use remap::{RemapRequest, RemapTo};
pub use report::{MapLine, Totals};
pub use resize::Mappers;
pub use shared::SharedMemory;
pub use source::{MapPiece, MappedName, PoolRange, Source};
pub use vma::{Object, PAGE, Vma, VmaFlags, page_down, page_up};
pub use vmas::Vmas;
