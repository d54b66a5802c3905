//! System V interprocess communication (sysvipc(7)), of one container.

mod permission;
mod segment;
#[cfg(test)]
mod tests;

pub use permission::{IpcAccess, IpcPermission};
pub use segment::{Create, Facts, Segment, SegmentRequest, Segments};

/// The objects of a container.
#[derive(Debug, Default)]
pub struct Ipc {
    /// Shared memory.
    pub segments: Segments,
}
