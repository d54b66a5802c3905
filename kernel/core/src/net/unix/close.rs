//! How unix sockets end.

use alloc::sync::Arc;

use super::{Link, Role, UnixSocket};
use crate::Errno;
use crate::net::Shutdown;

impl UnixSocket {
    pub(super) fn shut_down(&self, how: Shutdown) -> Result<(), Errno> {
        let link = {
            let mut state = self.state.lock();
            if self.has_connections() && matches!(state.role, Role::Fresh) {
                return Err(Errno::ENOTCONN);
            }
            state.writing_ended |= how.writing;
            match &state.role {
                Role::Connected(link) => Some(link.clone()),
                _ => None,
            }
        };
        if how.reading {
            self.inbox.refuse();
        }
        if let Some(link) = link.filter(|_| how.writing && self.has_connections()) {
            link.inbox.end();
        }
        self.common.queue.wake();
        Ok(())
    }

    /// Tells the other side that this one is gone.
    fn part(&self, link: &Link, unread: bool) {
        if self.has_connections() {
            match unread {
                true => link.inbox.fail(Errno::ECONNRESET),
                false => link.inbox.end(),
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let state = core::mem::take(self.state.get_mut());
        let name = core::mem::take(&mut *self.identity.name.lock());
        if state.owns_name {
            self.net().unix().lock().release(&name, state.bound.as_ref().map(crate::vfs::Path::key));
        }
        *self.identity.name.lock() = name;
        let (unread, rights) = self.inbox.clear();
        self.inbox.refuse();
        match state.role {
            Role::Connected(link) => self.part(&link, unread),
            Role::Listening(backlog) => {
                for socket in &backlog.waiting {
                    socket.reset();
                }
                backlog.blocked.iter().for_each(|queue| queue.wake());
            }
            Role::Fresh => {}
        }
        self.namespaces.net.in_flight().let_go(rights);
        self.namespaces.net.in_flight().collect();
    }
}

impl UnixSocket {
    /// It was never accepted: whoever connected is told.
    fn reset(self: &Arc<Self>) {
        if let Some(link) = self.peer() {
            link.inbox.fail(Errno::ECONNRESET);
        }
    }

    /// Everything that it keeps for others: its inbox, and those of connections that nobody accepted.
    pub(super) fn inboxes(&self) -> alloc::vec::Vec<Arc<crate::net::Inbox>> {
        let mut inboxes = alloc::vec![self.inbox.clone()];
        if let Role::Listening(backlog) = &self.state.lock().role {
            inboxes.extend(backlog.waiting.iter().map(|socket| socket.inbox.clone()));
        }
        inboxes
    }
}
