//! Asynchronous I/O contexts (io_setup(2)): completed requests that nobody has asked for yet.
//!
//! Files are in memory, so a request is carried out while it is submitted, as Linux does for files without direct I/O.

use alloc::collections::VecDeque;

use stockade_kernel_sync::Mutex;

use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder};
use crate::wait::SharedQueue;

/// A completed request: `struct io_event`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AioEvent {
    /// What the application wrote into the request.
    pub data: u64,
    /// Where the request lies.
    pub request: u64,
    /// What it returned, or an errno below zero.
    pub result: i64,
}

impl Abi for AioEvent {
    const LEN: usize = 32;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let event = Self { data: from.take(), request: from.take(), result: from.take() };
        from.skip(8);
        event
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.data).put(self.request).put(self.result).zeros(8);
    }
}

/// A context.
#[derive(Debug)]
pub struct AioContext {
    events_max: usize,
    events: Mutex<VecDeque<AioEvent>>,
    queue: SharedQueue,
}

impl AioContext {
    /// With room for so many events.
    pub fn new(events_max: usize) -> Self {
        Self { events_max, events: Mutex::default(), queue: SharedQueue::default() }
    }

    /// How many events there is room for.
    pub fn events_max(&self) -> usize {
        self.events_max
    }

    /// `EAGAIN` when no further request can be taken.
    pub fn check_room(&self) -> Result<(), Errno> {
        if self.events.lock().len() < self.events_max { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// A request is completed.
    pub fn complete(&self, event: AioEvent) {
        self.events.lock().push_back(event);
        self.queue.wake();
    }

    /// Takes up to `count` events, the oldest first.
    pub fn take(&self, count: usize) -> alloc::vec::Vec<AioEvent> {
        let mut events = self.events.lock();
        let count = count.min(events.len());
        events.drain(..count).collect()
    }

    /// Events that wait.
    pub fn len(&self) -> usize {
        self.events.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Woken by events and by the end of the context.
    pub fn queue(&self) -> &SharedQueue {
        &self.queue
    }
}
