//! Telling a process that a message came (mq_notify(3)).

use alloc::sync::{Arc, Weak};

use crate::net::Socket;
use crate::signal::{Detail, Signal, SignalInfo, code};
use crate::task::{Process, Task};

/// NOTIFY_COOKIE_LEN
pub const COOKIE_BYTES: usize = 32;
/// NOTIFY_WOKENUP and NOTIFY_REMOVED: the last byte of a cookie.
const WOKEN: u8 = 1;
const REMOVED: u8 = 2;

/// `sigev_notify`
pub const SIGEV_SIGNAL: i32 = 0;
/// `sigev_notify`
pub const SIGEV_NONE: i32 = 1;
/// `sigev_notify`
pub const SIGEV_THREAD: i32 = 2;

/// How a process is told.
#[derive(Clone, Debug)]
pub enum Notice {
    /// SIGEV_NONE: not at all.
    Nothing,
    /// SIGEV_SIGNAL: by this signal, if any, with this value.
    Signal(Option<Signal>, u64),
    /// SIGEV_THREAD: by a message to this socket, from which the C library makes a thread.
    Socket(Arc<dyn Socket>, [u8; COOKIE_BYTES]),
}

/// A process that wants to be told of one message.
#[derive(Clone, Debug)]
pub struct Registration {
    process: Weak<Process>,
    /// How.
    pub notice: Notice,
}

impl Registration {
    /// Of a task's process.
    pub fn new(task: &Task, notice: Notice) -> Self {
        Self { process: Arc::downgrade(task.process()), notice }
    }

    /// Whether it is of this process.
    pub fn is_of(&self, process: &Arc<Process>) -> bool {
        Weak::as_ptr(&self.process) == Arc::as_ptr(process)
    }

    /// Whether its process can be told.
    pub fn is_alive(&self) -> bool {
        self.process.upgrade().is_some_and(|process| !process.has_ended())
    }

    /// What a read of the queue tells: `sigev_notify`, the signal, the process.
    pub fn numbers(&self) -> (i32, i32, u32) {
        let pid = self.process.upgrade().map_or(0, |process| process.pid().raw());
        match &self.notice {
            Notice::Signal(signal, _) => (SIGEV_SIGNAL, signal.map_or(0, Signal::raw), pid),
            Notice::Nothing => (SIGEV_NONE, 0, pid),
            Notice::Socket(..) => (SIGEV_THREAD, 0, pid),
        }
    }

    /// A task sent a message to an empty queue.
    pub fn tell(&self, sender: &Task) {
        match &self.notice {
            Notice::Signal(Some(signal), value) => {
                if let Some(process) = self.process.upgrade() {
                    process.send_signal(info(*signal, *value, sender));
                }
            }
            Notice::Socket(socket, cookie) => tell_socket(&**socket, *cookie, WOKEN),
            Notice::Signal(None, _) | Notice::Nothing => {}
        }
    }

    /// It is withdrawn.
    pub fn withdraw(&self) {
        if let Notice::Socket(socket, cookie) = &self.notice {
            tell_socket(&**socket, *cookie, REMOVED);
        }
    }
}

fn tell_socket(socket: &dyn Socket, mut cookie: [u8; COOKIE_BYTES], what: u8) {
    cookie[COOKIE_BYTES - 1] = what;
    // A socket without room loses what comes, as netlink sockets do.
    let _lost = socket.put_notice(&cookie);
}

fn info(signal: Signal, value: u64, sender: &Task) -> SignalInfo {
    let mut rest = [0; SignalInfo::LEN - 16];
    rest[..4].copy_from_slice(&sender.process().pid().raw().to_le_bytes());
    rest[4..8].copy_from_slice(&sender.credentials().uid.to_le_bytes());
    rest[8..16].copy_from_slice(&value.to_le_bytes());
    SignalInfo { signal, errno: 0, code: code::SI_MESGQ, detail: Detail::Raw(rest) }
}
