//! Unix sockets (unix(7)).

mod close;
mod connect;
mod names;
mod rights;
#[cfg(test)]
mod tests;
mod transfer;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use linux_raw_sys::net::{SO_OOBINLINE, SO_SNDBUF, SO_SNDBUFFORCE};
use stockade_kernel_sync::Mutex;

use super::Ucred;
use super::{
    Address, Common, Connecting, Inbox, Kind, Limit, Net, Outgoing, Room, Shutdown, Socket, Taken, Taking, UNIX,
    Urgency,
};
use crate::Errno;
use crate::account::Charge;
use crate::io::{Sink, Source};
use crate::task::{Namespaces, Task};
use crate::vfs::{Path, PollEvents};
use crate::wait::SharedQueue;

pub use names::Names;
pub use rights::{InFlight, Rights};

/// `net.unix.max_dgram_qlen`
const MESSAGES_MAX: usize = 10;
/// What a socket takes beside its data.
const SOCKET_BYTES: usize = 1536;

/// A unix socket.
#[derive(Debug)]
pub struct UnixSocket {
    me: Weak<UnixSocket>,
    namespaces: Arc<Namespaces>,
    kind: Kind,
    common: Common,
    owner: Ucred,
    identity: Arc<Identity>,
    inbox: Arc<Inbox>,
    state: Mutex<State>,
    _memory: Charge,
}

/// What peers know of a socket, even when it is gone.
#[derive(Debug, Default)]
struct Identity {
    name: Mutex<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    /// The file that it is bound to.
    bound: Option<Path>,
    /// It was bound itself, rather than accepted by one that was.
    owns_name: bool,
    role: Role,
    /// shutdown(2) ended the half that it writes.
    writing_ended: bool,
    peer_credentials: Option<Ucred>,
}

#[derive(Debug, Default)]
enum Role {
    #[default]
    Fresh,
    Listening(Backlog),
    Connected(Link),
}

/// Connections that wait to be accepted.
#[derive(Debug)]
struct Backlog {
    most: usize,
    waiting: VecDeque<Arc<UnixSocket>>,
    /// Those who want to connect.
    blocked: Vec<SharedQueue>,
}

/// The other side.
#[derive(Clone, Debug)]
struct Link {
    peer: Weak<UnixSocket>,
    identity: Arc<Identity>,
    inbox: Arc<Inbox>,
}

impl UnixSocket {
    /// Neither bound nor connected.
    pub fn new(task: &Task, kind: Kind) -> Result<Arc<Self>, Errno> {
        // A raw one is one for datagrams, as on Linux.
        let kind = if kind == Kind::Raw { Kind::Datagram } else { kind };
        Self::of(task.process().namespaces(), kind, Ucred::of(task), Limit::Messages(MESSAGES_MAX))
    }

    fn of(namespaces: &Arc<Namespaces>, kind: Kind, owner: Ucred, limit: Limit) -> Result<Arc<Self>, Errno> {
        let memory = Charge::new(SOCKET_BYTES)?;
        let common = Common::new();
        let inbox = match kind {
            Kind::Stream => Inbox::bytes(&common.queue),
            Kind::Packets => Inbox::messages(&common.queue, Limit::Bytes),
            _ => Inbox::messages(&common.queue, limit),
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            namespaces: namespaces.clone(),
            kind,
            common,
            owner,
            identity: Arc::default(),
            inbox,
            state: Mutex::default(),
            _memory: memory,
        }))
    }

    /// Two that are connected to each other.
    pub fn pair(task: &Task, kind: Kind) -> Result<[Arc<Self>; 2], Errno> {
        let kind = if kind == Kind::Raw { Kind::Datagram } else { kind };
        // Between two that are connected to each other only bytes count (`unix_dgram_poll` of Linux).
        let end = || Self::of(task.process().namespaces(), kind, Ucred::of(task), Limit::Bytes);
        let ends = [end()?, end()?];
        for (end, other) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
            let mut state = end.state.lock();
            state.role = Role::Connected(other.link());
            state.peer_credentials = Some(other.owner);
        }
        Ok(ends)
    }

    fn net(&self) -> &Net {
        &self.namespaces.net
    }

    /// As its peer knows it.
    fn link(&self) -> Link {
        Link { peer: self.me.clone(), identity: self.identity.clone(), inbox: self.inbox.clone() }
    }

    fn peer(&self) -> Option<Link> {
        match &self.state.lock().role {
            Role::Connected(link) => Some(link.clone()),
            _ => None,
        }
    }

    /// What SO_SNDBUF says; SO_RCVBUF means nothing (unix(7)).
    fn apply_send_bytes(&self) {
        let writer = self.common.options.lock().send_bytes();
        if let Some(link) = self.peer().filter(|_| self.has_connections()) {
            link.inbox.set_room(|room| *room = Room { reader: 0, writer });
        }
    }

    fn has_connections(&self) -> bool {
        self.kind != Kind::Datagram
    }
}

impl Identity {
    fn address(&self) -> Address {
        Address::Unix(self.name.lock().clone())
    }
}

impl Socket for UnixSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn family(&self) -> u16 {
        UNIX
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn bind(&self, task: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        self.bind_name(task, address)
    }

    fn listen(&self, task: &Arc<Task>, backlog: usize) -> Result<(), Errno> {
        self.start_listening(task, backlog)
    }

    fn accept(&self) -> Result<Arc<dyn Socket>, Errno> {
        Ok(self.accept_one()?)
    }

    fn connect(&self, task: &Arc<Task>, address: &Address, _: Connecting) -> Result<(), Errno> {
        self.connect_to(task, address)
    }

    fn option(&self, _: u32, _: u32) -> Result<i32, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn set_option(&self, _: u32, _: u32, _: i32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn unread_bytes(&self) -> usize {
        self.peer().map_or(0, |link| link.inbox.len())
    }

    fn name(&self) -> Address {
        self.identity.address()
    }

    fn option_changed(&self, name: u32) {
        match name {
            SO_SNDBUF | SO_SNDBUFFORCE => self.apply_send_bytes(),
            SO_OOBINLINE => self.inbox.set_urgent_inline(self.common.options.lock().is_on(name)),
            _ => {}
        }
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        Ok(self.peer().ok_or(Errno::ENOTCONN)?.identity.address())
    }

    fn send(&self, source: &mut dyn Source, message: &mut Outgoing<'_>) -> Result<usize, Errno> {
        if message.urgency == Urgency::Urgent && (self.kind != Kind::Stream || source.remaining() == 0) {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.has_connections() { self.send_to_peer(source, message) } else { self.send_datagram(source, message) }
    }

    fn receive(&self, sink: &mut dyn Sink, taking: Taking) -> Result<Taken, Errno> {
        self.common.check_error()?;
        if self.has_connections() && !matches!(self.state.lock().role, Role::Connected(_)) {
            return Err(if self.kind == Kind::Stream { Errno::EINVAL } else { Errno::ENOTCONN });
        }
        self.inbox.take(sink, taking)
    }

    fn receive_urgent(&self, taking: Taking) -> Result<Option<u8>, Errno> {
        self.inbox.take_urgent(taking)
    }

    fn is_at_urgent(&self) -> bool {
        self.inbox.is_at_urgent()
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.shut_down(how)
    }

    fn poll(&self) -> PollEvents {
        self.ready()
    }

    /// What is out of band counts too (`unix_inq_len` of Linux).
    fn readable_bytes(&self) -> usize {
        self.inbox.len_with_urgent()
    }

    fn is_listening(&self) -> bool {
        matches!(self.state.lock().role, Role::Listening(_))
    }

    fn take_error(&self) -> Option<Errno> {
        self.common.take_error().or_else(|| self.inbox.take_error())
    }

    fn peer_credentials(&self) -> Option<Ucred> {
        self.state.lock().peer_credentials
    }
}
