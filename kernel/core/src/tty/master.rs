//! The master's end (pty(7), ioctl_tty(2)).

use alloc::sync::Arc;

use linux_raw_sys::ioctl;

use super::{Terminals, Tty};
use crate::Errno;
use crate::io::{Sink, Source};
use crate::signal::Signal;
use crate::task::Task;
use crate::vfs::{FileObject, PollEvents, WriteAt, Written};
use crate::wait::SharedQueue;

/// An open master. Its terminal ends with it.
#[derive(Debug)]
pub struct MasterFile {
    tty: Arc<Tty>,
    terminals: Arc<Terminals>,
}

impl MasterFile {
    /// The far end of a new terminal.
    pub fn new(tty: Arc<Tty>, terminals: Arc<Terminals>) -> Arc<Self> {
        Arc::new(Self { tty, terminals })
    }

    /// The terminal.
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl Drop for MasterFile {
    fn drop(&mut self) {
        self.tty.hang_up();
        self.terminals.remove(self.tty.number());
    }
}

impl FileObject for MasterFile {
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        let count = {
            let mut state = self.tty.state.lock();
            if !state.discipline.has_output() {
                return Err(if state.slaves == 0 && state.was_open { Errno::EIO } else { Errno::EAGAIN });
            }
            let header = usize::from(state.packets && sink.put(&[0])? == 1);
            let output = state.discipline.output().make_contiguous();
            let step = output.len().min(sink.remaining());
            let count = sink.put(&output[..step])?;
            state.discipline.output().drain(..count);
            count + header
        };
        self.tty.show();
        Ok(count)
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        if !self.tty.state.lock().discipline.has_input_room() {
            return Err(Errno::EAGAIN);
        }
        let mut bytes = [0; 1024];
        let count = source.take(&mut bytes)?;
        self.tty.typed(&bytes[..count]);
        Ok(Written { count, end: 0 })
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn poll(&self) -> PollEvents {
        let state = self.tty.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::READABLE, state.discipline.has_output());
        events.set(PollEvents::WRITABLE, state.discipline.has_input_room());
        events.set(PollEvents::HUP, state.slaves == 0 && state.was_open);
        events
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.tty.master_queue.clone())
    }

    fn ioctl(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        let memory = task.memory();
        let read_int = || memory.read_struct::<i32>(argument);
        let write_int = |value: i32| memory.write_struct(argument, &value);
        match request {
            ioctl::TIOCGPTN => memory.write_struct(argument, &self.tty.number())?,
            ioctl::TIOCSPTLCK => {
                let locked = read_int()? != 0;
                self.tty.state.lock().is_locked = locked;
            }
            ioctl::TIOCGPTLCK => write_int(self.tty.state.lock().is_locked.into())?,
            ioctl::TIOCGPTPEER => return crate::syscall::open_terminal(task, self.tty.number(), argument),
            ioctl::TIOCPKT => {
                let packets = read_int()? != 0;
                self.tty.state.lock().packets = packets;
            }
            ioctl::TIOCGPKT => write_int(self.tty.state.lock().packets.into())?,
            ioctl::FIONREAD => {
                let count = self.tty.state.lock().discipline.output().len();
                write_int(i32::try_from(count).unwrap_or(i32::MAX))?;
            }
            ioctl::TIOCSIG => {
                let signal = i32::try_from(argument).map_err(|_| Errno::EINVAL).and_then(Signal::new)?;
                self.tty.signal_foreground(signal);
            }
            ioctl::TIOCEXCL | ioctl::TIOCNXCL => {
                self.tty.state.lock().is_master_exclusive = request == ioctl::TIOCEXCL;
            }
            ioctl::TIOCGEXCL => write_int(self.tty.state.lock().is_master_exclusive.into())?,
            // A master sees its slave's foreground group, whoever asks.
            ioctl::TIOCGPGRP => write_int(self.tty.foreground())?,
            ioctl::TIOCSCTTY | ioctl::TIOCNOTTY => return Err(Errno::ENOTTY),
            _ => return self.tty.request(task, request, argument),
        }
        Ok(0)
    }
}
