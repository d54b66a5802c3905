//! Isolation class `native`: namespaces, cgroups, seccomp and capabilities of the host kernel.
//!
//! [`Native`] serves [`stockade_sandbox::Runtime`] in process, with all state on disk, so that any process may call any
//! verb. `create` clones the container's init, which builds its own surroundings and waits on a fifo for `start`; no
//! process of ours is left afterwards. The crate knows no engine, network or registry, because a virtual machine's
//! agent links it too.
//!
//! Invariants:
//! - callers have one thread whenever a verb clones (`create`, `exec`);
//! - whatever can fail in the container's process is reported to the caller as an [`stockade_sandbox::Error`];
//! - nothing is looked up in a container's root by a path that is checked in one call and used in another.

pub mod cgroup;
pub mod clocks;
pub mod gate;
pub mod hosted;
pub mod jail;
pub mod personality;
pub mod rest;
pub mod schedule;
pub mod seal;
pub mod seccomp;
pub mod signals;
pub mod user;

mod caps;
mod clock;
mod console;
mod create;
mod delete;
mod device;
mod exec;
mod fail;
mod helper;
mod hooks;
mod idmap;
mod init;
mod launch;
mod layers;
mod limits;
mod lookup;
mod loop_device;
mod namespaces;
mod network;
mod pid;
mod process;
mod procfs;
mod root;
mod runtime;
mod state;
mod streams;
mod sys;
mod sysctl;
mod wire;

pub use helper::{Helper, take_descriptors};
pub use runtime::Native;
