//! Interprocess communication of one container: System V objects (sysvipc(7)), and the place of POSIX message queues.

mod message;
mod objects;
mod permission;
mod segment;
mod semaphore;
#[cfg(test)]
mod tests;

pub use message::{Choice, Message, MessageQueue, QUEUE_BYTES, QueueState, TEXT_MAX};
pub use objects::{Lookup, Object, Objects};
pub use permission::{IpcAccess, IpcPermission};
pub use segment::{Create, Facts, Segment, SegmentRequest, Segments};
pub use semaphore::{
    OPERATIONS_MAX, Operated, Operation, OperationFlags, SET_MAX, SemaphoreSet, SetState, VALUE_MAX, Wanted,
};

use crate::mqueue::MessageQueues;

/// The objects of a container.
#[derive(Debug, Default)]
pub struct Ipc {
    /// Shared memory.
    pub segments: Segments,
    /// Semaphores.
    pub semaphores: Objects<SemaphoreSet>,
    /// Message queues.
    pub messages: Objects<MessageQueue>,
    /// POSIX message queues.
    pub queues: MessageQueues,
}
