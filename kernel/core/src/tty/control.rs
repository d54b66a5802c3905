//! Controlling terminals (tty_ioctl(4), credentials(7)).

use alloc::sync::{Arc, Weak};

use super::{Control, SlaveFile, Tty};
use crate::Errno;
use crate::signal::{Signal, SignalInfo};
use crate::task::{Capabilities, Credentials, Namespaces, Pid, Session, Task, Terminal};
use crate::vfs::{Device, FileObject};
use crate::wait::Stop;

impl Terminal for Tty {
    fn released(&self) {
        self.state.lock().control = None;
    }

    fn resize(&self, rows: u16, columns: u16) {
        Tty::resize(self, [rows, columns, 0, 0]);
    }

    fn open(self: Arc<Self>, opener: &Credentials) -> Result<Arc<dyn FileObject>, Errno> {
        Ok(SlaveFile::open(&self, opener)?)
    }

    fn device(&self) -> Device {
        Tty::device(self)
    }
}

impl Tty {
    fn as_terminal(&self) -> Option<Arc<dyn Terminal>> {
        let me: Arc<dyn Terminal> = self.me.upgrade()?;
        Some(me)
    }

    fn controlled(&self) -> Option<(Arc<Session>, Arc<Namespaces>)> {
        let control = self.state.lock().control.clone()?;
        Some((control.session.upgrade()?, control.namespaces.upgrade()?))
    }

    /// Whether it is the task's controlling terminal.
    pub(super) fn controls(&self, task: &Task) -> bool {
        self.as_terminal().is_some_and(|terminal| task.session().is_terminal(&terminal))
    }

    /// `__tty_check_change` of Linux: a background process is stopped by this signal.
    pub(super) fn check_foreground(&self, task: &Task, signal: Signal) -> Result<(), Stop> {
        if self.controls(task) { task.check_foreground(signal) } else { Ok(()) }
    }

    /// Sends a signal to the group in the foreground.
    pub(super) fn signal_foreground(&self, signal: Signal) {
        if let Some((session, namespaces)) = self.controlled()
            && let Some(group) = session.foreground()
        {
            namespaces.pids.signal_group(group, SignalInfo::kernel(signal));
        }
    }

    /// Becomes the controlling terminal of a session without one, if its leader opens it.
    pub(super) fn offer(&self, task: &Task) {
        let session = task.session();
        let is_free = self.controlled().is_none() && session.terminal().is_none();
        if is_free && session.id() == task.process().pid() {
            self.control(task, &session);
        }
    }

    /// Becomes the controlling terminal of a task's session, with its group in the foreground.
    pub fn attach(&self, task: &Task) {
        self.control(task, &task.session());
    }

    fn control(&self, task: &Task, session: &Arc<Session>) {
        let Some(me) = self.as_terminal() else { return };
        let namespaces = Arc::downgrade(task.process().namespaces());
        self.state.lock().control = Some(Control { session: Arc::downgrade(session), namespaces });
        session.set_terminal(me, task.group());
    }

    /// TIOCSCTTY
    pub(super) fn take_control(&self, task: &Task, force: u64) -> Result<(), Errno> {
        let session = task.session();
        if self.controls(task) && session.id() == task.process().pid() {
            return Ok(());
        }
        if session.id() != task.process().pid() || session.terminal().is_some() {
            return Err(Errno::EPERM);
        }
        if let Some((other, _)) = self.controlled() {
            if force != 1 || !task.credentials().has(Capabilities::SYS_ADMIN) {
                return Err(Errno::EPERM);
            }
            other.take_terminal();
        }
        self.control(task, &session);
        Ok(())
    }

    /// TIOCNOTTY
    pub(super) fn give_up(&self, task: &Task) -> Result<(), Errno> {
        if !self.controls(task) {
            return Err(Errno::ENOTTY);
        }
        let session = task.session();
        if session.id() != task.process().pid() {
            // Only the leader can leave for all: a member alone keeps what its session has.
            return Ok(());
        }
        if let Some((_, group)) = session.take_terminal() {
            task.process().pids().signal_group(group, SignalInfo::kernel(Signal::HUP));
            task.process().pids().signal_group(group, SignalInfo::kernel(Signal::CONT));
        }
        self.state.lock().control = None;
        Ok(())
    }

    /// The session loses it, because its far end is gone.
    pub(super) fn end_control(&self) {
        if let Some((session, namespaces)) = self.controlled() {
            namespaces.pids.hang_up(&session);
        }
        self.state.lock().control = None;
    }

    /// TIOCGPGRP: 0 when nobody is in the foreground.
    pub(super) fn foreground(&self) -> i32 {
        let group = self.controlled().and_then(|(session, _)| session.foreground());
        group.map_or(0, |group| i32::try_from(group.raw()).unwrap_or(0))
    }

    /// TIOCGSID
    pub(super) fn session_id(&self) -> Result<i32, Errno> {
        let (session, _) = self.controlled().ok_or(Errno::ENOTTY)?;
        Ok(i32::try_from(session.id().raw()).unwrap_or(0))
    }

    /// TIOCSPGRP
    pub(super) fn set_foreground(&self, task: &Task, group: i32) -> Result<(), Errno> {
        if !self.controls(task) {
            return Err(Errno::ENOTTY);
        }
        task.set_foreground(Pid::new(group).ok_or(Errno::EINVAL)?)
    }
}

/// Nothing refers to a terminal by its session any more.
impl Drop for Tty {
    fn drop(&mut self) {
        let session = self.state.get_mut().control.take().and_then(|control| Weak::upgrade(&control.session));
        if let Some(session) = session {
            session.take_terminal();
        }
    }
}
