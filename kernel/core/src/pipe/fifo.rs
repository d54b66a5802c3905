//! Opening named pipes: an open waits until the other end is open too.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::{Pipe, PipeEnd};
use crate::Errno;
use crate::syscall::Resume;
use crate::task::Task;
use crate::vfs::{File, InodeKey, OpenFlags, Path};
use crate::wait::SharedQueue;

/// The pipes behind the fifos that are open, or being opened.
#[derive(Debug, Default)]
pub struct Fifos(Mutex<BTreeMap<InodeKey, Arc<Pipe>>>);

impl Fifos {
    fn pipe(&self, key: InodeKey) -> Arc<Pipe> {
        let mut pipes = self.0.lock();
        // Those that nobody has or wants any more.
        pipes.retain(|other, pipe| *other == key || !pipe.is_idle());
        pipes.entry(key).or_insert_with(Pipe::new).clone()
    }
}

impl Pipe {
    fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.readers + state.writers == 0 && self.openers.iter().all(|queue| queue.is_empty())
    }
}

/// What an open of a fifo came to.
#[derive(Debug)]
pub enum FifoOpen {
    /// It is open.
    Open(Arc<File>),
    /// The other end is not: this queue is woken when it is.
    Wait(SharedQueue),
}

/// Opens a fifo. `resume` holds, in its state, how often the other end had been opened when the call began, plus one.
pub fn open_fifo(task: &Arc<Task>, path: Path, flags: OpenFlags, resume: &mut Resume) -> Result<FifoOpen, Errno> {
    let vfs = task.kernel().vfs();
    let pipe = vfs.fifos().pipe(path.key());
    let both = flags.reads() && flags.writes();
    // Indexes: 0 are readers, 1 are writers.
    let (own, other) = if flags.reads() { (0, 1) } else { (1, 0) };
    let (there, opened) = {
        let state = pipe.state.lock();
        ([state.readers, state.writers][other] > 0, state.opened[other])
    };
    if resume.state == 0 {
        resume.state = opened + 1;
    }
    let came = there || resume.state != opened + 1 || !pipe.openers[other].is_empty();
    if !both && !came {
        if !flags.contains(OpenFlags::NONBLOCK) {
            return Ok(FifoOpen::Wait(pipe.openers[own].clone()));
        }
        if own == 1 {
            return Err(Errno::ENXIO);
        }
    }
    let end = PipeEnd::new(&pipe, flags);
    Ok(FifoOpen::Open(vfs.file(end, path, flags)?))
}
