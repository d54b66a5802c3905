//! Taps as network interfaces: their names, and what is asked of the kernel about them.

use std::path::Path;

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use stockade_netlink::numbers::{AF_INET6, IFF_UP, IFLA_IFNAME, IFLA_MTU, SET_LINK};
use stockade_netlink::{Act, Request};
use stockade_sandbox::OWN_INTERFACES;

const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;

/// The name of an interface's tap.
pub(super) fn of(index: u32) -> String {
    format!("{OWN_INTERFACES}{index}")
}

/// The name of a tap that waits for its interface.
pub(super) fn spare(number: u8) -> String {
    format!("{OWN_INTERFACES}s{number}")
}

/// Its number.
pub(super) fn index(name: &str) -> rustix::io::Result<u32> {
    // Any socket of the namespace knows its interfaces.
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    name_to_index(socket, name)
}

/// Another name, while it is down.
pub(super) fn named(index: u32, name: &str) -> Request {
    change(index, 0).with(IFLA_IFNAME, format!("{name}\0").as_bytes())
}

/// Up, with its MTU, and with no IPv6 address of its own, which the guest would hear of.
pub(super) fn up(index: u32, mtu: u32) -> Request {
    let request = change(index, IFF_UP).with(IFLA_MTU, &mtu.to_ne_bytes());
    match Path::new("/proc/net/if_inet6").exists() {
        true => request.nested(IFLA_AF_SPEC, |families| {
            families.nested(AF_INET6.into(), |own| own.with(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]))
        }),
        false => request,
    }
}

/// `struct ifinfomsg`.
fn change(index: u32, flags: u32) -> Request {
    let fixed = [&[0; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &flags.to_ne_bytes()].concat();
    Request::new(SET_LINK, Act::Change, &fixed)
}
