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
//! A machine has its cards from the start. [`attach`] is for a namespace that comes with all in it (CNI's). One that
//! gets it later, once the container is made (Docker's), has [`spare`] taps until [`attach_new`] finds their use.

mod inventory;
mod redirect;
mod tap;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use stockade_netlink::Socket;
use stockade_sandbox::protocol::GuestNetwork;
use stockade_vmm::devices::virtio::net::{OpenError, Tap};

use self::inventory::Interface;

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
    /// Its address.
    pub mac: [u8; 6],
    /// The longest packet of its network.
    pub mtu: u32,
    /// Opened without waiting, frames with a virtio header.
    pub tap: OwnedFd,
}

/// A card for an interface that comes later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spare {
    /// The tap's name.
    pub tap: String,
    /// The card's address until then.
    pub mac: [u8; 6],
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
    /// More has come than there are spare cards.
    #[error(
        "{wanted} interfaces came after the container was made, and its machine has {spares} spare network cards: give \
         it a namespace that has them all"
    )]
    NoCard {
        /// How many came.
        wanted: usize,
        /// How many can.
        spares: usize,
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

/// Puts a tap for what comes later into a namespace, with `number` to tell it from others. A host without taps has
/// none: what comes later will be refused.
pub fn spare(namespace: BorrowedFd<'_>, number: u8) -> Result<Option<(Spare, OwnedFd)>, Error> {
    // Locally administered; it is seen by nobody but the guest, until it gives way to another.
    let spare = Spare { tap: tap::spare(number), mac: [2, b's', b'p', b'a', b'r', number] };
    within(namespace, |_| match Tap::open(&spare.tap) {
        Err(OpenError::Device(error)) if is_absent(&error) => Ok(None),
        tap => Ok(Some((spare, tap?.into_file().into()))),
    })
}

/// Gives spare taps to interfaces that have come since a guest got its network, and returns the network with what the
/// guest has to know of its cards. Those that were needed are spare no more.
pub fn attach_new(
    namespace: BorrowedFd<'_>,
    before: &GuestNetwork,
    spares: &mut Vec<Spare>,
) -> Result<GuestNetwork, Error> {
    within(namespace, |socket| {
        let interfaces = inventory::interfaces(socket)?;
        let mut network = inventory::network(socket, &interfaces)?;
        inventory::recall_cards(&mut network, before);
        let new = |interface: &Interface| !interface.has_tap;
        let wanted = interfaces.iter().filter(|interface| new(interface)).count();
        if wanted > spares.len() {
            return Err(Error::NoCard { wanted, spares: spares.len() });
        }
        let pairs = interfaces.iter().zip(&mut network.interfaces).filter(|(interface, _)| new(interface));
        for ((interface, told), spare) in pairs.zip(spares.drain(..wanted)) {
            take(socket, interface, &spare)?;
            told.card = spare.mac.to_vec();
        }
        Ok(network)
    })
}

/// Lets interfaces be as they were, unless a guest has them by now. What others have redirected stays.
pub fn detach(namespace: BorrowedFd<'_>) -> Result<(), Error> {
    within(namespace, |socket| {
        let interfaces = inventory::interfaces(socket)?;
        let free = |interface: &&Interface| !interface.has_tap;
        interfaces.iter().filter(free).for_each(|interface| disconnect(socket, interface));
        Ok(())
    })
}

/// There is no device file, or no driver behind it.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
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
    let name = tap::of(interface.index);
    let tap = Tap::open(&name)?.into_file();
    cross(socket, interface, &name)?;
    Ok(Card { name: interface.name.clone(), mac: interface.mac, mtu: interface.mtu, tap: tap.into() })
}

/// A spare tap becomes an interface's.
fn take(socket: &Socket, interface: &Interface, spare: &Spare) -> Result<(), Error> {
    let name = tap::of(interface.index);
    let index = tap::index(&spare.tap).map_err(|errno| setup(interface, errno))?;
    socket.carry_out(tap::named(index, &name)).map_err(|errno| setup(interface, errno))?;
    cross(socket, interface, &name)
}

fn cross(socket: &Socket, interface: &Interface, tap: &str) -> Result<(), Error> {
    let redirect = |errno: Errno| Error::Redirect { interface: interface.name.clone(), source: errno.into() };
    let index = tap::index(tap).map_err(|errno| setup(interface, errno))?;
    socket.carry_out(tap::up(index, interface.mtu)).map_err(|errno| setup(interface, errno))?;
    // The interface last: when that fails, nothing is left but the tap, which goes with its descriptor.
    for (from, to) in [(index, interface.index), (interface.index, index)] {
        redirect::add(socket, from, to).map_err(redirect)?;
    }
    Ok(())
}

fn setup(interface: &Interface, errno: Errno) -> Error {
    Error::Setup { interface: interface.name.clone(), source: errno.into() }
}

fn disconnect(socket: &Socket, interface: &Interface) {
    if let Err(error) = redirect::remove(socket, interface.index) {
        tracing::warn!("{}: its redirection stays: {error}", interface.name);
    }
}
