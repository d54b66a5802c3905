//! A supervisor's end of one client.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::protocol::{Reply, Role, try_send};

/// One client, and what it has not taken yet.
#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    role: Role,
    pending: VecDeque<Vec<u8>>,
    gone: bool,
}

impl Client {
    /// A client that has not said what it is there for.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, role: Role::Watch, pending: VecDeque::new(), gone: false }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What it is there for.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Notes what it is there for.
    pub(crate) fn set_role(&mut self, role: Role) {
        self.role = role;
    }

    /// Sends output if it wants any.
    pub(crate) fn send_output(&mut self, reply: Reply<'_>) {
        if self.role != Role::Watch {
            self.send(reply);
        }
    }

    /// Sends a message, or keeps it until there is room.
    pub(crate) fn send(&mut self, reply: Reply<'_>) {
        let mut packet = Vec::new();
        reply.encode(&mut packet);
        self.pending.push_back(packet);
        self.flush();
    }

    /// Sends what there is room for.
    pub(crate) fn flush(&mut self) {
        while let Some(packet) = self.pending.front() {
            match try_send(&self.socket, packet) {
                Ok(()) => drop(self.pending.pop_front()),
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => self.close(),
            }
        }
    }

    /// Forgets it.
    pub(crate) fn close(&mut self) {
        self.gone = true;
        self.pending.clear();
    }

    /// Whether something waits for room.
    pub(crate) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether it has left.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }
}
