//! What the classes have in common whose containers run in a monitor (`kernel`, `vm`), on the host's side.
//!
//! The launcher, which is whoever calls a verb, hands a monitor its descriptors ([`Luggage`]) and starts a proxy per
//! process ([`proxy_of`], [`exec`]); the proxy is a program of its own ([`program`]). Later verbs ask the monitor
//! ([`Monitors`]). A monitor copies from and to the host's streams without ever waiting for one ([`Stream`]). The
//! container's state on the host is `stockade_native::hosted`'s.
#![forbid(unsafe_code)]

pub mod binds;
mod exec;
pub mod files;
mod launch;
pub mod log;
mod luggage;
mod monitors;
mod owner;
mod proxy;
pub mod rlimits;
mod stream;
pub mod terminal;
mod writable;

pub use exec::exec;
pub use launch::{connect, copy, null, pack, proxy_of};
pub use luggage::Luggage;
pub use monitors::Monitors;
pub use owner::Owner;
pub use stream::{Readiness, Stream};
pub use writable::Writable;

use std::ffi::OsString;

/// A proxy's name as a program.
const PROXY: &str = "stockade-proxy";

/// A monitor's socket, in a container's directory of state. It marks the container as one of a hosted class.
pub const SOCKET: &str = "monitor.sock";

/// Beside it, where the monitor is a virtual machine.
pub const MACHINE: &str = "machine.json";

/// What this process is, by the name that it was started with: `None` when it is no proxy, else the exit status once
/// it is done.
pub fn program(mut arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    (arguments.next()? == PROXY).then(|| proxy::main(arguments))
}
