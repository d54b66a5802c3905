//! The machine below class `kernel`: applications run in *stubs*, host processes that can ask the host for nothing by
//! themselves. Their system calls come here by seccomp user notification.
//!
//! [`HostMachine`] implements [`stockade_kernel::platform::Machine`]. A zygote process holds the stub program and the
//! base filter; every address space is a copy of it, or of another space. How a call travels, what the host is asked
//! for and what was measured: docs/rfcs/0001-trap-path.md.
//!
//! Memory and registers of stubs are hostile: they are copied once, and the copy is checked and used.

mod blob;
mod boot;
mod file;
mod filter;
mod fp;
pub mod host_calls;
mod info;
mod life;
mod machine;
mod native;
mod park;
mod path;
mod pool;
mod procfs;
mod random;
mod range;
mod receivers;
mod space;
mod stub;
mod sys;
mod thread;
mod timer;
mod turn;
mod watch;
mod watchdog;
mod zygote;

pub use machine::{HostMachine, Options, StartError};
pub use path::TrapPath;

/// Stack of the threads that receive calls; the kernel runs on them.
const THREAD_STACK_BYTES: usize = 256 << 10;
