//! What runs beside the application in its host process.
//!
//! A *stub* is a host process that holds one application address space. Its first thread, the *spawner*, makes
//! application threads and copies of the process when the monitor says so. Every application thread has a seccomp
//! listener of its own, so that its system calls go to the monitor, and a *slot*: memory where the monitor leaves
//! orders and the signal handler leaves the thread's state.
//!
//! Nothing here is trusted: it shares its memory with the application. What it may ask of the host is fixed by the
//! base filter, which the monitor writes; what it tells the monitor is checked there. See docs/rfcs/0001-trap-path.md.
//!
//! The crate is linked twice: into the stub program (`program/main.rs`), and into `kernel/platform` for [`abi`].
#![no_std]
#![expect(clippy::cast_possible_truncation, reason = "one target, whose usize is u64; what is narrowed was checked")]

pub mod abi;
mod boot;
mod handler;
mod spawner;
mod sys;
mod thread;

pub use boot::start;
pub use sys::die;
