//! Sockets that see headers: raw(7), and those for echoes alone (icmp(7), "ping sockets").

mod options;
mod transfer;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use linux_raw_sys::net::SO_REUSEADDR;
use stockade_kernel_sync::Mutex;

use super::any;
use super::options::ProtocolOptions;
use super::wire::{ICMP, ICMP_V6};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::net::{
    Address, Common, Connecting, Endpoint, INET, Inbox, Ip, Kind, Limit, Net, Outgoing, Parcel, Shutdown, Socket,
    Taken, Taking, Urgency,
};
use crate::task::{Capabilities, Namespaces, Task};
use crate::vfs::PollEvents;

use options::Own;

/// What a socket takes beside its data.
const SOCKET_BYTES: usize = 1536;
/// IPPROTO_MAX
const PROTOCOLS_END: i32 = 263;

/// A socket.
#[derive(Debug)]
pub struct RawSocket {
    me: Weak<RawSocket>,
    namespaces: Arc<Namespaces>,
    family: u16,
    form: Form,
    common: Common,
    inbox: Arc<Inbox>,
    options: Mutex<ProtocolOptions>,
    own: Mutex<Own>,
    state: Mutex<State>,
    _memory: Charge,
}

/// What it sees and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// All packets of a protocol.
    Raw(u8),
    /// Echoes of its own.
    Ping,
}

#[derive(Debug)]
struct State {
    local: Ip,
    remote: Option<Endpoint>,
    /// The number of a ping socket's echoes; 0 before it has one.
    number: u16,
}

impl RawSocket {
    /// One of raw(7). The protocol must be one that there can be, and the task may look at others' packets.
    pub fn raw(task: &Task, family: u16, protocol: i32) -> Result<Arc<Self>, Errno> {
        if !(0..PROTOCOLS_END).contains(&protocol) {
            return Err(Errno::EINVAL);
        }
        // 0 stands for no protocol.
        let protocol = u8::try_from(protocol).ok().filter(|protocol| *protocol > 0).ok_or(Errno::EPROTONOSUPPORT)?;
        if !task.credentials().has(Capabilities::NET_RAW) {
            return Err(Errno::EPERM);
        }
        Self::new(task, family, Form::Raw(protocol))
    }

    /// One for echoes, which the task's group must be allowed.
    pub fn ping(task: &Task, family: u16) -> Result<Arc<Self>, Errno> {
        let credentials = task.credentials();
        let (first, last) = task.process().namespaces().net.ping_groups();
        let may = |group: u32| (first..=last).contains(&group);
        if !may(credentials.egid) && !credentials.groups.iter().any(|group| may(*group)) {
            return Err(Errno::EACCES);
        }
        Self::new(task, family, Form::Ping)
    }

    fn new(task: &Task, family: u16, form: Form) -> Result<Arc<Self>, Errno> {
        let memory = Charge::new(SOCKET_BYTES)?;
        let common = Common::new();
        let inbox = Inbox::messages(&common.queue, Limit::Bytes);
        // As Linux has it: who binds to the same number sees what others wait for (INET_PROTOSW_REUSE).
        common.options.lock().set(SO_REUSEADDR, 1)?;
        let socket = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            namespaces: task.process().namespaces().clone(),
            family,
            form,
            common,
            inbox,
            options: Mutex::default(),
            own: Mutex::new(Own::new(form)),
            state: Mutex::new(State { local: any(family), remote: None, number: 0 }),
            _memory: memory,
        });
        socket.net().loopback().add_raw(&socket.me);
        Ok(socket)
    }

    fn net(&self) -> &Net {
        &self.namespaces.net
    }

    fn is_v4(&self) -> bool {
        self.family == INET
    }

    /// Whether it hears its own echoes only. Of those with one number, the newest hears them.
    pub fn is_ping(&self) -> bool {
        self.form == Form::Ping
    }

    /// What its packets carry.
    fn number(&self) -> u8 {
        match self.form {
            Form::Raw(protocol) => protocol,
            Form::Ping if self.is_v4() => ICMP,
            Form::Ping => ICMP_V6,
        }
    }

    /// What stands where others have a port.
    fn local_port(&self, state: &State) -> u16 {
        match self.form {
            Form::Raw(protocol) => protocol.into(),
            Form::Ping => state.number,
        }
    }

    fn address(&self, endpoint: Endpoint) -> Address {
        Address::Inet { family: self.family, endpoint }
    }

    /// An address of its own family. No family at all means that as well, where Linux lets it.
    fn endpoint(&self, address: &Address) -> Result<Endpoint, Errno> {
        match address {
            Address::Inet { family, endpoint } if *family == self.family => Ok(*endpoint),
            Address::Inet { .. } if self.is_v4() => Err(Errno::EAFNOSUPPORT),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Takes a number for echoes: any if `wanted` is 0.
    fn claim(&self, wanted: u16) -> Result<(), Errno> {
        let shares = |socket: &Self| socket.common.options.lock().is_on(SO_REUSEADDR);
        let is_other =
            |other: &Self| other.form == Form::Ping && other.family == self.family && !core::ptr::eq(other, self);
        let all = self.net().loopback().raw();
        let others: Vec<_> = all.iter().filter(|other| is_other(other)).collect();
        let has = |other: &Self, number| other.state.lock().number == number;
        let is_free = |number| !others.iter().any(|other| has(other, number));
        let is_shared = |number| others.iter().all(|other| !has(other, number) || shares(self) && shares(other));
        let number = match wanted {
            0 => (1..=u16::MAX).find(|number| is_free(*number)).ok_or(Errno::EADDRINUSE)?,
            wanted if is_shared(wanted) => wanted,
            _ => return Err(Errno::EADDRINUSE),
        };
        self.state.lock().number = number;
        Ok(())
    }
}

impl Drop for RawSocket {
    fn drop(&mut self) {
        self.namespaces.net.loopback().remove();
    }
}

impl Socket for RawSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn family(&self) -> u16 {
        self.family
    }

    fn kind(&self) -> Kind {
        if self.form == Form::Ping { Kind::Datagram } else { Kind::Raw }
    }

    fn protocol(&self) -> i32 {
        self.number().into()
    }

    fn bind(&self, _: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        let endpoint = match address {
            Address::Unspecified if self.is_v4() => Endpoint { ip: Ip::ANY_V4, port: 0 },
            address => self.endpoint(address)?,
        };
        if !endpoint.ip.is_any() && !endpoint.ip.is_local() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if self.form == Form::Ping {
            if self.state.lock().number != 0 {
                return Err(Errno::EINVAL);
            }
            self.claim(endpoint.port)?;
        }
        self.state.lock().local = endpoint.ip;
        Ok(())
    }

    fn connect(&self, _: &Arc<Task>, address: &Address, _: Connecting) -> Result<(), Errno> {
        let remote = match address {
            Address::Unspecified => None,
            address => Some(self.route(address)?),
        };
        if self.form == Form::Ping && self.state.lock().number == 0 {
            self.claim(0)?;
        }
        let mut state = self.state.lock();
        state.remote = remote;
        state.local = match remote {
            Some(remote) if state.local.is_any() => super::loopback_of(remote.ip),
            Some(_) => state.local,
            None => any(self.family),
        };
        Ok(())
    }

    fn name(&self) -> Address {
        let state = self.state.lock();
        self.address(Endpoint { ip: state.local, port: self.local_port(&state) })
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        // Without a port, Linux takes it for unconnected.
        let remote = self.state.lock().remote.filter(|remote| remote.port != 0 || !self.is_v4());
        Ok(self.address(remote.ok_or(Errno::ENOTCONN)?))
    }

    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        match message.urgency {
            Urgency::Ordinary => self.send_packet(source, message),
            Urgency::Urgent => Err(Errno::EOPNOTSUPP),
        }
    }

    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        self.common.check_error()?;
        self.inbox.take(sink, taking)
    }

    fn tell(&self, parcel: &Parcel, add: &mut dyn FnMut(u32, u32, &[u8])) {
        if let Some(packet) = parcel.packet {
            packet.tell(&self.options.lock(), self.family, add);
        }
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        if self.state.lock().remote.is_none() {
            return Err(Errno::ENOTCONN);
        }
        if how.reading {
            self.inbox.end();
        }
        Ok(())
    }

    fn poll(&self) -> PollEvents {
        let mut events = self.inbox.readable() | PollEvents::WRITABLE | PollEvents::WRBAND;
        events.set(PollEvents::ERR, self.common.has_error());
        events
    }

    fn readable_bytes(&self) -> usize {
        self.inbox.len()
    }

    fn option_changed(&self, _: u32) {
        let bytes = self.common.options.lock().receive_bytes();
        self.inbox.set_room(|room| room.reader = bytes);
    }

    fn structure_len(&self, level: u32, name: u32) -> Option<usize> {
        self.own_structure_len(level, name)
    }

    fn structure(&self, level: u32, name: u32) -> Option<Vec<u8>> {
        self.own_structure(level, name)
    }

    fn set_structure(&self, _: u32, _: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.own.lock().set_filter(bytes);
        Ok(())
    }

    fn option(&self, level: u32, name: u32) -> Result<i32, Errno> {
        self.get_option(level, name)
    }

    fn set_option(&self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        self.change_option(level, name, value)
    }
}
