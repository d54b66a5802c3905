//! Devices that come and go while the machine runs.
//!
//! A virtio-mmio machine has its slots from the start: the guest reads of them in its tables. One that is empty shows a
//! device of number 0, which costs three exits at boot (magic, version, number) and is all that it costs: interrupt
//! line and doorbells are there, so that a device comes and goes without a call to the hypervisor. Weighed against it
//! were devices that wait from the start (forty exits each, and nobody knows of which kind), and ACPI's own way of
//! telling of a new device (for which Linux has no handler here). What is put in before the guest looks is to it like
//! any other device. Later somebody in the guest has to ask its driver to look again.

use super::Machine;
use super::platform::Plugged;
use crate::config::IoEngine;
use crate::devices::virtio::block::{Block, Disk};
use crate::devices::virtio::limiter::Limiter;
use crate::devices::virtio::{Device, Empty};

/// A slot that has a device which came later.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// Why a device cannot come.
#[derive(Debug, thiserror::Error)]
pub enum PlugError {
    /// No slot is empty.
    #[error("the machine has no empty slot for one more device")]
    Full,
    /// The device cannot be made.
    #[error("cannot set up a device: {0}")]
    Device(#[from] std::io::Error),
}

impl Machine {
    /// Puts a disk into an empty slot. Those that come share a thread, which waits for one request at a time: rings of
    /// io_uring are for those that are there when the machine is built.
    pub fn plug_disk(&self, disk: Disk) -> Result<Slot, PlugError> {
        self.plug(Box::new(Block::new(disk, Limiter::new(None)?, IoEngine::Sync)))
    }

    /// Takes a device out again, whether its driver has let go of it or not.
    pub fn unplug(&self, slot: Slot) -> Result<(), PlugError> {
        let Some(Plugged { transport, .. }) = self.platform.virtio.get(slot.0) else { return Ok(()) };
        Ok(transport.put(Box::new(Empty::kept_for(transport.served())))?)
    }

    /// Whoever owns the machine plugs from one thread, so that a slot which is empty stays so.
    fn plug(&self, device: Box<dyn Device>) -> Result<Slot, PlugError> {
        let fits = |plugged: &Plugged| plugged.transport.is_empty() && plugged.transport.served() == device.served();
        let index = self.platform.virtio.iter().position(fits);
        let index = index.ok_or(PlugError::Full)?;
        self.platform.virtio[index].transport.put(device)?;
        Ok(Slot(index))
    }
}
