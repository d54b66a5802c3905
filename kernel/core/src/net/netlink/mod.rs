//! Netlink sockets (netlink(7)): for reading routes, for what tasks use, and for events of devices, of which there are
//! none. There is one interface, `lo`, which nobody changes.

mod generic;
mod interface;
mod message;
mod route;
mod taskstats;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use super::{Address, Common, Connecting, Inbox, Kind, Limit, NETLINK, Outgoing, Parcel, Shutdown, Socket};
use super::{Taken, Taking, Urgency};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::task::{Namespaces, Task};
use crate::vfs::PollEvents;

pub use interface::request as interface_request;

/// Most bytes of one request.
const REQUEST_BYTES_MAX: usize = 65_536;
/// SOL_NETLINK
const LEVEL: u32 = 270;
/// NETLINK_ADD_MEMBERSHIP .. NETLINK_GET_STRICT_CHK: about messages that never come, or details of errors.
const OPTIONS: core::ops::RangeInclusive<u32> = 1..=12;

/// Whom a socket speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// NETLINK_ROUTE
    Route = 0,
    /// NETLINK_KOBJECT_UEVENT
    DeviceEvents = 15,
    /// NETLINK_GENERIC
    Generic = 16,
}

impl Protocol {
    fn new(number: i32) -> Result<Self, Errno> {
        let known = [Self::Route, Self::DeviceEvents, Self::Generic];
        known.into_iter().find(|known| *known as i32 == number).ok_or(Errno::EPROTONOSUPPORT)
    }
}

/// A socket.
#[derive(Debug)]
pub struct NetlinkSocket {
    protocol: Protocol,
    namespaces: Arc<Namespaces>,
    kind: Kind,
    common: Common,
    inbox: Arc<Inbox>,
    owner: u32,
    port: AtomicU32,
}

impl NetlinkSocket {
    /// Not bound. `EPROTONOSUPPORT` where nobody would answer.
    pub fn new(task: &Task, kind: Kind, protocol: i32) -> Result<Arc<Self>, Errno> {
        if !matches!(kind, Kind::Raw | Kind::Datagram) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        let protocol = Protocol::new(protocol)?;
        let common = Common::new();
        let inbox = Inbox::messages(&common.queue, Limit::Bytes);
        let owner = task.process().pid().raw();
        let namespaces = task.process().namespaces().clone();
        Ok(Arc::new(Self { protocol, namespaces, kind, common, inbox, owner, port: AtomicU32::new(0) }))
    }

    /// Its port id: that of its process unless it was bound to another.
    fn port(&self) -> u32 {
        let _taken = self.port.compare_exchange(0, self.owner, Ordering::Relaxed, Ordering::Relaxed);
        self.port.load(Ordering::Relaxed)
    }

    fn answer(&self, bytes: &[u8]) -> Result<(), Errno> {
        let parcel = Parcel { from: Some(Address::Netlink { port: 0, groups: 0 }), ..Parcel::default() };
        let put = self.inbox.put(&mut &*bytes, parcel, &self.common.queue);
        put.map(drop).map_err(|_| Errno::ENOBUFS)
    }
}

impl Socket for NetlinkSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn family(&self) -> u16 {
        NETLINK
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn protocol(&self) -> i32 {
        self.protocol as i32
    }

    fn bind(&self, _: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        let Address::Netlink { port, .. } = address else { return Err(Errno::EINVAL) };
        let wanted = if *port == 0 { self.owner } else { *port };
        match self.port.compare_exchange(0, wanted, Ordering::Relaxed, Ordering::Relaxed) {
            Err(other) if other != wanted => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }

    fn connect(&self, _: &Arc<Task>, address: &Address, _: Connecting) -> Result<(), Errno> {
        match address {
            Address::Unspecified | Address::Netlink { port: 0, .. } => Ok(()),
            Address::Netlink { .. } => Err(Errno::ECONNREFUSED),
            _ => Err(Errno::EINVAL),
        }
    }

    fn name(&self) -> Address {
        Address::Netlink { port: self.port.load(Ordering::Relaxed), groups: 0 }
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        Ok(Address::Netlink { port: 0, groups: 0 })
    }

    fn send(&self, source: &mut dyn Source, outgoing: &mut Outgoing<'_>) -> Result<usize, Errno> {
        match outgoing.to {
            _ if outgoing.urgency == Urgency::Urgent => return Err(Errno::EOPNOTSUPP),
            None | Some(Address::Netlink { port: 0, .. }) => {}
            Some(Address::Netlink { .. }) => return Err(Errno::ECONNREFUSED),
            Some(_) => return Err(Errno::EINVAL),
        }
        if source.remaining() > REQUEST_BYTES_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let mut bytes = alloc::vec![0; source.remaining()];
        let count = source.take(&mut bytes)?;
        for request in message::requests(&bytes[..count], self.port()) {
            let answers = match self.protocol {
                Protocol::Route => route::answer(&request),
                Protocol::Generic => generic::answer(&request, &self.namespaces, outgoing.task),
                Protocol::DeviceEvents => request.refused(Errno::EPERM),
            };
            answers.iter().try_for_each(|answer| self.answer(answer))?;
        }
        Ok(count)
    }

    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        self.inbox.take(sink, taking)
    }

    fn put_notice(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.answer(bytes)
    }

    fn shutdown(&self, _: Shutdown) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn poll(&self) -> PollEvents {
        self.inbox.readable() | PollEvents::WRITABLE
    }

    fn readable_bytes(&self) -> usize {
        self.inbox.len()
    }

    fn set_option(&self, level: u32, name: u32, _: i32) -> Result<(), Errno> {
        if level == LEVEL && OPTIONS.contains(&name) { Ok(()) } else { Err(Errno::ENOPROTOOPT) }
    }
}
