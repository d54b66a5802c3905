//! An open end of a pipe.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::Pipe;
use crate::Errno;
use crate::io::{Sink, Source};
use crate::task::Task;
use crate::vfs::{FileObject, OpenFlags, PollEvents, WriteAt, Written};
use crate::wait::SharedQueue;

/// One end, or both (a fifo opened with O_RDWR).
#[derive(Debug)]
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// Writers that there were before this was opened, while there was none.
    writers_before: u64,
}

impl PipeEnd {
    /// Opens an end, by the access mode.
    pub fn new(pipe: &Arc<Pipe>, flags: OpenFlags) -> Arc<Self> {
        let (reads, writes) = (flags.reads(), flags.writes());
        let writers_before = {
            let mut state = pipe.state.lock();
            let before = if state.writers == 0 { state.opened[1] } else { u64::MAX };
            if reads {
                state.readers += 1;
                state.opened[0] += 1;
            }
            if writes {
                state.writers += 1;
                state.opened[1] += 1;
            }
            before
        };
        pipe.queue.wake();
        pipe.openers.iter().for_each(|queue| queue.wake());
        Arc::new(Self { pipe: pipe.clone(), reads, writes, writers_before })
    }

    /// The pipe.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        {
            let mut state = self.pipe.state.lock();
            state.readers -= usize::from(self.reads);
            state.writers -= usize::from(self.writes);
            if state.readers + state.writers == 0 {
                state.bytes.clear();
                state.packets.iter_mut().for_each(VecDeque::clear);
            }
        }
        self.pipe.queue.wake();
    }
}

impl FileObject for PipeEnd {
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        self.pipe.read(sink)
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        Ok(Written { count: self.pipe.write(source)?, end: 0 })
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn poll(&self) -> PollEvents {
        self.pipe.poll(self.reads, self.writes, self.writers_before)
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.pipe.queue.clone())
    }

    fn ioctl(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        match request {
            linux_raw_sys::ioctl::FIONREAD => {
                let len = i32::try_from(self.pipe.len()).unwrap_or(i32::MAX);
                task.memory().write_struct(argument, &len)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}
