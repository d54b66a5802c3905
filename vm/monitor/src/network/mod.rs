//! The container's network for a guest: what the network namespace was given (a veth of Docker's or CNI's) goes on
//! being what it is, and all frames cross between it and a tap, which is the guest's card.
//!
//! ```text
//!  host ─ veth ══ eth0 ─ ingress ─▶ redirect ─▶ tap ─ VMM ─ guest's eth0 (same name, address, MTU)
//!                 eth0 ◀─ redirect ◀─ ingress ─ tap
//! ```
//!
//! Redirection happens before the namespace's own protocols see a frame, so that its addresses can stay for those who
//! look at them. A tap ends with its descriptor, which the machine has; what else was added, [`detach`] takes away, or
//! the next [`attach`] of a namespace that outlived its guest. Whoever calls changes its thread's network namespace for
//! a moment.
//!
//! [`attach`] is for a namespace that comes with all in it (CNI's), [`attach_new`] for one that gets it later, once the
//! container is made (Docker's).

mod inventory;
mod redirect;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use stockade_netlink::numbers::{AF_INET6, IFF_UP, IFLA_MTU, SET_LINK};
use stockade_netlink::{Act, Request, Socket};
use stockade_sandbox::protocol::GuestNetwork;
use stockade_vmm::devices::virtio::net::{OpenError, Tap};

use self::inventory::Interface;

/// What taps are called, before the number of their interface.
const TAP: &str = "vmtap";

/// What a guest gets of its container's network.
#[derive(Debug, Default)]
pub struct Attached {
    /// Its new cards.
    pub cards: Vec<Card>,
    /// All of it, for the agent.
    pub network: GuestNetwork,
}

/// One card.
#[derive(Debug)]
pub struct Card {
    /// The container's name for it.
    pub name: String,
    /// The interface's number in the namespace.
    pub index: u32,
    /// Opened without waiting, frames with a virtio header.
    pub tap: OwnedFd,
}

/// Why a guest has no network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A namespace cannot be entered, or not be left again.
    #[error("cannot enter a network namespace: {0}")]
    Namespace(#[source] io::Error),
    /// The kernel does not tell what there is.
    #[error("cannot list the container's {what}: {source}")]
    List {
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No tap.
    #[error(transparent)]
    Tap(#[from] OpenError),
    /// An interface cannot be set up.
    #[error("cannot set up the tap for {interface}: {source}")]
    Setup {
        /// Whose tap.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Frames cannot be redirected.
    #[error(
        "cannot redirect the frames of {interface}: {source} (this takes sch_ingress, cls_u32 and act_mirred in the \
         kernel, and an interface that no other guest has)"
    )]
    Redirect {
        /// Whose frames.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Puts a tap beside each interface of the namespace. One that another guest has is refused.
pub fn attach(namespace: BorrowedFd<'_>) -> Result<Attached, Error> {
    within(namespace, |socket| {
        let interfaces = inventory::interfaces(socket)?;
        let network = inventory::network(socket, &interfaces)?;
        Ok(Attached { cards: connect_all(socket, &interfaces)?, network })
    })
}

/// The same for interfaces that have come since a guest got this network; `None` when nothing has changed.
pub fn attach_new(namespace: BorrowedFd<'_>, before: &GuestNetwork) -> Result<Option<Attached>, Error> {
    within(namespace, |socket| {
        let mut interfaces = inventory::interfaces(socket)?;
        let network = inventory::network(socket, &interfaces)?;
        if network == *before {
            return Ok(None);
        }
        interfaces.retain(|interface| !interface.has_tap);
        Ok(Some(Attached { cards: connect_all(socket, &interfaces)?, network }))
    })
}

/// Lets interfaces with these numbers be as they were, unless a guest has them by now.
pub fn detach(namespace: BorrowedFd<'_>, indices: &[u32]) -> Result<(), Error> {
    within(namespace, |socket| {
        let interfaces = inventory::interfaces(socket)?;
        let free = |interface: &&Interface| indices.contains(&interface.index) && !interface.has_tap;
        interfaces.iter().filter(free).for_each(|interface| disconnect(socket, interface));
        Ok(())
    })
}

fn tap_of(index: u32) -> String {
    format!("{TAP}{index}")
}

fn within<T>(namespace: BorrowedFd<'_>, act: impl FnOnce(&Socket) -> Result<T, Error>) -> Result<T, Error> {
    let home = File::open("/proc/thread-self/ns/net").map_err(Error::Namespace)?;
    enter(namespace)?;
    let socket = Socket::open().map_err(|errno| Error::Namespace(errno.into()));
    let result = socket.and_then(|socket| act(&socket));
    enter(home.as_fd())?;
    result
}

fn enter(namespace: BorrowedFd<'_>) -> Result<(), Error> {
    let moved = move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network));
    moved.map_err(|errno| Error::Namespace(errno.into()))
}

/// All or none.
fn connect_all(socket: &Socket, interfaces: &[Interface]) -> Result<Vec<Card>, Error> {
    let mut cards = Vec::new();
    for interface in interfaces {
        let card = connect(socket, interface).inspect_err(|_| {
            interfaces[..cards.len()].iter().for_each(|connected| disconnect(socket, connected));
        });
        cards.push(card?);
    }
    Ok(cards)
}

/// A tap whose frames and those of `interface` cross.
fn connect(socket: &Socket, interface: &Interface) -> Result<Card, Error> {
    let name = tap_of(interface.index);
    let tap = Tap::open(&name)?.into_file();
    let setup = |errno: Errno| Error::Setup { interface: interface.name.clone(), source: errno.into() };
    let redirect = |errno: Errno| Error::Redirect { interface: interface.name.clone(), source: errno.into() };
    let index = tap_socket().and_then(|socket| name_to_index(socket, &name)).map_err(setup)?;
    socket.carry_out(up(index, interface.mtu)).map_err(setup)?;
    // The interface last: when that fails, nothing is left but the tap, which goes with its descriptor.
    for (from, to) in [(index, interface.index), (interface.index, index)] {
        redirect::add(socket, from, to).map_err(redirect)?;
    }
    Ok(Card { name: interface.name.clone(), index: interface.index, tap: tap.into() })
}

/// Any socket of the namespace knows its interfaces.
fn tap_socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

fn disconnect(socket: &Socket, interface: &Interface) {
    if let Err(error) = redirect::remove(socket, interface.index) {
        tracing::warn!("{}: its redirection stays: {error}", interface.name);
    }
}

const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;

/// `struct ifinfomsg`, the MTU, and no IPv6 address of the tap's own, which the guest would hear of.
fn up(index: u32, mtu: u32) -> Request {
    let fixed = [&[0; 4][..], &index.to_ne_bytes(), &IFF_UP.to_ne_bytes(), &IFF_UP.to_ne_bytes()].concat();
    let request = Request::new(SET_LINK, Act::Change, &fixed).with(IFLA_MTU, &mtu.to_ne_bytes());
    match std::path::Path::new("/proc/net/if_inet6").exists() {
        true => request.nested(IFLA_AF_SPEC, |families| {
            families.nested(AF_INET6.into(), |own| own.with(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]))
        }),
        false => request,
    }
}
