//! Counters as files (eventfd(2)).

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::io::{Sink, Source};
use crate::vfs::{FileObject, PollEvents, Seeking, WriteAt, Written};
use crate::wait::SharedQueue;

/// The most that a counter holds.
const MAX: u64 = u64::MAX - 1;

/// What a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// All of it.
    All,
    /// One (EFD_SEMAPHORE).
    One,
}

/// The numbers of counters, which fdinfo tells: the lowest that is free.
#[derive(Debug, Default)]
pub struct Ids(Mutex<Free>);

#[derive(Debug, Default)]
struct Free {
    /// Those that were given back.
    below: BTreeSet<u32>,
    next: u32,
}

impl Ids {
    fn take(&self) -> u32 {
        let mut free = self.0.lock();
        free.below.pop_first().unwrap_or_else(|| {
            free.next += 1;
            free.next - 1
        })
    }

    fn give_back(&self, id: u32) {
        let mut free = self.0.lock();
        free.below.insert(id);
        // The table is no longer than who lives needs.
        while free.next.checked_sub(1).is_some_and(|last| free.below.remove(&last)) {
            free.next -= 1;
        }
    }
}

/// A counter.
#[derive(Debug)]
pub struct EventFd {
    id: u32,
    ids: Arc<Ids>,
    count: Mutex<u64>,
    taking: Taking,
    queue: SharedQueue,
}

impl EventFd {
    /// With a first value.
    pub fn new(count: u64, taking: Taking, ids: &Arc<Ids>) -> Self {
        Self { id: ids.take(), ids: ids.clone(), count: Mutex::new(count), taking, queue: SharedQueue::default() }
    }

    /// Adds one, for the kernel; a full counter stays full.
    pub fn signal(&self) {
        if self.add(1).is_ok() {
            self.queue.wake_for(PollEvents::READABLE);
        }
    }

    fn take(&self) -> Result<u64, Errno> {
        let mut count = self.count.lock();
        let taken = match (*count, self.taking) {
            (0, _) => return Err(Errno::EAGAIN),
            (_, Taking::One) => 1,
            (all, Taking::All) => all,
        };
        *count -= taken;
        Ok(taken)
    }

    fn add(&self, value: u64) -> Result<(), Errno> {
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        let mut count = self.count.lock();
        *count = count.checked_add(value).filter(|sum| *sum <= MAX).ok_or(Errno::EAGAIN)?;
        Ok(())
    }
}

impl FileObject for EventFd {
    fn describe(&self) -> String {
        let one = u8::from(self.taking == Taking::One);
        let (count, id) = (*self.count.lock(), self.id);
        alloc::format!("eventfd-count: {count:>16x}\neventfd-id: {id}\neventfd-semaphore: {one}\n")
    }

    fn seeking(&self) -> Seeking {
        Seeking::OnlyIgnored
    }

    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let value = self.take()?;
        self.queue.wake_for(PollEvents::WRITABLE);
        sink.put(&value.to_le_bytes())
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        let mut bytes = [0; 8];
        if source.remaining() < bytes.len() {
            return Err(Errno::EINVAL);
        }
        if source.take(&mut bytes)? < bytes.len() {
            return Err(Errno::EFAULT);
        }
        self.add(u64::from_le_bytes(bytes))?;
        self.queue.wake_for(PollEvents::READABLE);
        Ok(Written { count: bytes.len(), end: 0 })
    }

    fn poll(&self) -> PollEvents {
        let count = *self.count.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::IN, count > 0);
        events.set(PollEvents::OUT, count < MAX);
        events
    }

    fn queue(&self) -> Option<SharedQueue> {
        Some(self.queue.clone())
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        self.ids.give_back(self.id);
    }
}
