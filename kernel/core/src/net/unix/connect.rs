//! Connections: listen(2), accept(2), connect(2).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::net::{SO_OOBINLINE, SO_PASSCRED};

use super::{Address, Backlog, Link, Role, Ucred, UnixSocket};
use crate::Errno;
use crate::net::{Kind, Limit, Socket as _};
use crate::task::Task;
use crate::vfs::PollEvents;

impl UnixSocket {
    pub(super) fn start_listening(&self, task: &Task, most: usize) -> Result<(), Errno> {
        if !self.has_connections() {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.identity.name.lock().is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        match &mut state.role {
            Role::Connected(_) => return Err(Errno::EINVAL),
            Role::Listening(backlog) => backlog.most = most,
            role => *role = Role::Listening(Backlog { most, waiting: VecDeque::new(), blocked: Vec::new() }),
        }
        state.peer_credentials = Some(Ucred::of(task));
        Ok(())
    }

    pub(super) fn accept_one(&self) -> Result<Arc<UnixSocket>, Errno> {
        let (socket, blocked) = {
            let mut state = self.state.lock();
            if !self.has_connections() {
                return Err(Errno::EOPNOTSUPP);
            }
            let Role::Listening(backlog) = &mut state.role else { return Err(Errno::EINVAL) };
            let socket = backlog.waiting.pop_front();
            (socket, core::mem::take(&mut backlog.blocked))
        };
        blocked.iter().for_each(|queue| queue.wake_for(PollEvents::WRITABLE));
        let ended = if self.inbox.is_refused() { Errno::EINVAL } else { Errno::EAGAIN };
        socket.ok_or(ended)
    }

    pub(super) fn connect_to(&self, task: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        if !self.has_connections() {
            return self.associate(task, address);
        }
        match self.state.lock().role {
            Role::Fresh => {}
            Role::Connected(_) => return Err(Errno::EISCONN),
            Role::Listening(_) => return Err(Errno::EINVAL),
        }
        let listener = self.find(task, address)?;
        self.name_for_credentials()?;
        let (accepted, credentials) = self.join_backlog(&listener, Ucred::of(task))?;
        let mut state = self.state.lock();
        state.role = Role::Connected(accepted);
        state.peer_credentials = credentials;
        drop(state);
        self.apply_send_bytes();
        listener.common.queue.wake_for(PollEvents::READABLE);
        self.common.queue.wake_for(PollEvents::WRITABLE);
        Ok(())
    }

    /// Puts the other end of a new connection before a listener. Returns its link, and who listens.
    fn join_backlog(&self, listener: &UnixSocket, who: Ucred) -> Result<(Link, Option<Ucred>), Errno> {
        let mut state = listener.state.lock();
        let credentials = state.peer_credentials;
        let Role::Listening(backlog) = &mut state.role else { return Err(Errno::ECONNREFUSED) };
        if listener.inbox.is_refused() {
            return Err(Errno::ECONNREFUSED);
        }
        if backlog.waiting.len() > backlog.most {
            if !backlog.blocked.iter().any(|queue| Arc::ptr_eq(queue, &self.common.queue)) {
                backlog.blocked.push(self.common.queue.clone());
            }
            return Err(Errno::EAGAIN);
        }
        let accepted = UnixSocket::of(&listener.namespaces, listener.kind, listener.owner, Limit::Bytes)?;
        *accepted.identity.name.lock() = listener.identity.name.lock().clone();
        {
            let mut state = accepted.state.lock();
            state.role = Role::Connected(self.link());
            state.peer_credentials = Some(who);
        }
        accepted.common.options.lock().clone_from(&listener.common.options.lock());
        accepted.option_changed(SO_OOBINLINE);
        accepted.apply_send_bytes();
        let link = accepted.link();
        backlog.waiting.push_back(accepted);
        Ok((link, credentials))
    }

    /// With SO_PASSCRED a socket gets a name when it connects or sends (unix(7)).
    pub(super) fn name_for_credentials(&self) -> Result<(), Errno> {
        let needs = self.common.options.lock().is_on(SO_PASSCRED) && self.identity.name.lock().is_empty();
        if !needs {
            return Ok(());
        }
        let mut names = self.net().unix().lock();
        let name = names.claim_any(&self.me)?;
        self.own_name(name);
        Ok(())
    }

    /// Gives a socket for datagrams a peer, or none (AF_UNSPEC).
    fn associate(&self, task: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        if *address == Address::Unspecified {
            self.state.lock().role = Role::Fresh;
            return Ok(());
        }
        self.name_for_credentials()?;
        let peer = self.find(task, address)?;
        peer.check_accepts(self)?;
        let mut state = self.state.lock();
        state.role = Role::Connected(peer.link());
        state.peer_credentials = Some(peer.owner);
        drop(state);
        self.common.queue.wake_for(PollEvents::WRITABLE);
        Ok(())
    }

    /// A socket for datagrams that has a peer hears nobody else.
    pub(super) fn check_accepts(&self, sender: &UnixSocket) -> Result<(), Errno> {
        let stranger = match &self.state.lock().role {
            Role::Connected(link) => self.kind == Kind::Datagram && !core::ptr::eq(link.peer.as_ptr(), sender),
            _ => false,
        };
        if stranger { Err(Errno::EPERM) } else { Ok(()) }
    }
}
