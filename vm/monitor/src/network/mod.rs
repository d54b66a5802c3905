//! The container's network for a guest: what the network namespace was given (a veth of Docker's or CNI's) goes on
//! being what it is, and all frames cross between it and a tap, which is the guest's card.
//!
//! ```text
//!  host ─ veth ══ eth0 ─ ingress ─▶ redirect ─▶ tap ─ VMM ─ guest's eth0 (same name, address, MTU)
//!                 eth0 ◀─ redirect ◀─ ingress ─ tap
//! ```
//!
//! Redirection happens before the namespace's own protocols see a frame, so that its addresses can stay for those who
//! look at them. The filter is u32, which more kernels have than matchall. A tap ends with its descriptor; what else
//! was added, [`detach`] takes away. Whoever calls changes its thread's network namespace for a moment.

mod inventory;
mod netlink;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use stockade_sandbox::protocol::{GuestInterface, GuestNetwork};
use stockade_vmm::devices::virtio::net::{OpenError, Tap};

use self::inventory::Interface;
use self::netlink::{Act, Request, Socket};

/// What a guest gets of its container's network.
#[derive(Debug, Default)]
pub struct Attached {
    /// In the order of the interfaces in [`Attached::network`].
    pub cards: Vec<Card>,
    /// For the agent.
    pub network: GuestNetwork,
}

/// One card.
#[derive(Debug)]
pub struct Card {
    /// The container's name for it.
    pub name: String,
    /// Opened without waiting, frames with a virtio header.
    pub tap: OwnedFd,
    /// Its address, the same on both sides.
    pub mac: [u8; 6],
    /// The longest packet.
    pub mtu: u32,
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

/// Puts a tap beside each interface of the namespace.
pub fn attach(namespace: BorrowedFd<'_>) -> Result<Attached, Error> {
    within(namespace, || {
        let socket = Socket::open().map_err(Error::Namespace)?;
        let interfaces = inventory::interfaces(&socket)?;
        let network = GuestNetwork {
            routes: inventory::routes(&socket, &interfaces)?,
            interfaces: interfaces.iter().map(GuestInterface::from).collect(),
        };
        Ok(Attached { cards: connect_all(&socket, &interfaces)?, network })
    })
}

/// Lets the namespace's interfaces be as they were.
pub fn detach(namespace: BorrowedFd<'_>) -> Result<(), Error> {
    within(namespace, || {
        let socket = Socket::open().map_err(Error::Namespace)?;
        inventory::interfaces(&socket)?.iter().for_each(|interface| disconnect(&socket, interface));
        Ok(())
    })
}

fn within<T>(namespace: BorrowedFd<'_>, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let home = File::open("/proc/thread-self/ns/net").map_err(Error::Namespace)?;
    enter(namespace)?;
    let result = act();
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
    let name = format!("vmtap{}", interface.index);
    let tap = Tap::open(&name)?.into_file();
    let setup = |source| Error::Setup { interface: interface.name.clone(), source };
    let redirect = |source| Error::Redirect { interface: interface.name.clone(), source };
    let index = rustix::net::netdevice::name_to_index(tap_socket().map_err(setup)?, &name);
    let index = index.map_err(|errno| setup(errno.into()))?;
    socket.carry_out(up(index, interface.mtu)).map_err(setup)?;
    // The interface last: when that fails, nothing is left but the tap, which goes with its descriptor.
    for (from, to) in [(index, interface.index), (interface.index, index)] {
        redirect_frames(socket, from, to).map_err(redirect)?;
    }
    Ok(Card { name: interface.name.clone(), tap: tap.into(), mac: interface.mac, mtu: interface.mtu })
}

fn redirect_frames(socket: &Socket, from: u32, to: u32) -> io::Result<()> {
    socket.carry_out(ingress(NEW_QDISC, Act::Create, from))?;
    socket.carry_out(redirection(from, to)).inspect_err(|_| {
        // It was made a moment ago.
        let _ = socket.carry_out(ingress(DELETE_QDISC, Act::Change, from));
    })
}

/// Any socket of the namespace knows its interfaces.
fn tap_socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    Ok(socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// One that has no redirection is left as it is.
fn disconnect(socket: &Socket, interface: &Interface) {
    if let Err(error) = socket.carry_out(ingress(DELETE_QDISC, Act::Change, interface.index)) {
        tracing::debug!("{}: no redirection to take away: {error}", interface.name);
    }
}

const SET_LINK: u16 = 19;
const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
const NEW_FILTER: u16 = 44;

const IFLA_MTU: u16 = 4;
const IFLA_AF_SPEC: u16 = 26;
const AF_INET6: u16 = 10;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
const IFF_UP: u32 = 1;

/// `struct ifinfomsg`, the MTU, and no IPv6 address of the tap's own, which the guest would hear of.
fn up(index: u32, mtu: u32) -> Request {
    let fixed = [&[0; 4][..], &index.to_ne_bytes(), &IFF_UP.to_ne_bytes(), &IFF_UP.to_ne_bytes()].concat();
    let request = Request::new(SET_LINK, Act::Change, &fixed).with(IFLA_MTU, &mtu.to_ne_bytes());
    match std::path::Path::new("/proc/net/if_inet6").exists() {
        true => request.nested(IFLA_AF_SPEC, |families| {
            families.nested(AF_INET6, |own| own.with(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]))
        }),
        false => request,
    }
}

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const INGRESS_PARENT: u32 = 0xffff_fff1;
const INGRESS_HANDLE: u32 = 0xffff_0000;

/// `struct tcmsg`.
fn traffic(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let words = [index, handle, parent, info].map(u32::to_ne_bytes);
    [&[0; 4][..], words.as_flattened()].concat()
}

fn ingress(kind: u16, act: Act, index: u32) -> Request {
    Request::new(kind, act, &traffic(index, INGRESS_HANDLE, INGRESS_PARENT, 0)).with(TCA_KIND, b"ingress\0")
}

const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
const ETH_P_ALL: u16 = 3;
const PRIORITY: u32 = 1 << 16;
const TC_ACT_STOLEN: u32 = 4;
const TCA_EGRESS_REDIR: u32 = 1;

/// All that comes in at one interface goes out of the other.
fn redirection(from: u32, to: u32) -> Request {
    let fixed = traffic(from, 0, INGRESS_HANDLE, PRIORITY | u32::from(ETH_P_ALL.to_be()));
    // `struct tc_u32_sel`: terminal, one key of no bits, which all frames have.
    let mut selector = [0; 32];
    (selector[0], selector[2]) = (1, 1);
    // `struct tc_mirred`.
    let mirred = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to].map(u32::to_ne_bytes);
    let action = |first: Request| {
        let options = |options: Request| options.with(TCA_MIRRED_PARMS, mirred.as_flattened());
        first.with(TCA_ACT_KIND, b"mirred\0").nested(TCA_ACT_OPTIONS, options)
    };
    Request::new(NEW_FILTER, Act::Create, &fixed).with(TCA_KIND, b"u32\0").nested(TCA_OPTIONS, |options| {
        options.with(TCA_U32_SEL, &selector).nested(TCA_U32_ACT, |actions| actions.nested(1, action))
    })
}
