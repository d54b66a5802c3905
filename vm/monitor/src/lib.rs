//! Class `vm` behind the sandbox protocol.
//!
//! [`VmClass`] is what callers use. It starts the *monitor*, a jailed process that is the virtual machine and passes
//! requests on to the *agent*, process 1 of the guest, which serves them with class `native`; and one *proxy* per
//! process of a container (`stockade_hosted`). [`program`] is what the binary does when it was started as a monitor.
//!
//! ```text
//!  launcher ── clone3 ──▶ proxy ──┐ sandbox protocol, descriptors by SCM_RIGHTS
//!     └─────── clone3 ──▶ monitor ◀┘
//!                           │ relay: a stream of the host ◀──▶ a stream of the guest
//!                           └ machine ◀── vsock ──▶ agent: the same protocol, each stream a connection
//! ```
//!
//! Everything that the agent says is hostile.
#![forbid(unsafe_code)]

mod class;
mod monitor;
pub mod network;
mod settings;
mod share;

pub use class::{Places, VmClass};

use std::ffi::OsString;

/// The monitor's name as a program.
const MONITOR: &str = "stockade-vm-monitor";

/// What this process is, by the name that it was started with: `None` when it is no monitor, else the exit status once
/// it is done.
pub fn program(mut arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    (arguments.next()? == MONITOR).then(|| monitor::main(arguments))
}
