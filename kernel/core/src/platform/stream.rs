//! Files of the host that the kernel may use: layers of images, and the streams and terminal of a container.

use alloc::sync::Arc;
use core::fmt::Debug;

use super::BlobId;
use crate::Errno;

/// An immutable file of the host, mapped for the kernel.
pub trait Blob: Debug + Send + Sync {
    /// What mappings call it.
    fn id(&self) -> BlobId;

    /// Its content.
    fn bytes(&self) -> &[u8];
}

/// Something that wants to hear that a stream changed. Called from any host thread; must not block.
pub trait Wake: Debug + Send + Sync {
    /// The stream may have become readable or writable, or have ended.
    fn wake(&self);
}

/// Whether a stream would block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Reading gives something, or the end.
    pub readable: bool,
    /// Writing takes something, or fails at once.
    pub writable: bool,
    /// The other side is gone.
    pub hang_up: bool,
}

/// A pipe, file or terminal master of the host, never blocking: a container's standard streams.
pub trait HostStream: Debug + Send + Sync {
    /// Reads; 0 at the end, `EAGAIN` when there is nothing yet.
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes; `EAGAIN` when there is no room, `EPIPE` when nobody reads.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno>;

    /// What would block now.
    fn readiness(&self) -> Readiness;

    /// Whom to tell about changes from now on.
    fn watch(&self, waker: Arc<dyn Wake>);
}
