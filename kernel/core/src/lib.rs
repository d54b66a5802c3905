//! Class `kernel`: a Linux-compatible kernel in user space.
//!
//! It has no authority of its own: no clock, file, socket or thread. Everything from outside comes through
//! [`platform`]. Each folder bears the name of its concept in Linux.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
pub mod account;
pub mod aio;
pub mod epoll;
mod errno;
pub mod eventfd;
pub mod exec;
pub mod fs;
mod futex;
pub mod io;
pub mod ipc;
mod kernel;
mod limits;
mod load;
pub mod mm;
pub mod mqueue;
pub mod net;
pub mod pipe;
pub mod platform;
pub mod poll;
mod ring;
pub mod signal;
pub mod syscall;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod trace;
pub mod tty;
pub mod vfs;
pub mod wait;

pub use errno::Errno;
pub use kernel::Kernel;
pub use limits::{CpuQuota, SandboxLimits};
pub use load::LoadAverages;
