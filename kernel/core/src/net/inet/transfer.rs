//! How data moves between internet sockets, and what can move now.

use super::{InetSocket, Role};
use crate::Errno;
use crate::io::Source;
use crate::net::{Address, Endpoint, Kind, Parcel, Ucred};
use crate::vfs::PollEvents;

/// What a datagram holds: 65,535 bytes less the headers of IP and UDP.
const DATAGRAM_BYTES_MAX: usize = 65_507;

impl InetSocket {
    pub(super) fn send_stream(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        self.common.check_error()?;
        let inbox = {
            let state = self.state.lock();
            match &state.role {
                Role::Connected(_) if state.writing_ended => return Err(Errno::EPIPE),
                Role::Connected(link) => link.inbox.clone().ok_or(Errno::ENOTCONN)?,
                _ => return Err(Errno::EPIPE),
            }
        };
        if inbox.is_refused() && !core::mem::replace(&mut self.state.lock().was_reset, true) {
            return swallow(source);
        }
        inbox.put(source, Parcel::default(), &self.common.queue)
    }

    pub(super) fn send_datagram(&self, source: &mut dyn Source, to: Option<&Address>) -> Result<usize, Errno> {
        self.common.check_error()?;
        if source.remaining() > DATAGRAM_BYTES_MAX {
            return Err(Errno::EMSGSIZE);
        }
        if self.state.lock().writing_ended {
            return Err(Errno::EPIPE);
        }
        let (from, to) = self.routed(to)?;
        let receivers = self.net().ports().lock().find(Kind::Datagram, to);
        let receiver = receivers
            .iter()
            .find(|socket| socket.is_peer(from))
            .or_else(|| receivers.iter().find(|socket| socket.hears(from)));
        let len = source.remaining();
        let Some(receiver) = receiver else {
            // What ICMP's "port unreachable" does (udp(7)).
            if self.link().is_some() {
                self.common.set_error(Errno::ECONNREFUSED);
            }
            return Ok(len);
        };
        let parcel = Parcel { from: Some(receiver.address(from)), sender: Ucred::default(), rights: None };
        match receiver.inbox.put(source, parcel, &self.common.queue) {
            // A receiver without room loses it.
            Err(Errno::EAGAIN | Errno::EPIPE) => Ok(len),
            put => put,
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
            events |= PollEvents::ERR | PollEvents::READABLE;
        }
        let (inbox, ended) = {
            let state = self.state.lock();
            match &state.role {
                Role::Listening(backlog) => {
                    events.set(PollEvents::READABLE, !backlog.waiting.is_empty());
                    events.set(PollEvents::HUP | PollEvents::WRITABLE, backlog.ended);
                    return events;
                }
                Role::Fresh if self.kind == Kind::Stream => return events | PollEvents::WRITABLE | PollEvents::HUP,
                Role::Fresh => (None, state.writing_ended),
                Role::Connected(link) => (link.inbox.clone(), state.writing_ended || state.was_reset),
            }
        };
        events.set(PollEvents::HUP, ended && events.contains(PollEvents::RDHUP));
        if ended || inbox.is_none_or(|inbox| inbox.writable(&self.common.queue)) {
            events |= PollEvents::WRITABLE;
            events.set(PollEvents::WRBAND, self.kind == Kind::Datagram);
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
