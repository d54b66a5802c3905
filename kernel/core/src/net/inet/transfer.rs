//! How data moves between internet sockets, and what can move now.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::wire::{Head, IpPacket, UDP};
use super::{InetSocket, Packet, Protocol, Role};
use crate::Errno;
use crate::io::Source;
use crate::net::loopback::Reached;
use crate::net::{Endpoint, Net, Outgoing, Parcel, Urgency};
use crate::vfs::PollEvents;

/// What a datagram holds: 65,535 bytes less the headers of IP and UDP.
const DATAGRAM_BYTES_MAX: usize = 65_507;

impl InetSocket {
    pub(super) fn send_stream(&self, source: &mut dyn Source, urgency: Urgency) -> Result<usize, Errno> {
        self.common.check_error()?;
        let (inbox, to) = {
            let state = self.state.lock();
            match &state.role {
                Role::Connected(_) if state.writing_ended => return Err(Errno::EPIPE),
                Role::Connected(link) => (link.inbox.clone().ok_or(Errno::ENOTCONN)?, link.remote.ip),
                _ => return Err(Errno::EPIPE),
            }
        };
        // A reset came before.
        if inbox.is_refused() && self.inbox.has_failed() {
            return Err(self.inbox.take_error().unwrap_or(Errno::EPIPE));
        }
        if inbox.is_refused() && !core::mem::replace(&mut self.state.lock().was_reset, true) {
            return swallow(source, inbox.capacity());
        }
        let put = inbox.put(source, Parcel { urgency, ..Parcel::default() }, &self.common.queue)?;
        self.net().traffic().segments(to, put);
        Ok(put)
    }

    pub(super) fn send_datagram(&self, source: &mut dyn Source, message: &Outgoing<'_>) -> Result<usize, Errno> {
        self.common.check_error()?;
        if source.remaining() > DATAGRAM_BYTES_MAX {
            return Err(Errno::EMSGSIZE);
        }
        if self.state.lock().writing_ended {
            return Err(Errno::EPIPE);
        }
        let (from, to) = self.routed(message.to)?;
        let packet = Packet::outgoing(&self.options.lock(), self.family, to.ip, message.controls)?;
        if let Some(group) = to.ip.to_group() {
            return self.send_to_group(source, packet, [from, to], group);
        }
        let receiver = receiver(self.net(), self.protocol, from, to);
        let len = source.remaining();
        self.net().traffic().datagram(to.ip, len);
        if self.protocol == Protocol::Udp && self.net().loopback().is_watched() {
            return self.send_watched(source, packet, [from, to], receiver.as_deref());
        }
        let Some(receiver) = receiver else {
            // What ICMP's "port unreachable" does (udp(7)).
            if self.link().is_some() {
                self.common.set_error(Errno::ECONNREFUSED);
            }
            return Ok(len);
        };
        receiver.take_in(source, packet, from)
    }

    /// A datagram that many may want. Nobody is told when there are none.
    fn send_to_group(
        &self,
        source: &mut dyn Source,
        packet: Packet,
        [from, to]: [Endpoint; 2],
        group: [u8; 4],
    ) -> Result<usize, Errno> {
        let data = taken(source)?;
        self.net().traffic().datagram(to.ip, data.len());
        if self.protocol == Protocol::Udp && self.net().loopback().is_watched() {
            self.net().overhear(&shown(packet, [from, to], &data), Reached::Somebody);
        }
        if self.net().members().lock().has(group) {
            let all = self.net().ports().lock().find_all(self.protocol, to);
            for receiver in all.iter().filter(|receiver| receiver.hears(from) && receiver.wants(group)) {
                receiver.take_in(&mut &data[..], packet, from)?;
            }
        }
        Ok(data.len())
    }

    /// The same where somebody looks at packets.
    fn send_watched(
        &self,
        source: &mut dyn Source,
        packet: Packet,
        [from, to]: [Endpoint; 2],
        receiver: Option<&Self>,
    ) -> Result<usize, Errno> {
        let data = taken(source)?;
        let shown = shown(packet, [from, to], &data);
        let reached = if receiver.is_some() { Reached::Somebody } else { Reached::Nobody };
        self.net().overhear(&shown, reached);
        match receiver {
            Some(receiver) => receiver.take_in(&mut &data[..], packet, from),
            None => {
                if self.link().is_some() {
                    self.common.set_error(Errno::ECONNREFUSED);
                }
                Ok(data.len())
            }
        }
    }

    /// Takes a datagram in; a receiver without room loses it.
    fn take_in(&self, source: &mut dyn Source, packet: Packet, from: Endpoint) -> Result<usize, Errno> {
        let len = source.remaining();
        let parcel = Parcel { from: Some(self.address(from)), packet: Some(packet), ..Parcel::default() };
        match self.inbox.put(source, parcel, &self.common.queue) {
            Err(Errno::EAGAIN | Errno::EPIPE) => Ok(len),
            put => put,
        }
    }

    /// What SO_RCVBUF says. Between two ends of TCP, what is under way has room beside it.
    pub(super) fn apply_receive_bytes(&self) {
        let bytes = self.common.options.lock().receive_bytes();
        let reader = if self.protocol == Protocol::Tcp { bytes / 2 } else { bytes };
        self.inbox.set_room(|room| room.reader = reader);
    }

    /// What SO_SNDBUF says.
    pub(super) fn apply_send_bytes(&self) {
        let writer = self.common.options.lock().send_bytes() / 2;
        if let Some(inbox) = self.link().and_then(|link| link.inbox) {
            inbox.set_room(|room| room.writer = writer);
        }
    }

    fn is_peer(&self, from: Endpoint) -> bool {
        self.link().is_some_and(|link| link.remote == from)
    }

    fn hears(&self, from: Endpoint) -> bool {
        self.link().is_none_or(|link| link.remote == from)
    }

    /// `tcp_poll` and `udp_poll` of Linux.
    pub(super) fn ready(&self) -> PollEvents {
        let mut events = self.inbox.readable();
        if self.common.has_error() {
            events |= PollEvents::ERR;
            events.set(PollEvents::READABLE, self.protocol == Protocol::Tcp || events.contains(PollEvents::READABLE));
        }
        let (inbox, ended) = {
            let state = self.state.lock();
            match &state.role {
                Role::Listening(backlog) => {
                    events.set(PollEvents::READABLE, !backlog.waiting.is_empty());
                    events.set(PollEvents::HUP | PollEvents::WRITABLE, backlog.ended);
                    return events;
                }
                Role::Fresh if self.protocol == Protocol::Tcp => {
                    events.set(PollEvents::RDHUP, events.contains(PollEvents::ERR));
                    return events | PollEvents::WRITABLE | PollEvents::HUP;
                }
                Role::Fresh => (None, state.writing_ended),
                Role::Connected(link) => (link.inbox.clone(), state.writing_ended || state.was_reset),
            }
        };
        let reset = self.protocol == Protocol::Tcp && events.contains(PollEvents::ERR);
        let ended = ended || reset;
        events.set(PollEvents::HUP, ended && events.contains(PollEvents::RDHUP));
        if ended || inbox.is_none_or(|inbox| inbox.writable(&self.common.queue)) {
            events |= PollEvents::WRITABLE;
            events.set(PollEvents::WRBAND, self.protocol != Protocol::Tcp);
        }
        events
    }
}

/// All of a datagram's data.
fn taken(source: &mut dyn Source) -> Result<Vec<u8>, Errno> {
    let mut data = alloc::vec![0; source.remaining()];
    if source.take(&mut data)? < data.len() { Err(Errno::EFAULT) } else { Ok(data) }
}

/// A datagram as who looks at packets sees it.
fn shown(packet: Packet, [from, to]: [Endpoint; 2], data: &[u8]) -> IpPacket {
    let head = Head { from: from.ip, to: to.ip, protocol: UDP, hops: packet.hops(), class: packet.class() };
    IpPacket::udp(head, [from.port, to.port], data)
}

/// Who a datagram is for: the socket that is connected to where it comes from, or one that is to nobody.
fn receiver(net: &Net, protocol: Protocol, from: Endpoint, to: Endpoint) -> Option<Arc<InetSocket>> {
    let receivers = net.ports().lock().find(protocol, to);
    let peer = receivers.iter().find(|socket| socket.is_peer(from));
    peer.or_else(|| receivers.iter().find(|socket| socket.hears(from))).cloned()
}

/// A datagram that came as a packet.
pub(in crate::net) fn arrive(net: &Net, head: &Head, ports: [u16; 2], data: &[u8]) -> Reached {
    let [from, to] = [Endpoint { ip: head.from, port: ports[0] }, Endpoint { ip: head.to, port: ports[1] }];
    let Some(receiver) = receiver(net, Protocol::Udp, from, to) else { return Reached::Nobody };
    let _lost = receiver.take_in(&mut &*data, Packet::received(head.to, head.hops, head.class), from);
    Reached::Somebody
}

/// The first data after the peer is gone is taken, as much as could be under way, and answered with a reset.
fn swallow(source: &mut dyn Source, most: usize) -> Result<usize, Errno> {
    let mut buffer = [0; 1024];
    let mut count = 0;
    while count < most && source.remaining() > 0 {
        match source.take(&mut buffer)? {
            0 => break,
            step => count += step,
        }
    }
    Ok(count)
}
