//! Internet sockets within a sandbox (tcp(7), udp(7), ip(7), ipv6(7)).
//!
//! Only the loopback interface is there, and nothing is lost on it: a connection is two inboxes, without packets. Who
//! looks at packets all the same ([`RawSocket`]) sees those of UDP, of ICMP and of its own kind.

mod connect;
mod groups;
pub(super) mod icmp;
mod options;
mod packet;
mod ports;
mod protocol;
mod raw;
#[cfg(test)]
mod tests;
mod transfer;
mod wire;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use linux_raw_sys::net as abi;
use stockade_kernel_sync::Mutex;

use super::{Address, Common, Connecting, Endpoint, INET, INET6, Inbox, Ip, Kind, Limit, Net, Outgoing, Shutdown};
use super::{Parcel, Socket, Taken, Taking, Urgency};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::task::{Capabilities, Namespaces, Task};
use crate::vfs::PollEvents;
use crate::wait::SharedQueue;

use groups::Groups;
pub use groups::Members;
pub(super) use icmp::Lacking;
use options::ProtocolOptions;
pub use packet::Packet;
use ports::Claim;
pub use ports::Ports;
use protocol::Protocol;
pub use raw::RawSocket;
pub(super) use transfer::arrive;
pub use wire::{ICMP, ICMP_V6};
pub(super) use wire::{IpPacket, UDP};

/// A TCP or UDP socket.
#[derive(Debug)]
pub struct InetSocket {
    me: Weak<InetSocket>,
    namespaces: Arc<Namespaces>,
    family: u16,
    protocol: Protocol,
    common: Common,
    inbox: Arc<Inbox>,
    options: Mutex<ProtocolOptions>,
    groups: Mutex<Groups>,
    state: Mutex<State>,
    _memory: Charge,
}

/// What a socket takes beside its data.
const SOCKET_BYTES: usize = 1536;

#[derive(Debug, Default)]
struct State {
    local: Endpoint,
    /// What of it bind(2) chose, and stays when a connection is dissolved.
    bound: Bound,
    /// The port is its own, not its listener's.
    has_port: bool,
    role: Role,
    writing_ended: bool,
    /// connect(2) said EINPROGRESS, and was not asked again.
    is_connecting: bool,
    /// The peer was told that nobody reads what it sends.
    was_reset: bool,
}

const TCP_LEVEL: u32 = 6;
const TCP_INFO: u32 = 11;
const TCP_CONGESTION: u32 = 13;
const TCP_MAXSEG: u32 = 2;
const TCP_CC_INFO: u32 = 26;
const TCP_SAVED_SYN: u32 = 28;
const TCP_ULP: u32 = 31;
const IP_OPTIONS: u32 = 4;
const IP_MTU: u32 = 14;
const IPV6_MTU: u32 = 24;
/// Of the interface, and as far as a length of IPv4 goes.
const MTU: i32 = 65_536;
const MTU_V4: i32 = 65_535;
/// What a segment holds, connected and before (RFC 9293, 3.7.1).
const SEGMENT_BYTES: i32 = 32_741;
const SEGMENT_BYTES_DEFAULT: i32 = 536;
/// Bytes of `struct tcp_info`.
const TCP_INFO_BYTES: usize = 232;
/// TCP_CA_NAME_MAX and TCP_ULP_NAME_MAX
const NAME_BYTES: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Bound {
    ip: bool,
    port: bool,
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
        Self::of(task.process().namespaces(), family, Protocol::new(kind, protocol)?)
    }

    fn of(namespaces: &Arc<Namespaces>, family: u16, protocol: Protocol) -> Result<Arc<Self>, Errno> {
        let memory = Charge::new(SOCKET_BYTES)?;
        let common = Common::new();
        let inbox = match protocol {
            Protocol::Tcp => Inbox::bytes(&common.queue),
            Protocol::Udp | Protocol::UdpLite | Protocol::Other => Inbox::messages(&common.queue, Limit::Bytes),
        };
        let state = State { local: Endpoint { ip: any(family), port: 0 }, ..State::default() };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            namespaces: namespaces.clone(),
            family,
            protocol,
            common,
            inbox,
            options: Mutex::default(),
            groups: Mutex::default(),
            state: Mutex::new(state),
            _memory: memory,
        }))
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

    /// How long packets to the peer may be (IP_MTU, IPV6_MTU).
    fn mtu(&self, family: u16) -> Result<i32, Errno> {
        self.peer_name().map_err(|_| Errno::ENOTCONN)?;
        Ok(if family == INET { MTU_V4 } else { MTU })
    }

    /// `struct tcp_info`: the state, and no packets ever.
    fn tcp_info(&self) -> Vec<u8> {
        let (listening, connected, write_ended) = {
            let state = self.state.lock();
            let role = &state.role;
            (matches!(role, Role::Listening(_)), matches!(role, Role::Connected(_)), state.writing_ended)
        };
        let read_ended = self.inbox.has_ended();
        // TCP_LISTEN, TCP_CLOSE, TCP_ESTABLISHED, TCP_FIN_WAIT2, TCP_CLOSE_WAIT
        let number = match (connected, write_ended, read_ended) {
            _ if listening => 10,
            (false, ..) | (_, true, true) => 7,
            (_, false, false) => 1,
            (_, true, false) => 5,
            (_, false, true) => 8,
        };
        let mut info = alloc::vec![0; TCP_INFO_BYTES];
        info[0] = number;
        info
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
        let port = self.net().ports().lock().claim(self.protocol, port, claim)?;
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

/// The loopback address of a family.
fn loopback_of(ip: Ip) -> Ip {
    if ip.to_v4().is_some() { Ip::LOOPBACK_V4 } else { Ip::LOOPBACK }
}

/// All addresses of a family.
fn any(family: u16) -> Ip {
    if family == INET { Ip::ANY_V4 } else { Ip::ANY }
}

impl Socket for InetSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn family(&self) -> u16 {
        self.family
    }

    fn kind(&self) -> Kind {
        self.protocol.kind()
    }

    fn protocol(&self) -> i32 {
        self.protocol.raw()
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
        if !endpoint.ip.is_any() && !endpoint.ip.is_local() && endpoint.ip.to_group().is_none() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let free = task.process().namespaces().net.unprivileged_port_start();
        if endpoint.port != 0
            && u32::from(endpoint.port) < free
            && !task.credentials().has(Capabilities::NET_BIND_SERVICE)
        {
            return Err(Errno::EACCES);
        }
        self.claim(endpoint.ip, endpoint.port)?;
        self.state.lock().bound = Bound { ip: !endpoint.ip.is_any(), port: endpoint.port != 0 };
        Ok(())
    }

    fn listen(&self, _: &Arc<Task>, backlog: usize) -> Result<(), Errno> {
        self.start_listening(backlog)
    }

    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        Ok(self.accept_one()?)
    }

    fn connect(&self, _: &Arc<Task>, address: &Address, connecting: Connecting) -> Result<(), Errno> {
        if self.protocol == Protocol::Tcp { self.connect_stream(address, connecting) } else { self.associate(address) }
    }

    fn name(&self) -> Address {
        self.address(self.state.lock().local)
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        // A reset ends a connection, even while there is data to be read (`inet_getname` of Linux).
        if self.protocol == Protocol::Tcp && self.inbox.has_failed() {
            return Err(Errno::ENOTCONN);
        }
        self.accepted_name()
    }

    fn accepted_name(&self) -> Result<Address, Errno> {
        Ok(self.address(self.link().ok_or(Errno::ENOTCONN)?.remote))
    }

    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        match (self.protocol, message.urgency) {
            (Protocol::Tcp, urgency) => self.send_stream(source, urgency),
            (_, Urgency::Ordinary) => self.send_datagram(source, message),
            (_, Urgency::Urgent) => Err(Errno::EOPNOTSUPP),
        }
    }

    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        self.common.check_error()?;
        if self.protocol == Protocol::Tcp && self.link().is_none() {
            return Err(Errno::ENOTCONN);
        }
        let taken = self.inbox.take(sink, taking);
        if let Err(Errno::ECONNRESET) = taken {
            self.state.lock().was_reset = true;
        }
        taken
    }

    fn receive_urgent(&self, taking: Taking) -> Result<Option<u8>, Errno> {
        match self.protocol {
            Protocol::Tcp => self.inbox.take_urgent(taking),
            Protocol::Udp | Protocol::UdpLite | Protocol::Other => Err(Errno::EOPNOTSUPP),
        }
    }

    fn is_at_urgent(&self) -> bool {
        self.inbox.is_at_urgent()
    }

    fn tell(&self, parcel: &Parcel, add: &mut dyn FnMut(u32, u32, &[u8])) {
        if let Some(packet) = parcel.packet {
            packet.tell(&self.options.lock(), self.family, add);
        }
    }

    fn option_changed(&self, name: u32) {
        match name {
            abi::SO_OOBINLINE => self.inbox.set_urgent_inline(self.common.options.lock().is_on(name)),
            abi::SO_RCVBUF | abi::SO_RCVBUFFORCE => self.apply_receive_bytes(),
            abi::SO_SNDBUF | abi::SO_SNDBUFFORCE => self.apply_send_bytes(),
            _ => {}
        }
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

    fn structure(&self, level: u32, name: u32) -> Option<Vec<u8>> {
        let is_tcp = self.protocol == Protocol::Tcp;
        match (level, name) {
            (TCP_LEVEL, TCP_INFO) if is_tcp => Some(self.tcp_info()),
            (TCP_LEVEL, TCP_CONGESTION) if is_tcp => {
                let mut name = self.options.lock().congestion().as_bytes().to_vec();
                name.resize(NAME_BYTES, 0);
                Some(name)
            }
            // Neither what cubic says of itself, nor a SYN, nor a protocol above TCP: there are none.
            (TCP_LEVEL, TCP_CC_INFO | TCP_SAVED_SYN | TCP_ULP) if is_tcp => Some(Vec::new()),
            // No packet has any.
            (options::IP, IP_OPTIONS) => Some(Vec::new()),
            (options::IP, groups::INTERFACE) => Some(self.group_interface()),
            _ => None,
        }
    }

    fn structure_len(&self, level: u32, name: u32) -> Option<usize> {
        match (level, name, self.protocol) {
            (TCP_LEVEL, TCP_CONGESTION | TCP_ULP, Protocol::Tcp) => Some(NAME_BYTES - 1),
            _ => groups::structure_len(level, name),
        }
    }

    fn set_structure(&self, level: u32, name: u32, bytes: &[u8]) -> Result<(), Errno> {
        match (level, self.protocol) {
            (options::IP, Protocol::Tcp) if name == groups::INTERFACE => return Err(Errno::EINVAL),
            (options::IP, Protocol::Tcp) => return Err(Errno::EPROTO),
            (options::IP, _) => return self.set_groups(name, bytes),
            _ => {}
        }
        if bytes.is_empty() {
            return Err(Errno::EINVAL);
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        match name {
            TCP_CONGESTION => self.options.lock().set_congestion(&bytes[..end]),
            _ => Err(Errno::ENOENT),
        }
    }

    fn option(&self, level: u32, name: u32) -> Result<i32, Errno> {
        let own = || self.options.lock().get(self.family, self.protocol, level, name);
        match (level, name) {
            (options::IP, IP_MTU) => self.mtu(INET),
            (options::IPV6, IPV6_MTU) if self.family == INET6 => self.mtu(INET6),
            (TCP_LEVEL, TCP_MAXSEG) if self.protocol == Protocol::Tcp => match own()? {
                _ if self.link().is_some() => Ok(SEGMENT_BYTES),
                0 => Ok(SEGMENT_BYTES_DEFAULT),
                chosen => Ok(chosen),
            },
            _ => own(),
        }
    }

    fn set_option(&self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        if self.state.lock().has_port && ProtocolOptions::is_fixed_by_bind(level, name) {
            return Err(Errno::EINVAL);
        }
        self.options.lock().set(self.family, self.protocol, level, name, value)
    }
}
