//! Sockets (socket(7)).
//!
//! A family implements [`Socket`]; [`SocketFile`] makes an open file of it. Data moves without packets: a sender copies
//! straight into its receiver's [`Inbox`]. Nothing here waits: `EAGAIN` says that a call would, and the socket's own
//! queue is woken when that changes, whatever it waits for.
//!
//! Lock order: a family's tables of names, a socket's state, an inbox. Waiters are woken and files dropped without any.

mod address;
mod common;
mod file;
mod inbox;
pub mod inet;
mod loopback;
pub mod netlink;
mod options;
pub mod packet;
mod socket;
mod traffic;
pub mod unix;
mod urgent;

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use stockade_kernel_sync::Mutex;

pub use address::{
    ADDRESS_BYTES_MAX, Address, Endpoint, INET, INET6, Ip, Kind, LinkAddress, NETLINK, PACKET, UNIX, UNSPEC,
};
pub use common::Common;
pub use file::SocketFile;
pub use inbox::{Inbox, Limit, Parcel, Room, Taken, Taking};
pub use options::{Options, TimeLimit};
pub use socket::{Connecting, ControlMessage, Direction, Outgoing, Pairing, Shutdown, Socket, Ucred, Urgency};

pub use traffic::Traffic;

use inet::{Members, Ports};
use loopback::Loopback;
use unix::{InFlight, Names};

/// The network of a container: names, ports, what travels.
#[derive(Debug)]
pub struct Net {
    unix: Mutex<Names>,
    ports: Mutex<Ports>,
    members: Mutex<Members>,
    in_flight: InFlight,
    traffic: Traffic,
    unprivileged_port_start: AtomicU32,
    loopback: Loopback,
    /// The first group in the low half.
    ping_groups: AtomicU64,
}

/// IPPORT_RESERVED
const RESERVED_PORTS: u32 = 1024;

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Net {
    /// Nothing is bound.
    pub fn new() -> Self {
        Self {
            unix: Mutex::default(),
            ports: Mutex::default(),
            members: Mutex::default(),
            in_flight: InFlight::default(),
            traffic: Traffic::default(),
            unprivileged_port_start: AtomicU32::new(RESERVED_PORTS),
            loopback: Loopback::default(),
            // From 1 to 0: nobody.
            ping_groups: AtomicU64::new(1),
        }
    }

    /// The first port that needs no capability (ip(7), ip_unprivileged_port_start).
    pub fn unprivileged_port_start(&self) -> u32 {
        self.unprivileged_port_start.load(Ordering::Relaxed)
    }

    /// Changes that.
    pub fn set_unprivileged_port_start(&self, port: u32) {
        self.unprivileged_port_start.store(port, Ordering::Relaxed);
    }

    /// The first and the last group whose members may open ping sockets (icmp(7), ping_group_range).
    pub fn ping_groups(&self) -> (u32, u32) {
        let both = self.ping_groups.load(Ordering::Relaxed).to_le_bytes();
        let half = |at: usize| u32::from_le_bytes([both[at], both[at + 1], both[at + 2], both[at + 3]]);
        (half(0), half(4))
    }

    /// Changes them.
    pub fn set_ping_groups(&self, first: u32, last: u32) {
        self.ping_groups.store(u64::from(last) << 32 | u64::from(first), Ordering::Relaxed);
    }

    /// The interface, for who looks at packets.
    pub(super) fn loopback(&self) -> &Loopback {
        &self.loopback
    }

    /// Counters of the loopback interface.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Names of unix sockets.
    pub(super) fn unix(&self) -> &Mutex<Names> {
        &self.unix
    }

    /// Ports of TCP and UDP.
    pub(super) fn ports(&self) -> &Mutex<Ports> {
        &self.ports
    }

    /// Groups that the interface takes datagrams for.
    pub(super) fn members(&self) -> &Mutex<Members> {
        &self.members
    }

    /// Sockets that travel in messages.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }
}
