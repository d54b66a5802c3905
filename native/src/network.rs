//! A new network namespace's loopback interface.

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use stockade_sandbox::Result;

use crate::fail::Context;

/// Brings `lo` up in the calling process's network namespace.
pub(crate) fn loopback_up() -> Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .at("open a socket to bring loopback up")?;
    crate::sys::net::loopback_up(socket).at("bring loopback up")
}
