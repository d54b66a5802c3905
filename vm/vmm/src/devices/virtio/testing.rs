//! A driver's side of queues in plain memory, for tests and fuzz targets.

use std::sync::Arc;

use virtio_queue::QueueT;
use vm_memory::{Bytes, GuestAddress};

use super::Interrupt;
use super::queue::Queues;
use crate::hypervisor::DirtyLog;
use crate::memory::{self, Memory};

const QUEUE_SPACE: u64 = 0x4000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
/// Where data may lie without touching a ring of the first three queues.
pub const DATA: u64 = 0x1_0000;
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// One descriptor: address and length.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// For the device to read.
    Read(u64, u32),
    /// For the device to write.
    Write(u64, u32),
}

/// A driver with 2 MiB of memory and queues of at most 256 entries.
pub struct Driver {
    /// What the device is given.
    pub queues: Queues,
    memory: Memory,
    descriptors: Vec<u16>,
    available: Vec<u16>,
    used: Vec<u16>,
}

impl Driver {
    /// Ready queues of these sizes.
    pub fn new(sizes: &[u16]) -> Self {
        Self::with_memory(sizes, memory::anonymous(2, DirtyLog::Off).expect("memory"))
    }

    /// The same in memory that can be shared.
    pub fn shared(sizes: &[u16]) -> Self {
        Self::with_memory(sizes, memory::shared(2, DirtyLog::Off).expect("memory"))
    }

    fn with_memory(sizes: &[u16], memory: Memory) -> Self {
        let interrupt = Arc::new(Interrupt::new().expect("event"));
        let mut queues = Queues::new(memory.clone(), sizes, interrupt).expect("sizes");
        for index in 0..sizes.len() {
            let base = u32::try_from(index).expect("few") * u32::try_from(QUEUE_SPACE).expect("small");
            let ring = queues.registers(index).expect("queue");
            ring.set_desc_table_address(Some(base), Some(0));
            ring.set_avail_ring_address(Some(base + 0x2000), Some(0));
            ring.set_used_ring_address(Some(base + 0x3000), Some(0));
            ring.set_ready(true);
        }
        assert!(queues.are_valid());
        let none = vec![0; sizes.len()];
        Driver { queues, memory, descriptors: none.clone(), available: none.clone(), used: none }
    }

    fn base(queue: usize) -> u64 {
        queue as u64 * QUEUE_SPACE
    }

    /// Writes a descriptor as it is.
    pub fn descriptor(&mut self, queue: usize, index: u16, (address, len): (u64, u32), flags: u16, next: u16) {
        let at = Self::base(queue) + 16 * u64::from(index);
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.write(at, &bytes);
    }

    /// Makes a chain available by its head.
    pub fn offer(&mut self, queue: usize, head: u16) {
        let ring = Self::base(queue) + AVAILABLE;
        let index = self.available[queue];
        self.write(ring + 4 + 2 * u64::from(index % 256), &head.to_le_bytes());
        self.available[queue] = index.wrapping_add(1);
        self.write(ring + 2, &index.wrapping_add(1).to_le_bytes());
    }

    /// Adds a chain of `parts`; heads are numbered by descriptors, from 0.
    pub fn add(&mut self, queue: usize, parts: &[Part]) -> u16 {
        let head = self.descriptors[queue];
        for (index, part) in (head..).zip(parts) {
            let last = usize::from(index - head) + 1 == parts.len();
            let (place, write) = match *part {
                Part::Read(address, len) => ((address, len), 0),
                Part::Write(address, len) => ((address, len), WRITE),
            };
            self.descriptor(queue, index, place, write | if last { 0 } else { NEXT }, index + 1);
        }
        self.descriptors[queue] += u16::try_from(parts.len()).expect("few");
        self.offer(queue, head);
        head
    }

    /// Chains that came back since the last time: head, and length written.
    pub fn used(&mut self, queue: usize) -> Vec<(u16, u32)> {
        let ring = Self::base(queue) + USED;
        let end: u16 = self.memory.read_obj(GuestAddress(ring + 2)).expect("index");
        let mut used = Vec::new();
        while self.used[queue] != end {
            let at = ring + 4 + 8 * u64::from(self.used[queue] % 256);
            let (head, len): (u32, u32) = (self.read_word(at), self.read_word(at + 4));
            used.push((u16::try_from(head).expect("an index"), len));
            self.used[queue] = self.used[queue].wrapping_add(1);
        }
        used
    }

    /// Writes guest memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(address)).expect("inside of memory");
    }

    /// Reads guest memory.
    pub fn read(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).expect("inside of memory");
        bytes
    }

    /// Whether the device raised its interrupt since the last time.
    pub fn interrupted(&mut self) -> bool {
        let interrupt = self.queues.interrupt();
        let raised = interrupt.status() != 0;
        interrupt.acknowledge(u32::MAX);
        raised
    }

    fn read_word(&self, address: u64) -> u32 {
        self.memory.read_obj(GuestAddress(address)).expect("inside of memory")
    }
}
