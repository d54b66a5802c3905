//! How data moves between unix sockets, and what can move now.

use super::{Link, Role, UnixSocket};
use crate::Errno;
use crate::io::Source;
use crate::net::{Kind, Outgoing, Parcel};
use crate::vfs::PollEvents;

impl UnixSocket {
    pub(super) fn send_to_peer(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        self.common.check_error()?;
        let inbox = {
            let state = self.state.lock();
            match &state.role {
                Role::Connected(_) if message.to.is_some() && self.kind == Kind::Stream => {
                    return Err(Errno::EISCONN);
                }
                Role::Connected(_) if state.writing_ended => return Err(Errno::EPIPE),
                Role::Connected(link) => link.inbox.clone(),
                _ if message.to.is_some() && self.kind == Kind::Stream => return Err(Errno::EOPNOTSUPP),
                _ => return Err(Errno::ENOTCONN),
            }
        };
        if self.kind == Kind::Packets {
            self.check_len(source)?;
        }
        // Rights stay with the message until something of it went.
        let parcel = self.parcel(message);
        inbox.put(source, parcel, &self.common.queue)
    }

    fn parcel(&self, message: &mut Outgoing<'_>) -> Parcel {
        let rights = message.rights.as_ref().map(super::Rights::copy);
        let named = self.kind != Kind::Stream && !self.identity.name.lock().is_empty();
        let from = named.then(|| self.identity.address());
        let urgency = message.urgency;
        Parcel { from, sender: message.sender.unwrap_or(self.owner), rights, urgency, ..Parcel::default() }
    }

    fn check_len(&self, source: &dyn Source) -> Result<(), Errno> {
        let most = self.common.options.lock().message_bytes_max();
        if source.remaining() > most { Err(Errno::EMSGSIZE) } else { Ok(()) }
    }

    pub(super) fn send_datagram(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        self.common.check_error()?;
        self.name_for_credentials()?;
        if self.state.lock().writing_ended {
            return Err(Errno::EPIPE);
        }
        self.check_len(source)?;
        let link = match (message.to, message.task) {
            (Some(address), Some(task)) => self.find(task, address)?.link(),
            _ => self.peer().ok_or(Errno::ENOTCONN)?,
        };
        let Some(peer) = link.peer.upgrade() else {
            if message.to.is_none() {
                self.state.lock().role = Role::Fresh;
            }
            return Err(Errno::ECONNREFUSED);
        };
        peer.check_accepts(self)?;
        let parcel = self.parcel(message);
        link.inbox.put(source, parcel, &self.common.queue)
    }

    /// `unix_poll` and `unix_dgram_poll` of Linux.
    pub(super) fn ready(&self) -> PollEvents {
        let mut events = self.inbox.readable();
        if self.common.has_error() {
            events |= PollEvents::ERR;
        }
        let (link, ended) = {
            let state = self.state.lock();
            match &state.role {
                Role::Listening(backlog) => {
                    events.set(PollEvents::READABLE, !backlog.waiting.is_empty());
                    return events & !PollEvents::RDHUP;
                }
                Role::Connected(link) => (Some(link.clone()), state.writing_ended),
                Role::Fresh => (None, state.writing_ended),
            }
        };
        let read_ended = events.contains(PollEvents::RDHUP);
        events.set(PollEvents::HUP, read_ended && (ended || self.is_cut_off(link.as_ref())));
        if self.has_connections() && link.is_none() {
            events |= PollEvents::HUP;
        }
        if link.is_none_or(|link| link.inbox.writable(&self.common.queue)) {
            events |= PollEvents::WRITABLE | PollEvents::WRBAND;
        }
        events
    }

    /// Whether the other end reads no more.
    fn is_cut_off(&self, link: Option<&Link>) -> bool {
        self.has_connections() && link.is_some_and(|link| link.inbox.is_refused())
    }
}
