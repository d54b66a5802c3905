//! Packet sockets (packet(7)): frames of the loopback interface, as they go out and as they come in.

mod options;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use stockade_kernel_sync::Mutex;

use super::inet::IpPacket;
use super::{
    Address, Common, Connecting, Inbox, Kind, Limit, LinkAddress, Net, Outgoing, PACKET, Parcel, Shutdown, Socket,
    Taken, Taking, Urgency,
};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::task::{Capabilities, Namespaces, Task};
use crate::vfs::PollEvents;

use options::Own;

/// What a socket takes beside its data.
const SOCKET_BYTES: usize = 1536;
/// ETH_P_ALL, ETH_P_IP, ETH_P_IPV6
const ALL: u16 = 3;
const IP: u16 = 0x800;
const IP_V6: u16 = 0x86dd;
/// ETH_HLEN: two hardware addresses of ETH_ALEN bytes, and the type of what follows.
const HEADER_BYTES: usize = 14;
const ADDRESS_BYTES: u8 = 6;
/// `lo`, its type (ARPHRD_LOOPBACK) and its MTU.
const INTERFACE: i32 = 1;
const HARDWARE: u16 = 772;
const MTU: usize = 65_536;

/// What goes over the interface.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    header: [u8; HEADER_BYTES],
    content: &'a [u8],
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the machine (PACKET_HOST).
    In,
    /// From it (PACKET_OUTGOING).
    Out,
}

impl<'a> Frame<'a> {
    /// Around a packet. The interface has no hardware address.
    pub fn of(packet: &'a IpPacket) -> Self {
        Self::around(if packet.is_v4() { IP } else { IP_V6 }, packet.bytes())
    }

    fn around(protocol: u16, content: &'a [u8]) -> Self {
        let mut header = [0; HEADER_BYTES];
        header[12..].copy_from_slice(&protocol.to_be_bytes());
        Self { header, content }
    }

    /// As a program made it. Its header must be there.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, content) = bytes.split_first_chunk()?;
        Some(Self { header: *header, content })
    }

    fn protocol(&self) -> u16 {
        u16::from_be_bytes([self.header[12], self.header[13]])
    }

    fn source(&self) -> [u8; 8] {
        let mut address = [0; 8];
        address[..6].copy_from_slice(&self.header[6..12]);
        address
    }
}

/// A socket.
#[derive(Debug)]
pub struct PacketSocket {
    me: Weak<PacketSocket>,
    namespaces: Arc<Namespaces>,
    kind: Kind,
    common: Common,
    inbox: Arc<Inbox>,
    bound: Mutex<Bound>,
    own: Mutex<Own>,
    packets: AtomicU32,
    drops: AtomicU32,
    _memory: Charge,
}

/// What it sees.
#[derive(Clone, Copy, Debug)]
struct Bound {
    protocol: u16,
    interface: i32,
}

impl PacketSocket {
    /// It sees frames of a type, given as it is on the wire; none if that is 0, until it is bound.
    pub fn new(task: &Task, kind: Kind, protocol: i32) -> Result<Arc<Self>, Errno> {
        if !task.credentials().has(Capabilities::NET_RAW) {
            return Err(Errno::EPERM);
        }
        if !matches!(kind, Kind::Raw | Kind::Datagram) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        let [low, high, ..] = protocol.to_le_bytes();
        let bound = Bound { protocol: u16::from_be_bytes([low, high]), interface: 0 };
        let memory = Charge::new(SOCKET_BYTES)?;
        let common = Common::new();
        let inbox = Inbox::messages(&common.queue, Limit::Bytes);
        let socket = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            namespaces: task.process().namespaces().clone(),
            kind,
            common,
            inbox,
            bound: Mutex::new(bound),
            own: Mutex::default(),
            packets: AtomicU32::new(0),
            drops: AtomicU32::new(0),
            _memory: memory,
        });
        socket.net().loopback().add_packet(&socket.me);
        Ok(socket)
    }

    fn net(&self) -> &Net {
        &self.namespaces.net
    }

    /// Takes a frame in, if it is one that the socket sees. One for which there is no room is lost.
    pub fn see(&self, frame: &Frame<'_>, way: Way) {
        let wanted = self.bound.lock().protocol;
        let is_wanted = wanted == ALL || way == Way::In && wanted == frame.protocol();
        if !is_wanted || way == Way::Out && self.own.lock().ignores_outgoing {
            return;
        }
        let header: &[u8] = if self.kind == Kind::Raw { &frame.header } else { &[] };
        let bytes = [header, frame.content].concat();
        let from = LinkAddress {
            protocol: frame.protocol(),
            interface: INTERFACE,
            hardware: HARDWARE,
            way: if way == Way::Out { 4 } else { 0 },
            address: frame.source(),
            address_len: ADDRESS_BYTES,
            is_cut: false,
        };
        let parcel = Parcel { from: Some(Address::Link(from)), ..Parcel::default() };
        self.packets.fetch_add(1, Ordering::Relaxed);
        if self.inbox.put(&mut &bytes[..], parcel, &self.common.queue).is_err() {
            self.drops.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a frame over the interface. What it holds is looked at as whatever comes from outside: loopback addresses
    /// of version 4 cannot (`martian_source` of Linux), and there are no others.
    fn transmit(&self, frame: &Frame<'_>) {
        let packet = if frame.protocol() == IP_V6 { IpPacket::parse(frame.content) } else { None };
        match packet.filter(|packet| !packet.is_v4()) {
            Some(packet) => self.net().transmit_as(packet, Weak::as_ptr(&self.me)),
            None => self.net().loopback().show(frame, Weak::as_ptr(&self.me)),
        }
    }

    /// Where a frame goes, and of what type its content is.
    fn destination(&self, to: Option<&Address>) -> Result<(i32, u16), Errno> {
        let bound = *self.bound.lock();
        match to {
            None => Ok((bound.interface, bound.protocol)),
            Some(Address::Link(link)) => Ok((link.interface, link.protocol)),
            Some(_) => Err(Errno::EINVAL),
        }
    }

    /// What was counted since it was last asked (PACKET_STATISTICS).
    fn take_statistics(&self) -> [u32; 2] {
        [self.packets.swap(0, Ordering::Relaxed), self.drops.swap(0, Ordering::Relaxed)]
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        self.namespaces.net.loopback().remove();
    }
}

impl Socket for PacketSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn family(&self) -> u16 {
        PACKET
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn protocol(&self) -> i32 {
        u16::from_be_bytes(self.bound.lock().protocol.to_le_bytes()).into()
    }

    fn bind(&self, _: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        let Address::Link(link) = address else { return Err(Errno::EINVAL) };
        if ![0, INTERFACE].contains(&link.interface) {
            return Err(Errno::ENODEV);
        }
        let mut bound = self.bound.lock();
        bound.interface = link.interface;
        if link.protocol != 0 {
            bound.protocol = link.protocol;
        }
        Ok(())
    }

    fn connect(&self, _: &Arc<Task>, _: &Address, _: Connecting) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn name(&self) -> Address {
        let Bound { protocol, interface } = *self.bound.lock();
        let (hardware, address_len) = if interface == INTERFACE { (HARDWARE, ADDRESS_BYTES) } else { (0, 0) };
        Address::Link(LinkAddress {
            protocol,
            interface,
            hardware,
            address_len,
            is_cut: true,
            ..LinkAddress::default()
        })
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        if message.urgency == Urgency::Urgent {
            return Err(Errno::EOPNOTSUPP);
        }
        let (interface, protocol) = self.destination(message.to)?;
        if interface != INTERFACE {
            return Err(Errno::ENXIO);
        }
        let len = source.remaining();
        let header_len = if self.kind == Kind::Raw { HEADER_BYTES } else { 0 };
        if len > MTU + header_len {
            return Err(Errno::EMSGSIZE);
        }
        let mut bytes = alloc::vec![0; len];
        if source.take(&mut bytes)? < len {
            return Err(Errno::EFAULT);
        }
        let frame = match self.kind {
            Kind::Raw => Frame::parse(&bytes).ok_or(Errno::EINVAL)?,
            _ => Frame::around(protocol, &bytes),
        };
        self.transmit(&frame);
        Ok(len)
    }

    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        self.common.check_error()?;
        self.inbox.take(sink, taking)
    }

    fn shutdown(&self, _: Shutdown) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn poll(&self) -> PollEvents {
        self.inbox.readable() | PollEvents::WRITABLE | PollEvents::WRBAND
    }

    fn readable_bytes(&self) -> usize {
        self.inbox.len()
    }

    fn option_changed(&self, _: u32) {
        let bytes = self.common.options.lock().receive_bytes();
        self.inbox.set_room(|room| room.reader = bytes);
    }

    fn structure_len(&self, level: u32, name: u32) -> Option<usize> {
        options::structure_len(level, name)
    }

    fn set_structure(&self, _: u32, name: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.own.lock().change_membership(name, bytes)
    }

    fn structure(&self, level: u32, name: u32) -> Option<Vec<u8>> {
        let is_statistics = (level, name) == (options::LEVEL, options::STATISTICS);
        is_statistics.then(|| self.take_statistics().map(u32::to_le_bytes).concat())
    }

    fn option(&self, level: u32, name: u32) -> Result<i32, Errno> {
        self.own.lock().get(level, name)
    }

    fn set_option(&self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        self.own.lock().set(level, name, value)
    }
}
