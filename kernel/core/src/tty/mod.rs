//! Terminals (tty(4), pty(7)): a line discipline between a slave, which programs have, and a far end, which is a master
//! or a terminal of the host.
//!
//! Lock order: a container's table of terminals, a terminal's state; a session's own lock is taken without either.
//! Nobody is woken or sent a signal with a lock held. The host's end is written to with the state locked, so that what
//! two writers write keeps its order; it never blocks.

mod control;
mod discipline;
mod driver;
mod far;
mod master;
mod modes;
mod slave;
mod terminals;
mod termios;
#[cfg(test)]
mod tests;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use crate::platform::HostStream;
use crate::signal::Signal;
use crate::task::{Credentials, Namespaces, Session};
use crate::vfs::{Device, PollEvents};
use crate::wait::SharedQueue;

pub use discipline::Discipline;
pub use driver::{PtsDriver, TtyDriver};
pub use master::MasterFile;
pub use slave::SlaveFile;
pub use terminals::Terminals;
pub use termios::Termios;

/// Major number of pseudo-terminals' slaves.
pub const SLAVES: u32 = 136;

/// A terminal.
#[derive(Debug)]
pub struct Tty {
    me: Weak<Tty>,
    number: u32,
    owner: Owner,
    state: Mutex<State>,
    slave_queue: SharedQueue,
    master_queue: SharedQueue,
    /// `None`: its far end is a master.
    host: Option<Arc<dyn HostStream>>,
}

/// Whose node in devpts it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// Who opens a terminal owns it.
    pub fn of(credentials: &Credentials) -> Self {
        Self { uid: credentials.fsuid, gid: credentials.fsgid }
    }
}

/// `struct winsize`: rows, columns, and both in pixels.
pub type WindowSize = [u16; 4];

#[derive(Debug)]
struct State {
    discipline: Discipline,
    /// Modes that cannot be changed.
    locked: Termios,
    size: WindowSize,
    control: Option<Control>,
    slaves: usize,
    /// A slave was open at some time.
    was_open: bool,
    is_locked: bool,
    is_hung_up: bool,
    /// TIOCPKT
    packets: bool,
    /// TIOCEXCL, of the slave and of the master.
    is_exclusive: bool,
    is_master_exclusive: bool,
}

/// The session that it controls.
#[derive(Clone, Debug)]
struct Control {
    session: Weak<Session>,
    namespaces: Weak<Namespaces>,
}

impl Tty {
    fn new(number: u32, owner: Owner, host: Option<Arc<dyn HostStream>>) -> Arc<Self> {
        let state = State {
            discipline: Discipline::default(),
            locked: Termios::zero(),
            size: WindowSize::default(),
            control: None,
            slaves: 0,
            was_open: false,
            is_locked: host.is_none(),
            is_hung_up: false,
            packets: false,
            is_exclusive: false,
            is_master_exclusive: false,
        };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            number,
            owner,
            state: Mutex::new(state),
            slave_queue: SharedQueue::default(),
            master_queue: SharedQueue::default(),
            host,
        })
    }

    /// Its number: the name of its slave in /dev/pts.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its slave's number.
    pub fn device(&self) -> Device {
        Device::new(SLAVES, self.number)
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Its size.
    pub fn size(&self) -> WindowSize {
        self.state.lock().size
    }

    /// Changes its size, and tells the foreground (SIGWINCH).
    pub fn resize(&self, size: WindowSize) {
        let old = core::mem::replace(&mut self.state.lock().size, size);
        if old != size {
            self.signal_foreground(Signal::WINCH);
        }
    }

    /// Bytes came from the far end.
    fn typed(&self, bytes: &[u8]) {
        let signals: Vec<Signal> = self.state.lock().discipline.receive(bytes);
        for signal in signals {
            self.signal_foreground(signal);
        }
        self.slave_queue.wake_for(PollEvents::READABLE);
        self.show();
    }

    /// Lets the far end have what there is, and writers go on.
    fn show(&self) {
        let writable = {
            let mut state = self.state.lock();
            self.show_host(&mut state);
            state.discipline.is_writable()
        };
        self.master_queue.wake_for(PollEvents::READABLE);
        if writable {
            self.slave_queue.wake_for(PollEvents::WRITABLE);
        }
    }

    /// The far end is gone.
    fn hang_up(&self) {
        if !core::mem::replace(&mut self.state.lock().is_hung_up, true) {
            self.end_control();
            self.slave_queue.wake();
            self.master_queue.wake();
        }
    }
}
