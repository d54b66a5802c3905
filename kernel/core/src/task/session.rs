//! Sessions and their controlling terminals (credentials(7), tty_ioctl(4)).

use alloc::sync::Arc;
use core::fmt::Debug;

use stockade_kernel_sync::Mutex;

use super::{Credentials, Pid, Pids, Task};
use crate::Errno;
use crate::signal::{Signal, SignalInfo};
use crate::vfs::Device;
use crate::vfs::FileObject;
use crate::wait::Stop;

/// What a session asks of its terminal.
pub trait Terminal: Debug + Send + Sync {
    /// The session's leader ended: the terminal controls nothing any more.
    fn released(&self);

    /// Changes its size, as the other side of it asks.
    fn resize(&self, rows: u16, columns: u16);

    /// What /dev/tty opens.
    fn open(self: Arc<Self>, opener: &Credentials) -> Result<Arc<dyn FileObject>, Errno>;

    /// Its number, as /proc/PID/stat shows it.
    fn device(&self) -> Device {
        Device::NONE
    }
}

/// The terminal of a session, and which group it listens to.
#[derive(Clone, Debug)]
struct Control {
    terminal: Arc<dyn Terminal>,
    foreground: Pid,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    id: Pid,
    control: Mutex<Option<Control>>,
}

impl Session {
    pub(crate) fn new(id: Pid) -> Arc<Self> {
        Arc::new(Self { id, control: Mutex::new(None) })
    }

    /// Its id: that of the process that made it.
    pub fn id(&self) -> Pid {
        self.id
    }

    /// Its controlling terminal.
    pub fn terminal(&self) -> Option<Arc<dyn Terminal>> {
        self.control.lock().as_ref().map(|control| control.terminal.clone())
    }

    /// Whether this is its controlling terminal.
    pub fn is_terminal(&self, terminal: &Arc<dyn Terminal>) -> bool {
        let same = |control: &Control| Arc::as_ptr(&control.terminal).addr() == Arc::as_ptr(terminal).addr();
        self.control.lock().as_ref().is_some_and(same)
    }

    /// Gets a controlling terminal, with this group in its foreground.
    pub fn set_terminal(&self, terminal: Arc<dyn Terminal>, foreground: Pid) {
        *self.control.lock() = Some(Control { terminal, foreground });
    }

    /// Loses its controlling terminal, which is given back with the foreground group.
    pub fn take_terminal(&self) -> Option<(Arc<dyn Terminal>, Pid)> {
        self.control.lock().take().map(|control| (control.terminal, control.foreground))
    }

    /// The group in the foreground.
    pub fn foreground(&self) -> Option<Pid> {
        self.control.lock().as_ref().map(|control| control.foreground)
    }

    /// Changes the group in the foreground (tcsetpgrp(3)); who may is [`Task::set_foreground`]'s to check.
    fn set_foreground(&self, group: Pid) {
        if let Some(control) = self.control.lock().as_mut() {
            control.foreground = group;
        }
    }
}

impl Task {
    /// Its session; once its process was waited for, while a last call is under way, one that is nobody's.
    pub fn session(&self) -> Arc<Session> {
        let pid = self.process().pid();
        let known = self.process().pids().tree().node(pid).map(|node| node.session.clone());
        known.unwrap_or_else(|| Session::new(pid))
    }

    /// Its process group.
    pub fn group(&self) -> Pid {
        self.process().group()
    }

    /// Whether it may use its controlling terminal now, as `__tty_check_change` of Linux decides: a background process
    /// gets SIGTTIN or SIGTTOU and waits for the foreground, or `EIO` when nobody could bring it there.
    pub fn check_foreground(&self, signal: Signal) -> Result<(), Stop> {
        let (session, group) = (self.session(), self.group());
        if session.foreground().is_none_or(|foreground| foreground == group) {
            return Ok(());
        }
        if self.blocks_or_ignores(signal) {
            return if signal == Signal::TTIN { Err(Errno::EIO.into()) } else { Ok(()) };
        }
        if self.process().pids().tree().is_orphaned(group, None) {
            return Err(Errno::EIO.into());
        }
        self.process().pids().signal_group(group, SignalInfo::kernel(signal));
        Err(Stop::Wait)
    }

    /// tcsetpgrp(3) on its controlling terminal.
    pub fn set_foreground(&self, group: Pid) -> Result<(), Errno> {
        let session = self.session();
        let tree = self.process().pids().tree();
        let member = tree.nodes().find(|node| node.group == group).ok_or(Errno::ESRCH)?;
        if !Arc::ptr_eq(&member.session, &session) {
            return Err(Errno::EPERM);
        }
        session.set_foreground(group);
        Ok(())
    }
}

impl Pids {
    /// A terminal went away: its session's leader gets SIGHUP and SIGCONT, as on Linux.
    pub fn hang_up(&self, session: &Arc<Session>) {
        let leader = self.process(session.id());
        let foreground = session.take_terminal().map(|(_, group)| group);
        if let Some(leader) = leader {
            leader.send_signal(SignalInfo::kernel(Signal::HUP));
            leader.send_signal(SignalInfo::kernel(Signal::CONT));
        }
        if let Some(group) = foreground {
            self.signal_group(group, SignalInfo::kernel(Signal::HUP));
            self.signal_group(group, SignalInfo::kernel(Signal::CONT));
        }
    }
}
