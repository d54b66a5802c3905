//! Virtio devices (virtio 1.2) behind the MMIO transport.
//!
//! A device sees queues and guest memory, nothing else: not the transport, not the event loop, not the hypervisor. All
//! that comes out of a queue is hostile; [`queue::Queues`] checks what holds for every device, and a breach ends in
//! [`Error`], upon which the transport asks the driver for a reset and the device does nothing until then.

pub mod balloon;
pub mod block;
mod empty;
pub mod fs;
mod interrupt;
pub mod iovec;
pub mod limiter;
pub mod mmio;
pub mod net;
pub mod queue;
pub mod rng;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vsock;

use std::any::Any;
use std::os::fd::RawFd;

use vmm_sys_util::eventfd::EventFd;

pub use self::empty::Empty;
pub use self::interrupt::Interrupt;
use self::queue::Queues;
pub use self::state::{DeviceState, Invalid, RingState, TransportState};

/// Device numbers (virtio 1.2, 5).
pub mod id {
    /// Network card.
    pub const NET: u32 = 1;
    /// Block device.
    pub const BLOCK: u32 = 2;
    /// Entropy source.
    pub const ENTROPY: u32 = 4;
    /// Memory balloon.
    pub const BALLOON: u32 = 5;
    /// Sockets.
    pub const VSOCK: u32 = 19;
    /// File system.
    pub const FILE_SYSTEM: u32 = 26;
}

/// `VIRTIO_F_VERSION_1`: without it nothing works here.
pub const FEATURE_VERSION_1: u64 = 1 << 32;
/// `VIRTIO_RING_F_EVENT_IDX`.
pub const FEATURE_EVENT_INDEX: u64 = 1 << 29;
/// `VIRTIO_RING_F_INDIRECT_DESC`.
pub const FEATURE_INDIRECT: u64 = 1 << 28;

/// Why a device gave up on its driver.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The rings contradict themselves.
    #[error("queue {queue}: {reason}")]
    Queue {
        /// Which.
        queue: usize,
        /// In which way.
        reason: &'static str,
    },
    /// Interrupts cannot be raised any more.
    #[error("cannot raise the device's interrupt: {0}")]
    Interrupt(String),
    /// The host's side of the device is gone.
    #[error("{0}")]
    Host(String),
    /// The same, and the guest cannot go on without it.
    #[error("{0}")]
    Fatal(String),
}

/// A descriptor of the host that a device waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The descriptor; open as long as the device lives.
    pub fd: RawFd,
    /// What [`Device::ready`] is called with.
    pub token: u32,
    /// When it is called.
    pub mode: SourceMode,
}

/// When a source calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceMode {
    /// As long as it is readable.
    Level,
    /// When it becomes readable, for a device that may leave data waiting.
    Edge,
}

/// Who serves a device's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The device, in the thread of all.
    Here,
    /// The device, in a thread of its own, because it waits for the host.
    Apart,
    /// Another process, which gets the queues when the driver is ready.
    Elsewhere,
}

/// One device. Its owner reaches what only one kind has by its type.
pub trait Device: Any + Send {
    /// Its number.
    fn id(&self) -> u32;
    /// Features beside those of the transport.
    fn features(&self) -> u64;
    /// The largest size of each queue.
    fn queue_sizes(&self) -> &[u16];
    /// The guest reads configuration space; bytes beyond its end stay 0.
    fn read_config(&self, offset: usize, data: &mut [u8]);
    /// The guest writes configuration space.
    fn write_config(&mut self, offset: usize, data: &[u8]) {
        let _ = (offset, data);
    }
    /// The driver is ready, with these features.
    fn activate(&mut self, features: u64) {
        let _ = features;
    }
    /// Who serves the queues.
    fn served(&self) -> Served {
        Served::Here
    }
    /// The driver is ready: gives the queues to those who serve them elsewhere, with one doorbell for each.
    fn hand_over(&mut self, features: u64, queues: &mut Queues, doorbells: &[EventFd]) -> Result<(), Error> {
        let _ = (features, queues, doorbells);
        Ok(())
    }
    /// The driver let go of the device: what it asked for is over when this returns.
    fn reset(&mut self) {}
    /// The machine is about to stand still: what the driver asked for is to be over, and given back.
    fn quiesce(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let _ = queues;
        Ok(())
    }
    /// The driver put buffers into a queue.
    fn notified(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error>;
    /// What a snapshot keeps beside configuration, registers and queues; none where it cannot be saved.
    fn state(&self) -> Option<DeviceState> {
        Some(DeviceState::Plain)
    }
    /// Takes over what [`Device::state`] told of the device in whose place this one is. If its driver was ready, then
    /// `queues` are as it left them and [`Device::activate`] was called; else there are none to use.
    fn restore(&mut self, state: &DeviceState, queues: Option<&mut Queues>) -> Result<(), Invalid> {
        let _ = queues;
        if *state == DeviceState::Plain { Ok(()) } else { Err(Invalid::Kind) }
    }
    /// Descriptors to wait on.
    fn sources(&self) -> Vec<Source> {
        Vec::new()
    }
    /// A source is readable.
    fn ready(&mut self, token: u32, queues: &mut Queues) -> Result<(), Error> {
        let _ = (token, queues);
        Ok(())
    }
}

/// Copies the part of `config` that a read of configuration space covers.
pub fn copy_config(config: &[u8], offset: usize, data: &mut [u8]) {
    let part = config.get(offset..).unwrap_or_default();
    for (to, from) in data.iter_mut().zip(part) {
        *to = *from;
    }
}
