//! The sandbox protocol's words: what the engine asks of every isolation class, and what it is answered.
//!
//! A class implements [`Runtime`]; the engine and the OCI command line are its only callers and know no class by name.
//! Native serves the trait in process. Classes with a monitor serve the same verbs over a socket: [`protocol`].
#![forbid(unsafe_code)]

mod class;
mod error;
mod id;
pub mod protocol;
mod request;
mod runtime;
mod state;
mod stats;

pub use class::{
    ANNOTATION, GUEST_KERNEL_ANNOTATION, IsolationClass, OWN_INTERFACES, SANDBOX_ANNOTATION, STRACE_ANNOTATION,
    UnknownClass,
};
pub use error::{Error, Result};
pub use id::{ContainerId, InvalidId};
pub use request::{
    CgroupManager, CgroupParent, CreateRequest, DeleteMode, ExecRequest, PivotRoot, Rootfs, SessionKeyring,
    SignalTarget, Stdio, Terminal, Trace, WritableLayer,
};
pub use runtime::{OomWatch, Runtime};
pub use state::{ContainerState, Status};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, HugetlbStats, MemoryStats, PidsStats, Pressure, PressureLine, Stats,
};
