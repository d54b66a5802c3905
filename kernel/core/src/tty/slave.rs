//! The slave's end: what programs read, write and set up.

use alloc::sync::Arc;
use core::time::Duration;

use linux_raw_sys::{general as abi, ioctl};

use super::termios::Local;
use super::{Tty, WindowSize};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::signal::Signal;
use crate::task::{Capabilities, Credentials, Task};
use crate::vfs::{FileObject, PollEvents, WriteAt, Written};
use crate::wait::{SharedQueue, Stop};

/// Requests that a background process must not make (`__tty_check_change` of Linux).
const CHANGES: &[u32] = &[
    ioctl::TCSETS,
    ioctl::TCSETSW,
    ioctl::TCSETSF,
    ioctl::TCSETS2,
    ioctl::TCSETSW2,
    ioctl::TCSETSF2,
    ioctl::TCSETA,
    ioctl::TCSETAW,
    ioctl::TCSETAF,
    ioctl::TIOCSETD,
    ioctl::TIOCSBRK,
    ioctl::TIOCCBRK,
    ioctl::TCSBRK,
    ioctl::TCSBRKP,
    ioctl::TCXONC,
    ioctl::TCFLSH,
    ioctl::TIOCSPGRP,
];

/// An open slave.
#[derive(Debug)]
pub struct SlaveFile {
    tty: Arc<Tty>,
}

impl SlaveFile {
    /// `EIO` when its master is locked or gone, `EBUSY` when who has it wants it alone.
    pub fn open(tty: &Arc<Tty>, opener: &Credentials) -> Result<Arc<Self>, Errno> {
        let mut state = tty.state.lock();
        if state.is_locked || state.is_hung_up {
            return Err(Errno::EIO);
        }
        if state.is_exclusive && !opener.has(Capabilities::SYS_ADMIN) {
            return Err(Errno::EBUSY);
        }
        state.slaves += 1;
        state.was_open = true;
        drop(state);
        Ok(Arc::new(Self { tty: tty.clone() }))
    }

    /// The terminal.
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl Drop for SlaveFile {
    fn drop(&mut self) {
        self.tty.state.lock().slaves -= 1;
        self.tty.master_queue.wake();
    }
}

impl FileObject for SlaveFile {
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        let count = {
            let mut state = self.tty.state.lock();
            match state.discipline.read(sink) {
                Err(Errno::EAGAIN) if state.is_hung_up => 0,
                count => count?,
            }
        };
        self.tty.pump();
        self.tty.master_queue.wake_for(PollEvents::WRITABLE);
        Ok(count)
    }

    fn late_read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        self.tty.state.lock().discipline.read_now(sink)
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        let count = {
            let mut state = self.tty.state.lock();
            if state.is_hung_up {
                return Err(Errno::EIO);
            }
            state.discipline.write(source)?
        };
        self.tty.show();
        Ok(Written { count, end: 0 })
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn time_limit(&self, events: PollEvents) -> Option<Duration> {
        let state = self.tty.state.lock();
        let (least, time) = state.discipline.timing();
        let counts = time > 0 && (least == 0 || state.discipline.has_input());
        let reads = events.intersects(PollEvents::READABLE) && !state.discipline.termios().is_canonical();
        (counts && reads).then(|| Duration::from_millis(u64::from(time) * 100))
    }

    fn check_access(&self, task: &Arc<Task>, events: PollEvents) -> Result<(), Stop> {
        if events.intersects(PollEvents::READABLE) {
            return self.tty.check_foreground(task, Signal::TTIN);
        }
        let stops = self.tty.state.lock().discipline.termios().local.contains(Local::STOP_WRITERS);
        if stops { self.tty.check_foreground(task, Signal::TTOU) } else { Ok(()) }
    }

    fn check_request(&self, task: &Arc<Task>, request: u32) -> Result<(), Stop> {
        if CHANGES.contains(&request) { self.tty.check_foreground(task, Signal::TTOU) } else { Ok(()) }
    }

    fn poll(&self) -> PollEvents {
        let state = self.tty.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::READABLE, state.discipline.polls_readable() || state.is_hung_up);
        events.set(PollEvents::WRITABLE, state.discipline.is_writable() || state.is_hung_up);
        events.set(PollEvents::HUP | PollEvents::ERR, state.is_hung_up);
        events
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.tty.slave_queue.clone())
    }

    fn ioctl(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        match request {
            ioctl::FIONREAD => {
                let count = self.tty.state.lock().discipline.readable_bytes();
                store(task, argument, i32::try_from(count).unwrap_or(i32::MAX))
            }
            ioctl::TIOCEXCL | ioctl::TIOCNXCL => {
                self.tty.state.lock().is_exclusive = request == ioctl::TIOCEXCL;
                Ok(0)
            }
            ioctl::TIOCGEXCL => store(task, argument, self.tty.state.lock().is_exclusive.into()),
            _ => self.tty.request(task, request, argument),
        }
    }
}

fn store(task: &Task, at: u64, value: i32) -> Result<u64, Errno> {
    task.memory().write_struct(at, &value).map(|()| 0)
}

impl Tty {
    /// The requests of ioctl(2) that both ends serve.
    pub(super) fn request(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        if self.state.lock().is_hung_up {
            return Err(Errno::EIO);
        }
        let memory = task.memory();
        match request {
            ioctl::TIOCGWINSZ => memory.write_struct(argument, &self.size())?,
            ioctl::TIOCSWINSZ => self.resize(memory.read_struct::<WindowSize>(argument)?),
            ioctl::TIOCSCTTY => self.take_control(task, argument)?,
            ioctl::TIOCNOTTY => self.give_up(task)?,
            ioctl::TIOCGPGRP => return store(task, argument, self.own_foreground(task)?),
            ioctl::TIOCSPGRP => self.set_foreground(task, memory.read_struct(argument)?)?,
            ioctl::TIOCGSID => return store(task, argument, self.session_id()?),
            ioctl::TCFLSH => self.flush(argument)?,
            ioctl::TCXONC => self.control_flow(argument)?,
            ioctl::TIOCOUTQ => {
                let count = self.state.lock().discipline.output().len();
                return store(task, argument, i32::try_from(count).unwrap_or(i32::MAX));
            }
            ioctl::TIOCGDEV => {
                let number = u32::try_from(self.device().encode()).map_err(|_| Errno::EOVERFLOW)?;
                memory.write_struct(argument, &number)?;
            }
            ioctl::TIOCGETD => return store(task, argument, 0),
            // There is one line discipline.
            ioctl::TIOCSETD if memory.read_struct::<i32>(argument)? != 0 => return Err(Errno::EINVAL),
            // Output is with its far end as soon as that takes it; a break means nothing there.
            ioctl::TCSBRK | ioctl::TCSBRKP | ioctl::TIOCSBRK | ioctl::TIOCCBRK | ioctl::TIOCSETD => {}
            ioctl::TIOCSTI => return Err(Errno::EIO),
            _ => self.mode_request(task, request, argument)?,
        }
        Ok(0)
    }

    fn own_foreground(&self, task: &Task) -> Result<i32, Errno> {
        if self.controls(task) { Ok(self.foreground()) } else { Err(Errno::ENOTTY) }
    }

    fn flush(&self, which: u64) -> Result<(), Errno> {
        let which = u32::try_from(which).map_err(|_| Errno::EINVAL)?;
        if which > abi::TCIOFLUSH {
            return Err(Errno::EINVAL);
        }
        {
            let mut state = self.state.lock();
            if which != abi::TCOFLUSH {
                state.discipline.flush_input();
            }
            if which != abi::TCIFLUSH {
                state.discipline.output().clear();
            }
        }
        self.show();
        Ok(())
    }

    fn control_flow(&self, action: u64) -> Result<(), Errno> {
        match u32::try_from(action) {
            Ok(abi::TCOOFF) => self.state.lock().discipline.set_stopped(true),
            Ok(abi::TCOON) => self.state.lock().discipline.set_stopped(false),
            Ok(abi::TCIOFF | abi::TCION) => {}
            _ => return Err(Errno::EINVAL),
        }
        self.show();
        Ok(())
    }
}
