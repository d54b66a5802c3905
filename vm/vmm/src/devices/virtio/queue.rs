//! Queues as devices see them: whole chains that were checked, or an error.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use super::{Error, Interrupt, Invalid, RingState};
use crate::memory::Memory;

/// After so many chains a device lets others of its thread have their turn, whatever its driver goes on to offer.
pub const ROUND: usize = 256;

/// A piece of guest memory; wholly inside, because a [`Chain`] was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub address: GuestAddress,
    /// Its length.
    pub len: u32,
}

/// A descriptor chain: what the device reads, then what it writes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Names the chain when it is given back.
    pub head: u16,
    /// From the driver.
    pub readable: Vec<Span>,
    /// For the driver.
    pub writable: Vec<Span>,
}

impl Chain {
    /// Bytes that the driver offers to read; chains longer than 4 GiB do not pass.
    pub fn readable_len(&self) -> u32 {
        self.readable.iter().map(|span| span.len).sum()
    }

    /// Bytes that the driver takes.
    pub fn writable_len(&self) -> u32 {
        self.writable.iter().map(|span| span.len).sum()
    }

    /// Reads from the front of the readable part; fewer bytes where there are fewer.
    pub fn read(&self, memory: &Memory, skip: u32, data: &mut [u8]) -> usize {
        copy(&self.readable, skip, data.len(), |span, from, to| {
            memory.read_slice(&mut data[from..to], span.address).is_ok()
        })
    }

    /// Writes to the writable part from `skip` on; as much as fits.
    pub fn write(&self, memory: &Memory, skip: u32, data: &[u8]) -> usize {
        copy(&self.writable, skip, data.len(), |span, from, to| {
            memory.write_slice(&data[from..to], span.address).is_ok()
        })
    }
}

/// Walks `spans` after `skip` bytes, calling `copy` for each piece with its range of the buffer, up to `len` bytes.
fn copy(spans: &[Span], skip: u32, len: usize, mut copy: impl FnMut(Span, usize, usize) -> bool) -> usize {
    let mut done = 0;
    for span in slice(spans, skip, u32::try_from(len).unwrap_or(u32::MAX)) {
        let end = done + usize::try_from(span.len).unwrap_or(usize::MAX);
        if !copy(span, done, end) {
            break;
        }
        done = end;
    }
    done
}

/// The part of `spans` after `skip` bytes, at most `len` bytes long.
pub fn slice(spans: &[Span], mut skip: u32, mut len: u32) -> impl Iterator<Item = Span> {
    spans.iter().filter_map(move |span| {
        let hidden = skip.min(span.len);
        skip -= hidden;
        let shown = (span.len - hidden).min(len);
        len -= shown;
        // Inside a checked span, so that the sum cannot overflow.
        (shown > 0).then(|| Span { address: GuestAddress(span.address.0 + u64::from(hidden)), len: shown })
    })
}

/// All queues of an active device, with the memory they lie in.
pub struct Queues {
    memory: Memory,
    queues: Vec<Queue>,
    interrupt: Arc<Interrupt>,
    unfinished: Vec<usize>,
}

impl Queues {
    /// Queues of these largest sizes.
    pub fn new(memory: Memory, sizes: &[u16], interrupt: Arc<Interrupt>) -> Result<Self, virtio_queue::Error> {
        let queues = sizes.iter().map(|size| Queue::new(*size)).collect::<Result<_, _>>()?;
        Ok(Queues { memory, queues, interrupt, unfinished: Vec::new() })
    }

    /// New ones of other sizes, in the same memory, with the same interrupt.
    pub fn like(&self, sizes: &[u16]) -> Result<Self, virtio_queue::Error> {
        Self::new(self.memory.clone(), sizes, self.interrupt.clone())
    }

    /// Guest memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The device's interrupt.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// A queue's registers, for the transport.
    pub fn registers(&mut self, queue: usize) -> Option<&mut Queue> {
        self.queues.get_mut(queue)
    }

    /// Notes that a queue has more to do after the others had their turn.
    pub fn come_again(&mut self, queue: usize) {
        if !self.unfinished.contains(&queue) {
            self.unfinished.push(queue);
        }
    }

    /// Queues that have more to do.
    pub fn take_unfinished(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.unfinished)
    }

    /// Whether all rings of all ready queues lie in memory.
    pub fn are_valid(&self) -> bool {
        self.queues.iter().all(|queue| !queue.ready() || queue.is_valid(&self.memory))
    }

    /// Queues for a snapshot.
    pub fn state(&self) -> Vec<RingState> {
        self.queues.iter().map(RingState::of).collect()
    }

    /// A snapshot's queues in place of these, if they could be these.
    pub fn restore(&mut self, rings: &[RingState]) -> Result<(), Invalid> {
        if rings.len() != self.queues.len() {
            return Err(Invalid::Queues);
        }
        let restored = self.queues.iter().zip(rings).map(|(queue, ring)| ring.queue(queue.max_size()));
        self.queues = restored.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Back to the state before the driver came.
    pub fn reset(&mut self) {
        self.queues.iter_mut().for_each(QueueT::reset);
        self.unfinished.clear();
    }

    /// Lets the driver and the device say from which index on they want to hear of each other.
    pub fn enable_event_index(&mut self) {
        for queue in &mut self.queues {
            queue.set_event_idx(true);
        }
    }

    /// The next chain; a queue that the driver does not use has none.
    pub fn pop(&mut self, queue: usize, chain: &mut Chain) -> Result<bool, Error> {
        let bad = |reason| Error::Queue { queue, reason };
        let Some(ring) = self.queues.get_mut(queue).filter(|ring| ring.ready()) else { return Ok(false) };
        let mut available = ring.iter(&self.memory).map_err(|_| bad("the available ring cannot be read"))?;
        let Some(descriptors) = available.next() else {
            return Ok(false);
        };
        chain.head = descriptors.head_index();
        fill(chain, descriptors, &self.memory).map_err(bad)?;
        Ok(true)
    }

    /// Puts the chain last popped back, so that it is popped again.
    pub fn unpop(&mut self, queue: usize) {
        if let Some(ring) = self.queues.get_mut(queue) {
            ring.go_to_previous_position();
        }
    }

    /// Gives a chain back, with the number of bytes written into it.
    pub fn push(&mut self, queue: usize, head: u16, written: u32) -> Result<(), Error> {
        let Some(ring) = self.queues.get_mut(queue) else { return Ok(()) };
        let added = ring.add_used(&self.memory, head, written);
        added.map_err(|_| Error::Queue { queue, reason: "the used ring cannot be written" })
    }

    /// Asks the driver to be quiet while the queue is being served.
    pub fn quiet(&mut self, queue: usize) -> Result<(), Error> {
        let Some(ring) = self.queues.get_mut(queue).filter(|ring| ring.ready()) else { return Ok(()) };
        let asked = ring.disable_notification(&self.memory);
        asked.map_err(|_| Error::Queue { queue, reason: "the used ring cannot be written" })
    }

    /// Asks the driver to tell of new chains again; true if some came meanwhile.
    pub fn listen(&mut self, queue: usize) -> Result<bool, Error> {
        let Some(ring) = self.queues.get_mut(queue).filter(|ring| ring.ready()) else { return Ok(false) };
        let asked = ring.enable_notification(&self.memory);
        asked.map_err(|_| Error::Queue { queue, reason: "the rings cannot be accessed" })
    }

    /// Interrupts the driver for what was pushed, if it wants to hear of it.
    pub fn interrupt_for(&mut self, queue: usize) -> Result<(), Error> {
        let Some(ring) = self.queues.get_mut(queue).filter(|ring| ring.ready()) else { return Ok(()) };
        let wanted = ring.needs_notification(&self.memory);
        if wanted.map_err(|_| Error::Queue { queue, reason: "the available ring cannot be read" })? {
            self.interrupt.used()?;
        }
        Ok(())
    }

    /// How many chains the driver has put into a queue that were not popped.
    pub fn available(&self, queue: usize) -> usize {
        let Some(ring) = self.queues.get(queue).filter(|ring| ring.ready()) else { return 0 };
        let index = ring.avail_idx(&self.memory, Ordering::Acquire).map_or(ring.next_avail(), |index| index.0);
        usize::from(index.wrapping_sub(ring.next_avail()))
    }

    /// Serves all chains of a queue with `serve`, which says how much it wrote, then interrupts once. `None` puts the
    /// chain back and ends the round: the device comes again when it can.
    pub fn serve(
        &mut self,
        queue: usize,
        chain: &mut Chain,
        mut serve: impl FnMut(&Memory, &Chain) -> Option<u32>,
    ) -> Result<(), Error> {
        let mut served = 0;
        loop {
            self.quiet(queue)?;
            while self.pop(queue, chain)? {
                if served == ROUND {
                    self.unpop(queue);
                    self.come_again(queue);
                    return self.interrupt_for(queue);
                }
                served += 1;
                let Some(written) = serve(&self.memory, chain) else {
                    self.unpop(queue);
                    return self.interrupt_for(queue);
                };
                self.push(queue, chain.head, written)?;
            }
            if !self.listen(queue)? {
                return self.interrupt_for(queue);
            }
        }
    }
}

/// Collects a chain's descriptors. A chain that the iterator broke off (a loop, an index or a table outside, a nested
/// table) still has a "next" in its last descriptor, or has none at all.
fn fill(
    chain: &mut Chain,
    descriptors: virtio_queue::DescriptorChain<&Memory>,
    memory: &Memory,
) -> Result<(), &'static str> {
    chain.readable.clear();
    chain.writable.clear();
    let mut complete = false;
    for descriptor in descriptors {
        complete = !descriptor.has_next();
        let span = Span { address: descriptor.addr(), len: descriptor.len() };
        let len = usize::try_from(span.len).map_err(|_| "a descriptor is too long")?;
        if len > 0 && !memory.check_range(span.address, len) {
            return Err("a descriptor points outside of memory");
        }
        match descriptor.is_write_only() {
            true => chain.writable.push(span),
            false if chain.writable.is_empty() => chain.readable.push(span),
            false => return Err("a readable descriptor follows a writable one"),
        }
    }
    if complete { Ok(()) } else { Err("a descriptor chain has no end") }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
