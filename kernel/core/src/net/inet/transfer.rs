//! How data moves between internet sockets, and what can move now.

use super::{InetSocket, Packet, Protocol, Role};
use crate::Errno;
use crate::io::Source;
use crate::net::{Endpoint, Outgoing, Parcel, Urgency};
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
            return swallow(source);
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
        let receivers = self.net().ports().lock().find(self.protocol, to);
        let receiver = receivers
            .iter()
            .find(|socket| socket.is_peer(from))
            .or_else(|| receivers.iter().find(|socket| socket.hears(from)));
        let len = source.remaining();
        self.net().traffic().datagram(to.ip, len);
        let Some(receiver) = receiver else {
            // What ICMP's "port unreachable" does (udp(7)).
            if self.link().is_some() {
                self.common.set_error(Errno::ECONNREFUSED);
            }
            return Ok(len);
        };
        let parcel = Parcel { from: Some(receiver.address(from)), packet: Some(packet), ..Parcel::default() };
        match receiver.inbox.put(source, parcel, &self.common.queue) {
            // A receiver without room loses it.
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

/// The first data after the peer is gone is taken, and answered with a reset.
fn swallow(source: &mut dyn Source) -> Result<usize, Errno> {
    let mut buffer = [0; 1024];
    let mut count = 0;
    while source.remaining() > 0 {
        match source.take(&mut buffer)? {
            0 => break,
            step => count += step,
        }
    }
    Ok(count)
}
