//! Class `kernel` behind the sandbox protocol.
//!
//! Four parts, one binary: [`KernelClass`] is what callers use; it starts the *monitor* (the jailed process that holds
//! the kernel), one *proxy* per container init and exec (the process that callers see: `stockade_hosted`), and for a
//! bundle's directory its *file server*. [`program`] is what the binary does when it was started as monitor or file
//! server.
#![forbid(unsafe_code)]

mod class;
mod files;
mod monitor;
mod settings;

pub use class::KernelClass;

use std::ffi::OsString;

/// The monitor's name as a program.
const MONITOR: &str = "stockade-monitor";
/// A file server's name as a program.
const FILES: &str = "stockade-files";

/// Names of the host's system calls that a monitor can make once it serves.
pub fn host_calls() -> Vec<&'static str> {
    monitor::filter::calls()
}

/// Names of the host's system calls that a file server can make once it serves.
pub fn file_server_calls() -> Vec<&'static str> {
    files::calls()
}

/// What this process is, by the name that it was started with: `None` when it is none of them, else the exit
/// status once it is done.
pub fn program(mut arguments: impl Iterator<Item = OsString>) -> Option<i32> {
    match arguments.next()?.to_str()? {
        MONITOR => Some(monitor::main(arguments)),
        FILES => Some(files::main()),
        _ => None,
    }
}
