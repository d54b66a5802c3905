//! The verbs.

use std::os::fd::BorrowedFd;

use oci_spec::runtime::LinuxResources;

use crate::protocol::ProcessEntry;
use crate::{
    ContainerId, ContainerState, CreateRequest, DeleteMode, ExecRequest, IsolationClass, Result, SignalTarget, Stats,
};

/// One isolation class's service. All state is on disk: any process may call any verb on any container, at any time.
///
/// Invariant: a verb that fails leaves nothing behind, and a verb whose process is killed leaves only what the next
/// `delete --force` of the same id removes.
pub trait Runtime {
    /// Which class this is.
    fn class(&self) -> IsolationClass;

    /// Makes the container with its init waiting for `start`, and returns the init's host pid.
    /// The init is a child of the calling process, so that its caller (or that one's subreaper) can wait for it.
    fn create(&self, id: &ContainerId, request: CreateRequest) -> Result<u32>;

    /// Lets a created container's init run the workload.
    fn start(&self, id: &ContainerId) -> Result<()>;

    /// Runs one more process in a running container and returns its host pid, a child of the calling process.
    fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<u32>;

    /// Sends a signal.
    fn signal(&self, id: &ContainerId, signal: i32, target: SignalTarget) -> Result<()>;

    /// The container's state.
    fn state(&self, id: &ContainerId) -> Result<ContainerState>;

    /// All containers below the state directory, sorted by id. Unreadable ones are logged and left out.
    fn list(&self) -> Result<Vec<ContainerState>>;

    /// Freezes every process.
    fn pause(&self, id: &ContainerId) -> Result<()>;

    /// Thaws every process.
    fn resume(&self, id: &ContainerId) -> Result<()>;

    /// Changes limits of a live container; fields that are `None` stay as they are.
    fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()>;

    /// One sample of resource use.
    fn stats(&self, id: &ContainerId) -> Result<Stats>;

    /// Host pids of every process.
    fn processes(&self, id: &ContainerId) -> Result<Vec<u32>>;

    /// Every process as the container's own kernel sees it; `None` where that is the host's, which ps(1) asks.
    fn own_processes(&self, _id: &ContainerId) -> Result<Option<Vec<ProcessEntry>>> {
        Ok(None)
    }

    /// Watches for processes killed for lack of memory.
    fn watch_oom(&self, id: &ContainerId) -> Result<Box<dyn OomWatch>>;

    /// Removes the container and all it held.
    fn delete(&self, id: &ContainerId, mode: DeleteMode) -> Result<()>;
}

/// A source of out-of-memory events for a poll loop.
pub trait OomWatch {
    /// Readable when there may be news.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Consumes the news: how many processes were killed since the last call. `None` once the container is gone.
    fn take(&mut self) -> Result<Option<u64>>;
}
