//! Connections of TCP, and what connect(2) means for UDP.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::net as abi;

use super::{Backlog, Bound, InetSocket, Link, Protocol, Role, any, loopback_of};
use crate::Errno;
use crate::net::{Address, Connecting, Endpoint, Ip, Shutdown, Socket as _};
use crate::vfs::PollEvents;

impl InetSocket {
    pub(super) fn start_listening(&self, most: usize) -> Result<(), Errno> {
        if self.protocol != Protocol::Tcp {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.link().is_some() {
            return Err(Errno::EINVAL);
        }
        self.claim_any()?;
        let port = self.state.lock().local.port;
        self.net().ports().lock().listen(port, &self.me)?;
        let mut state = self.state.lock();
        match &mut state.role {
            Role::Listening(backlog) => (backlog.most, backlog.ended) = (most, false),
            role => {
                *role = Role::Listening(Backlog { most, waiting: VecDeque::new(), blocked: Vec::new(), ended: false });
            }
        }
        Ok(())
    }

    pub(super) fn accept_one(&self) -> Result<Arc<InetSocket>, Errno> {
        if self.protocol != Protocol::Tcp {
            return Err(Errno::EOPNOTSUPP);
        }
        let (socket, blocked) = {
            let mut state = self.state.lock();
            let Role::Listening(backlog) = &mut state.role else { return Err(Errno::EINVAL) };
            if backlog.ended {
                return Err(Errno::EINVAL);
            }
            (backlog.waiting.pop_front(), core::mem::take(&mut backlog.blocked))
        };
        blocked.iter().for_each(|queue| queue.wake_for(PollEvents::WRITABLE));
        socket.ok_or(Errno::EAGAIN)
    }

    /// Where an address leads from here: all of the machine's own lead back.
    fn route(&self, address: &Address) -> Result<Endpoint, Errno> {
        let Endpoint { ip, port } = self.endpoint(address)?;
        let ip = match ip {
            Ip::ANY => Ip::LOOPBACK,
            Ip::ANY_V4 => Ip::LOOPBACK_V4,
            ip if self.is_only_v6() && ip.to_v4().is_some() => return Err(Errno::ENETUNREACH),
            ip if ip.is_local() => ip,
            ip if self.protocol != Protocol::Tcp && ip.to_group().is_some() && self.reaches_groups() => ip,
            _ => return Err(Errno::ENETUNREACH),
        };
        Ok(Endpoint { ip, port })
    }

    pub(super) fn connect_stream(&self, address: &Address, connecting: Connecting) -> Result<(), Errno> {
        self.common.check_error()?;
        if *address == Address::Unspecified {
            return self.disconnect();
        }
        {
            let mut state = self.state.lock();
            let state = &mut *state;
            match &state.role {
                Role::Fresh => {}
                Role::Connected(_) if core::mem::take(&mut state.is_connecting) => return Ok(()),
                Role::Connected(_) | Role::Listening(_) => return Err(Errno::EISCONN),
            }
        }
        let to = self.route(address)?;
        self.claim_any()?;
        match (self.establish(to, connecting), connecting) {
            (Ok(()), Connecting::Waits) => Ok(()),
            // As on Linux, the handshake is never over before the call is.
            (Ok(()), Connecting::FailsAtOnce) => {
                self.state.lock().is_connecting = true;
                Err(Errno::EINPROGRESS)
            }
            (Err(Errno::ECONNREFUSED), Connecting::FailsAtOnce) => {
                self.common.set_error(Errno::ECONNREFUSED);
                Err(Errno::EINPROGRESS)
            }
            (Err(errno), _) => Err(errno),
        }
    }

    fn establish(&self, to: Endpoint, connecting: Connecting) -> Result<(), Errno> {
        let listeners = self.net().ports().lock().find(Protocol::Tcp, to);
        let listener = listeners.first().ok_or(Errno::ECONNREFUSED)?;
        let from = {
            let mut state = self.state.lock();
            if state.local.ip.is_any() {
                state.local.ip = loopback_of(to.ip);
            }
            state.local
        };
        let inbox = self.join_backlog(listener, from, to, connecting)?;
        self.net().traffic().handshake(to.ip);
        self.state.lock().role = Role::Connected(Link { remote: to, inbox: Some(inbox) });
        self.apply_receive_bytes();
        self.apply_send_bytes();
        listener.common.queue.wake_for(PollEvents::READABLE);
        self.common.queue.wake_for(PollEvents::WRITABLE);
        Ok(())
    }

    /// Puts the other end of a new connection before a listener, and returns its inbox.
    fn join_backlog(
        &self,
        listener: &InetSocket,
        from: Endpoint,
        to: Endpoint,
        connecting: Connecting,
    ) -> Result<Arc<crate::net::Inbox>, Errno> {
        let mut state = listener.state.lock();
        let Role::Listening(backlog) = &mut state.role else { return Err(Errno::ECONNREFUSED) };
        if backlog.ended {
            return Err(Errno::ECONNREFUSED);
        }
        // A handshake that finds no room is tried again until there is; who does not wait never sees that.
        if backlog.waiting.len() > backlog.most && connecting == Connecting::Waits {
            if !backlog.blocked.iter().any(|queue| Arc::ptr_eq(queue, &self.common.queue)) {
                backlog.blocked.push(self.common.queue.clone());
            }
            return Err(Errno::EAGAIN);
        }
        let accepted = InetSocket::of(&listener.namespaces, listener.family, Protocol::Tcp)?;
        accepted.common.options.lock().clone_from(&listener.common.options.lock());
        accepted.options.lock().clone_from(&listener.options.lock());
        accepted.option_changed(abi::SO_OOBINLINE);
        accepted.apply_receive_bytes();
        {
            let mut state = accepted.state.lock();
            state.local = to;
            state.role = Role::Connected(Link { remote: from, inbox: Some(self.inbox.clone()) });
        }
        accepted.apply_send_bytes();
        let inbox = accepted.inbox.clone();
        backlog.waiting.push_back(accepted);
        Ok(inbox)
    }

    /// connect(2) to AF_UNSPEC: what bind(2) did not choose is free again.
    fn disconnect(&self) -> Result<(), Errno> {
        let (old, freed) = {
            let mut state = self.state.lock();
            let Bound { ip, port } = state.bound;
            if !ip {
                state.local.ip = any(self.family);
            }
            let mut freed = None;
            if !port && state.has_port {
                state.has_port = false;
                freed = Some(core::mem::take(&mut state.local.port));
            }
            (core::mem::take(&mut state.role), freed)
        };
        if let Some(port) = freed {
            self.net().ports().lock().release(self.protocol, port, self);
        }
        if let Role::Connected(Link { inbox: Some(inbox), .. }) = old {
            inbox.fail(Errno::ECONNRESET);
        }
        Ok(())
    }

    /// Gives a UDP socket a peer, or none.
    pub(super) fn associate(&self, address: &Address) -> Result<(), Errno> {
        if *address == Address::Unspecified {
            return self.disconnect();
        }
        let remote = self.route(address)?;
        self.claim_any()?;
        let mut state = self.state.lock();
        if state.local.ip.is_any() {
            state.local.ip = loopback_of(remote.ip);
        }
        state.role = Role::Connected(Link { remote, inbox: None });
        Ok(())
    }

    /// Where a datagram goes, and from where.
    pub(super) fn routed(&self, to: Option<&Address>) -> Result<(Endpoint, Endpoint), Errno> {
        let to = match to {
            Some(address) => self.route(address)?,
            None => self.link().ok_or(Errno::EDESTADDRREQ)?.remote,
        };
        if to.port == 0 {
            return Err(Errno::EINVAL);
        }
        self.claim_any()?;
        let mut from = self.state.lock().local;
        if from.ip.is_any() || from.ip.to_group().is_some() {
            from.ip = if to.ip.to_group().is_some() { self.group_source() } else { loopback_of(to.ip) };
        }
        Ok((from, to))
    }

    pub(super) fn shut_down(&self, how: Shutdown) -> Result<(), Errno> {
        let link = {
            let mut state = self.state.lock();
            match &mut state.role {
                Role::Fresh => return Err(Errno::ENOTCONN),
                Role::Listening(backlog) => {
                    backlog.ended |= how.reading;
                    None
                }
                Role::Connected(link) => {
                    let link = link.clone();
                    state.writing_ended |= how.writing;
                    Some(link)
                }
            }
        };
        if let Some(link) = link {
            if how.reading {
                self.inbox.end();
            }
            if let Some(inbox) = link.inbox.filter(|_| how.writing) {
                inbox.end();
            }
        }
        self.common.queue.wake();
        Ok(())
    }
}

impl Drop for InetSocket {
    fn drop(&mut self) {
        self.leave_groups();
        let state = core::mem::take(self.state.get_mut());
        if state.has_port {
            self.net().ports().lock().release(self.protocol, state.local.port, self);
        }
        let linger = self.common.options.lock().linger;
        let (unread, _) = self.inbox.clear();
        self.inbox.refuse();
        match state.role {
            Role::Connected(Link { inbox: Some(inbox), .. }) => {
                if unread || linger.on != 0 && linger.seconds == 0 {
                    inbox.fail(Errno::ECONNRESET);
                } else if !state.writing_ended {
                    inbox.end();
                }
            }
            Role::Listening(backlog) => {
                for socket in &backlog.waiting {
                    socket.reset();
                }
                backlog.blocked.iter().for_each(|queue| queue.wake());
            }
            _ => {}
        }
    }
}

impl InetSocket {
    /// It was never accepted: whoever connected is told.
    fn reset(&self) {
        if let Some(inbox) = self.link().and_then(|link| link.inbox) {
            inbox.fail(Errno::ECONNRESET);
        }
    }
}
