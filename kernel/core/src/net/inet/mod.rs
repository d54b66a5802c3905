//! Internet sockets within a sandbox (tcp(7), udp(7), ip(7), ipv6(7)).
//!
//! Only the loopback interface is there, and nothing is lost on it: a connection is two inboxes, without packets.

mod connect;
mod options;
mod ports;
#[cfg(test)]
mod tests;
mod transfer;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use linux_raw_sys::net as abi;
use stockade_kernel_sync::Mutex;

use super::{Address, Common, Connecting, Endpoint, INET, INET6, Inbox, Ip, Kind, Limit, Net, Outgoing, Shutdown};
use super::{Socket, Taken, Taking};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::task::{Capabilities, Namespaces, Task};
use crate::vfs::PollEvents;
use crate::wait::SharedQueue;

use options::ProtocolOptions;
use ports::Claim;
pub use ports::Ports;

const TCP: i32 = 6;
const UDP: i32 = 17;

/// A TCP or UDP socket.
#[derive(Debug)]
pub struct InetSocket {
    me: Weak<InetSocket>,
    namespaces: Arc<Namespaces>,
    family: u16,
    kind: Kind,
    common: Common,
    inbox: Arc<Inbox>,
    options: Mutex<ProtocolOptions>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    local: Endpoint,
    /// The port is its own, not its listener's.
    has_port: bool,
    role: Role,
    writing_ended: bool,
    /// connect(2) said EINPROGRESS, and was not asked again.
    is_connecting: bool,
    /// The peer was told that nobody reads what it sends.
    was_reset: bool,
}

#[derive(Debug, Default)]
enum Role {
    #[default]
    Fresh,
    Listening(Backlog),
    Connected(Link),
}

#[derive(Debug)]
struct Backlog {
    most: usize,
    waiting: VecDeque<Arc<InetSocket>>,
    blocked: Vec<SharedQueue>,
    ended: bool,
}

/// The other side. A UDP socket's has no inbox until it is looked for.
#[derive(Clone, Debug)]
struct Link {
    remote: Endpoint,
    inbox: Option<Arc<Inbox>>,
}

impl InetSocket {
    /// Neither bound nor connected. The protocol must be one that there is.
    pub fn new(task: &Task, family: u16, kind: Kind, protocol: i32) -> Result<Arc<Self>, Errno> {
        match (kind, protocol) {
            (Kind::Stream, 0 | TCP) | (Kind::Datagram, 0 | UDP) => {}
            (Kind::Stream | Kind::Datagram, _) => return Err(Errno::EPROTONOSUPPORT),
            (Kind::Raw, _) if !task.credentials().has(Capabilities::NET_RAW) => return Err(Errno::EPERM),
            (Kind::Raw, _) => return Err(Errno::EPROTONOSUPPORT),
            (Kind::Packets, _) => return Err(Errno::ESOCKTNOSUPPORT),
        }
        Ok(Self::of(task.process().namespaces(), family, kind))
    }

    fn of(namespaces: &Arc<Namespaces>, family: u16, kind: Kind) -> Arc<Self> {
        let common = Common::new();
        let inbox = match kind {
            Kind::Stream => Inbox::bytes(&common.queue),
            _ => Inbox::messages(&common.queue, Limit::Bytes),
        };
        let any = if family == INET { Ip::ANY_V4 } else { Ip::ANY };
        let state = State { local: Endpoint { ip: any, port: 0 }, ..State::default() };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            namespaces: namespaces.clone(),
            family,
            kind,
            common,
            inbox,
            options: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    fn net(&self) -> &Net {
        &self.namespaces.net
    }

    fn link(&self) -> Option<Link> {
        match &self.state.lock().role {
            Role::Connected(link) => Some(link.clone()),
            _ => None,
        }
    }

    fn is_only_v6(&self) -> bool {
        self.options.lock().is_only_v6()
    }

    fn address(&self, endpoint: Endpoint) -> Address {
        Address::Inet { family: self.family, endpoint }
    }

    /// The endpoint of an address that this socket can speak to.
    fn endpoint(&self, address: &Address) -> Result<Endpoint, Errno> {
        let Address::Inet { family, endpoint } = address else { return Err(Errno::EAFNOSUPPORT) };
        match (*family, self.family) {
            (INET6, INET) => Err(Errno::EAFNOSUPPORT),
            (INET, INET6) if self.is_only_v6() => Err(Errno::ENETUNREACH),
            _ => Ok(*endpoint),
        }
    }

    /// Claims a port: 0 for any.
    fn claim(&self, ip: Ip, port: u16) -> Result<u16, Errno> {
        let claim = {
            let options = self.common.options.lock();
            Claim {
                socket: self.me.clone(),
                ip,
                only_v6: self.is_only_v6(),
                reuse_address: options.is_on(abi::SO_REUSEADDR),
                reuse_port: options.is_on(abi::SO_REUSEPORT),
                is_listening: false,
            }
        };
        let port = self.net().ports().lock().claim(self.kind, port, claim)?;
        let mut state = self.state.lock();
        state.local = Endpoint { ip, port };
        state.has_port = true;
        Ok(port)
    }

    /// Gets a port if it has none.
    fn claim_any(&self) -> Result<(), Errno> {
        let (has_port, local) = {
            let state = self.state.lock();
            (state.local.port != 0, state.local)
        };
        if has_port { Ok(()) } else { self.claim(local.ip, 0).map(drop) }
    }
}

impl Socket for InetSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn family(&self) -> u16 {
        self.family
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn protocol(&self) -> i32 {
        if self.kind == Kind::Stream { TCP } else { UDP }
    }

    fn bind(&self, task: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        let endpoint = match address {
            Address::Unspecified if self.family == INET => Endpoint { ip: Ip::ANY_V4, port: 0 },
            address if self.family == INET6 && address.family() == INET => return Err(Errno::EINVAL),
            address => self.endpoint(address)?,
        };
        if self.state.lock().local.port != 0 {
            return Err(Errno::EINVAL);
        }
        if !endpoint.ip.is_any() && !endpoint.ip.is_local() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let free = task.process().namespaces().net.unprivileged_port_start();
        if endpoint.port != 0
            && u32::from(endpoint.port) < free
            && !task.credentials().has(Capabilities::NET_BIND_SERVICE)
        {
            return Err(Errno::EACCES);
        }
        self.claim(endpoint.ip, endpoint.port).map(drop)
    }

    fn listen(&self, _: &Arc<Task>, backlog: usize) -> Result<(), Errno> {
        self.start_listening(backlog)
    }

    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        Ok(self.accept_one()?)
    }

    fn connect(&self, _: &Arc<Task>, address: &Address, connecting: Connecting) -> Result<(), Errno> {
        if self.kind == Kind::Stream { self.connect_stream(address, connecting) } else { self.associate(address) }
    }

    fn name(&self) -> Address {
        self.address(self.state.lock().local)
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        Ok(self.address(self.link().ok_or(Errno::ENOTCONN)?.remote))
    }

    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        if self.kind == Kind::Stream { self.send_stream(source) } else { self.send_datagram(source, message.to) }
    }

    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        self.common.check_error()?;
        if self.kind == Kind::Stream && self.link().is_none() {
            return Err(Errno::ENOTCONN);
        }
        self.inbox.take(sink, taking)
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.shut_down(how)
    }

    fn poll(&self) -> PollEvents {
        self.ready()
    }

    fn readable_bytes(&self) -> usize {
        self.inbox.len()
    }

    fn is_listening(&self) -> bool {
        matches!(self.state.lock().role, Role::Listening(_))
    }

    fn take_error(&self) -> Option<Errno> {
        self.common.take_error().or_else(|| self.inbox.take_error())
    }

    fn option(&self, level: u32, name: u32) -> Result<i32, Errno> {
        self.options.lock().get(self.family, self.kind, level, name)
    }

    fn set_option(&self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        if self.state.lock().has_port && ProtocolOptions::is_fixed_by_bind(level, name) {
            return Err(Errno::EINVAL);
        }
        self.options.lock().set(self.family, self.kind, level, name, value)
    }
}
