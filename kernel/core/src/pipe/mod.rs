//! Pipes and fifos (pipe(7), fifo(7)).
//!
//! A pipe's lock is held while bytes are copied from or to an application; nothing else is locked meanwhile.

mod end;
mod fifo;
mod inode;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::io::{Sink, Source};
use crate::ring::Ring;
use crate::vfs::PollEvents;
use crate::wait::SharedQueue;

pub use end::PipeEnd;
pub use fifo::{FifoOpen, Fifos, open_fifo};
pub use inode::open_pipe;

/// PIPE_BUF: what is written whole or not at all.
const ATOMIC_BYTES: usize = 4096;
/// What a new pipe holds.
const DEFAULT_BYTES: usize = 65_536;
/// Memory that an empty pipe keeps for what comes next.
const KEPT_BYTES: usize = DEFAULT_BYTES;
/// /proc/sys/fs/pipe-max-size
pub const CAPACITY_MAX: usize = 1 << 20;

/// What a new pipe holds when all together hold too much.
const SMALL_BYTES: usize = 8192;
/// /proc/sys/fs/pipe-user-pages-soft: what all pipes may hold before new ones are small and none grows. Linux counts by
/// user and lets privileged ones pass; here the memory is the sandbox's own, so everybody counts.
pub const ALL_PAGES_SOFT: usize = 16_384;

/// What all pipes can hold.
static ALL_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Room for a pipe; none when all have too much.
fn claim(bytes: usize) -> bool {
    let fits = ALL_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes <= ALL_PAGES_SOFT * 4096;
    if !fits {
        ALL_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }
    fits
}

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    state: Mutex<State>,
    /// Woken when bytes, room or ends come or go.
    queue: SharedQueue,
    /// Where opens of a fifo wait, for reading and for writing.
    openers: [SharedQueue; 2],
}

#[derive(Debug)]
struct State {
    bytes: Ring,
    /// Lengths of the packets in it, for a pipe that keeps them apart (O_DIRECT).
    packets: Option<VecDeque<usize>>,
    capacity: usize,
    readers: usize,
    writers: usize,
    /// How many ends for reading and for writing were ever opened.
    opened: [u64; 2],
}

impl Pipe {
    /// Empty and without ends.
    pub fn new() -> Arc<Self> {
        Self::build(None)
    }

    /// The same, with a mind for what was written at once (pipe2(2) O_DIRECT).
    pub fn of_packets() -> Arc<Self> {
        Self::build(Some(VecDeque::new()))
    }

    fn build(packets: Option<VecDeque<usize>>) -> Arc<Self> {
        let capacity = if claim(DEFAULT_BYTES) { DEFAULT_BYTES } else { SMALL_BYTES };
        if capacity == SMALL_BYTES {
            ALL_BYTES.fetch_add(SMALL_BYTES, Ordering::Relaxed);
        }
        let bytes = Ring::default();
        let state = State { bytes, packets, capacity, readers: 0, writers: 0, opened: [0; 2] };
        Arc::new(Self { state: Mutex::new(state), queue: SharedQueue::default(), openers: Default::default() })
    }

    /// Woken when something changes.
    pub fn queue(&self) -> &SharedQueue {
        &self.queue
    }

    /// Takes bytes out: 0 once it is empty and nobody writes.
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let count = self.state.lock().read(sink)?;
        if count > 0 {
            self.queue.wake_for(PollEvents::WRITABLE);
        }
        Ok(count)
    }

    /// Puts bytes in.
    pub fn write(&self, source: &mut dyn Source) -> Result<usize, Errno> {
        let no_memory = |errno| if errno == Errno::ENOBUFS { Errno::ENOMEM } else { errno };
        let count = self.state.lock().write(source).map_err(no_memory)?;
        if count > 0 {
            self.queue.wake_for(PollEvents::READABLE);
        }
        Ok(count)
    }

    /// Copies what is in it, without taking it out.
    pub fn peek(&self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        let state = self.state.lock();
        state.check_empty()?;
        state.bytes.copy_to(0, usize::MAX, sink)
    }

    /// Puts bytes back that were just taken out.
    pub fn unread(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        state.bytes.unread(bytes);
        if let Some(packets) = state.packets.as_mut().filter(|_| !bytes.is_empty()) {
            packets.push_front(bytes.len());
        }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.state.lock().bytes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it can take now.
    pub fn room(&self) -> usize {
        self.state.lock().room()
    }

    /// What it can hold (F_GETPIPE_SZ).
    pub fn capacity(&self) -> usize {
        self.state.lock().capacity
    }

    /// Changes that (F_SETPIPE_SZ) and says what it is: a power of two of pages. `EBUSY` when it holds more, `EPERM`
    /// when all pipes hold too much.
    pub fn set_capacity(&self, bytes: usize) -> Result<usize, Errno> {
        let capacity = bytes.max(ATOMIC_BYTES).checked_next_power_of_two().ok_or(Errno::EINVAL)?;
        {
            let mut state = self.state.lock();
            if state.bytes.len() > capacity {
                return Err(Errno::EBUSY);
            }
            match capacity.checked_sub(state.capacity) {
                Some(more) if more > 0 && !claim(more) => return Err(Errno::EPERM),
                Some(_) => {}
                None => {
                    ALL_BYTES.fetch_sub(state.capacity - capacity, Ordering::Relaxed);
                }
            }
            state.capacity = capacity;
        }
        self.queue.wake();
        Ok(capacity)
    }

    fn poll(&self, reads: bool, writes: bool, writers_before: u64) -> PollEvents {
        let state = self.state.lock();
        let mut events = PollEvents::empty();
        if reads {
            events.set(PollEvents::READABLE, !state.bytes.is_empty());
            events.set(PollEvents::HUP, state.writers == 0 && state.opened[1] != writers_before);
        }
        if writes {
            events.set(PollEvents::WRITABLE, state.room() >= ATOMIC_BYTES);
            events.set(PollEvents::ERR, state.readers == 0);
        }
        events
    }
}

impl Drop for State {
    fn drop(&mut self) {
        ALL_BYTES.fetch_sub(self.capacity, Ordering::Relaxed);
    }
}

impl State {
    /// `EAGAIN` when there is nothing yet.
    fn check_empty(&self) -> Result<(), Errno> {
        if self.bytes.is_empty() && self.writers > 0 { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// Bytes that it can take. Each packet takes a page.
    fn room(&self) -> usize {
        let taken = self.packets.as_ref().map_or(self.bytes.len(), |packets| packets.len() * ATOMIC_BYTES);
        self.capacity.saturating_sub(taken)
    }

    fn read(&mut self, sink: &mut dyn Sink) -> Result<usize, Errno> {
        self.check_empty()?;
        let packet = self.packets.as_ref().and_then(VecDeque::front).copied();
        let count = self.bytes.copy_to(0, packet.unwrap_or(usize::MAX), sink)?;
        // What of a packet had no room is lost.
        self.bytes.consume(packet.unwrap_or(count));
        self.packets.as_mut().and_then(VecDeque::pop_front);
        if self.bytes.is_empty() && self.bytes.size() > KEPT_BYTES {
            self.bytes.clear();
        }
        Ok(count)
    }

    fn write(&mut self, source: &mut dyn Source) -> Result<usize, Errno> {
        let len = source.remaining();
        if len == 0 {
            return Ok(0);
        }
        if self.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let room = self.room();
        if room == 0 || (len <= ATOMIC_BYTES && room < len) {
            return Err(Errno::EAGAIN);
        }
        let most = len.min(room);
        let Some(packets) = &mut self.packets else { return self.bytes.fill(source, most) };
        let mut done = 0;
        while done < most {
            match self.bytes.fill(source, (most - done).min(ATOMIC_BYTES)) {
                Ok(0) => break,
                Ok(count) => {
                    packets.push_back(count);
                    done += count;
                }
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(done)
    }
}
