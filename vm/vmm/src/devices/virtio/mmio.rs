//! The MMIO transport (virtio 1.2, 4.2): registers in front of one device.
//!
//! Interrupt status and acknowledgement, which every interrupt costs, take no lock; all else does, and so do the
//! device's events. A driver's breach of the protocol sets `DEVICE_NEEDS_RESET` and silences the device.
//!
//! A slot may be empty ([`Empty`]) and get a device while the guest runs, or lose it. Whoever waits for the device's
//! descriptors waits for none that is closed: what was in the slot lives until that thread has let go of it
//! ([`Transport::bury`]).

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bitflags::bitflags;
use virtio_queue::QueueT;
use vmm_sys_util::eventfd::EventFd;

use super::queue::Queues;
use super::{
    Device, Empty, Error, FEATURE_EVENT_INDEX, FEATURE_INDIRECT, FEATURE_VERSION_1, Interrupt, Invalid, Served, Source,
    TransportState,
};
use crate::memory::Memory;

const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION: u32 = 2;
const VENDOR: u32 = 0;

/// Where a driver says which queue has new chains; the hypervisor turns it into an event.
pub const NOTIFY: u64 = 0x50;
const INTERRUPT_STATUS: u64 = 0x60;
const INTERRUPT_ACK: u64 = 0x64;
const CONFIG: u64 = 0x100;

bitflags! {
    /// The status register (virtio 1.2, 2.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Status: u32 {
        /// The guest saw the device.
        const ACKNOWLEDGE = 1;
        /// It knows how to drive it.
        const DRIVER = 2;
        /// The driver is ready.
        const DRIVER_OK = 4;
        /// Features are agreed on.
        const FEATURES_OK = 8;
        /// The device gave up and wants a reset.
        const NEEDS_RESET = 64;
        /// The driver gave up.
        const FAILED = 128;
    }
}

/// One device with its registers.
pub struct Transport {
    interrupt: Arc<Interrupt>,
    doorbells: Arc<[EventFd]>,
    served: Served,
    failure: Arc<OnceLock<String>>,
    inner: Mutex<Inner>,
}

struct Inner {
    device: Box<dyn Device>,
    /// Counts what was in the slot.
    tenancy: u64,
    /// What was in it before and may still be waited for.
    gone: Vec<Box<dyn Device>>,
    queues: Queues,
    status: Status,
    device_features_select: u32,
    driver_features_select: u32,
    driver_features: u64,
    queue_select: usize,
    config_generation: u32,
    /// Shared with the transport, which looks at them without the lock.
    doorbells: Arc<[EventFd]>,
    failure: Arc<OnceLock<String>>,
}

impl Transport {
    /// Registers for `device`.
    pub fn new(device: Box<dyn Device>, memory: Memory) -> io::Result<Self> {
        let served = device.served();
        let interrupt = Arc::new(match served {
            Served::Here | Served::Apart => Interrupt::new()?,
            Served::Elsewhere => Interrupt::raised_elsewhere()?,
        });
        let queues = Queues::new(memory, device.queue_sizes(), interrupt.clone()).map_err(io::Error::other)?;
        let doorbell = |_: &u16| EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
        let doorbells: Arc<[EventFd]> = device.queue_sizes().iter().map(doorbell).collect::<io::Result<_>>()?;
        let failure = Arc::new(OnceLock::new());
        let inner = Mutex::new(Inner::new(device, queues, doorbells.clone(), failure.clone()));
        Ok(Transport { interrupt, doorbells, served, failure, inner })
    }

    /// Whether a device can come.
    pub fn is_empty(&self) -> bool {
        self.lock().device.id() == Empty::ID
    }

    /// Puts a device into an empty slot, or takes it out: then it is empty. Its driver has to be told.
    pub fn put(&self, device: Box<dyn Device>) -> io::Result<()> {
        let fits = device.served() == self.served && device.queue_sizes().len() <= self.doorbells.len();
        if !fits {
            return Err(io::Error::other("the slot is none for this device"));
        }
        self.lock().put(device).map_err(io::Error::other)?;
        // Who waits for this bell looks for other descriptors, too.
        self.ring(0);
        Ok(())
    }

    /// Counts what was in the slot.
    pub fn tenancy(&self) -> u64 {
        self.lock().tenancy
    }

    /// Nobody waits for descriptors of what was in the slot before.
    pub fn bury(&self) {
        let gone = std::mem::take(&mut self.lock().gone);
        drop(gone);
    }

    /// The device's interrupt.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// One event for each queue, signalled when the driver notifies it.
    pub fn doorbells(&self) -> &[EventFd] {
        &self.doorbells
    }

    /// Who waits for the doorbells.
    pub fn served(&self) -> Served {
        self.served
    }

    /// Why the machine cannot go on, if that is so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// The device's descriptors to wait on.
    pub fn sources(&self) -> Vec<Source> {
        self.lock().device.sources()
    }

    /// A load from the register page.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        match usize::try_from(offset.wrapping_sub(CONFIG)) {
            Ok(config) if offset >= CONFIG => self.lock().device.read_config(config, data),
            _ => {
                // Registers are read as aligned words only; anything else reads as 0.
                if let Ok(word) = <&mut [u8; 4]>::try_from(data) {
                    *word = self.register(offset).to_le_bytes();
                }
            }
        }
    }

    /// A store to the register page.
    pub fn write(&self, offset: u64, data: &[u8]) {
        match usize::try_from(offset.wrapping_sub(CONFIG)) {
            Ok(config) if offset >= CONFIG => self.lock().write_config(config, data),
            _ => {
                if let Ok(word) = <[u8; 4]>::try_from(data) {
                    self.set_register(offset, u32::from_le_bytes(word));
                }
            }
        }
    }

    /// A doorbell rang. One that rang before the driver was ready rings again then: Linux offers its balloon's first
    /// buffer for statistics before it says that it is ready.
    pub fn notified(&self, queue: usize) {
        let mut inner = self.lock();
        if !inner.status.contains(Status::DRIVER_OK) {
            return inner.queues.come_again(queue);
        }
        let unfinished = inner.with_active(|device, queues| device.notified(queue, queues));
        drop(inner);
        self.ring_again(&unfinished);
    }

    /// A source became readable. False when there is no driver, so that it stays so.
    pub fn ready(&self, token: u32) -> bool {
        let mut inner = self.lock();
        let is_active = inner.is_active();
        let unfinished = inner.with_active(|device, queues| device.ready(token, queues));
        drop(inner);
        self.ring_again(&unfinished);
        is_active
    }

    /// Brings what the driver asked for to its end, before the machine stands still.
    pub fn quiesce(&self) {
        let mut inner = self.lock();
        let unfinished = inner.with_active(|device, queues| device.quiesce(queues));
        drop(inner);
        self.ring_again(&unfinished);
    }

    /// The device itself, for requests of the machine's owner.
    pub fn with_device<T>(&self, act: impl FnOnce(&mut dyn Device, &mut Queues) -> T) -> T {
        let inner = &mut *self.lock();
        act(inner.device.as_mut(), &mut inner.queues)
    }

    /// The same for one kind of device; none if this is another.
    pub fn with_kind<D: Device, T>(&self, act: impl FnOnce(&mut D) -> T) -> Option<T> {
        self.with_device(|device, _| {
            let any: &mut dyn Any = device;
            any.downcast_mut().map(act)
        })
    }

    /// Tells the driver that the configuration is another.
    pub fn config_changed(&self) -> Result<(), Error> {
        let mut inner = self.lock();
        inner.config_generation = inner.config_generation.wrapping_add(1);
        drop(inner);
        self.interrupt.config_changed()
    }

    /// All of it for a snapshot, while no thread works on it; none if the device cannot be saved, as one cannot whose
    /// queues another process serves, or that came later.
    pub fn state(&self) -> Option<TransportState> {
        let inner = self.lock();
        let came_later = inner.tenancy > 0 && inner.device.id() != Empty::ID;
        if came_later || self.served == Served::Elsewhere {
            return None;
        }
        Some(TransportState {
            status: inner.status.bits(),
            interrupt: self.interrupt.status(),
            device_features_select: inner.device_features_select,
            driver_features_select: inner.driver_features_select,
            driver_features: inner.driver_features,
            queue_select: u32::try_from(inner.queue_select).unwrap_or(u32::MAX),
            config_generation: inner.config_generation,
            queues: inner.queues.state(),
            device: inner.device.state()?,
        })
    }

    /// Puts a new device into a snapshot's state.
    pub fn restore(&self, state: &TransportState) -> Result<(), Invalid> {
        self.interrupt.restore(state.interrupt);
        self.lock().restore(state)
    }

    /// Makes up for signals that were under way when the snapshot was taken: of the driver to the device and back.
    pub fn wake(&self) {
        (0..).zip(self.doorbells.iter()).for_each(|(queue, _)| self.ring(queue));
        self.repeat_interrupt();
    }

    /// Raises the line again if the driver has not acknowledged everything: its last edge may have been lost.
    pub fn repeat_interrupt(&self) {
        if let Err(error) = self.interrupt.repeat() {
            tracing::debug!("{error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, offset: u64) -> u32 {
        match offset {
            INTERRUPT_STATUS => self.interrupt.status(),
            _ => self.lock().register(offset),
        }
    }

    fn set_register(&self, offset: u64, value: u32) {
        match offset {
            // Only where the hypervisor has no doorbell for this queue, or the driver means none that there is.
            NOTIFY => self.ring(value),
            INTERRUPT_ACK => self.interrupt.acknowledge(value),
            _ => {
                let early = self.lock().set_register_and_activate(offset, value);
                self.ring_again(&early);
            }
        }
    }

    fn ring_again(&self, queues: &[usize]) {
        for queue in queues {
            self.ring(u32::try_from(*queue).unwrap_or(u32::MAX));
        }
    }

    fn ring(&self, queue: u32) {
        let bell = usize::try_from(queue).ok().and_then(|queue| self.doorbells.get(queue));
        if let Some(Err(error)) = bell.map(|bell| bell.write(1)) {
            tracing::debug!("queue {queue} cannot be notified: {error}");
        }
    }
}

impl Inner {
    fn new(device: Box<dyn Device>, queues: Queues, doorbells: Arc<[EventFd]>, failure: Arc<OnceLock<String>>) -> Self {
        Inner {
            doorbells,
            failure,
            device,
            tenancy: 0,
            gone: Vec::new(),
            queues,
            status: Status::empty(),
            device_features_select: 0,
            driver_features_select: 0,
            driver_features: 0,
            queue_select: 0,
            config_generation: 0,
        }
    }

    fn put(&mut self, device: Box<dyn Device>) -> Result<(), virtio_queue::Error> {
        self.reset();
        self.queues = self.queues.like(device.queue_sizes())?;
        self.gone.push(std::mem::replace(&mut self.device, device));
        self.tenancy += 1;
        Ok(())
    }

    fn offered(&self) -> u64 {
        self.device.features() | FEATURE_VERSION_1 | FEATURE_EVENT_INDEX | FEATURE_INDIRECT
    }

    fn register(&mut self, offset: u64) -> u32 {
        let queue = self.queues.registers(self.queue_select);
        match offset {
            0x00 => MAGIC,
            0x04 => VERSION,
            0x08 => self.device.id(),
            0x0c => VENDOR,
            0x10 => half(self.offered(), self.device_features_select),
            0x34 => queue.map_or(0, |queue| u32::from(queue.max_size())),
            0x44 => queue.map_or(0, |queue| u32::from(queue.ready())),
            0x70 => self.status.bits(),
            // No shared memory: its length reads as -1.
            0xb0 | 0xb4 => u32::MAX,
            0xfc => self.config_generation,
            _ => 0,
        }
    }

    fn set_register(&mut self, offset: u64, value: u32) {
        match offset {
            0x14 => self.device_features_select = value,
            0x24 => self.driver_features_select = value,
            0x20 if self.negotiating() => self.set_driver_features(value),
            0x30 => self.queue_select = usize::try_from(value).unwrap_or(usize::MAX),
            0x70 => self.set_status(Status::from_bits_retain(value)),
            _ if self.configuring() => self.set_queue_register(offset, value),
            _ => {}
        }
    }

    /// Queues whose doorbells rang before this store made the driver ready.
    fn set_register_and_activate(&mut self, offset: u64, value: u32) -> Vec<usize> {
        let was_ready = self.status.contains(Status::DRIVER_OK);
        self.set_register(offset, value);
        let is_ready = self.status.contains(Status::DRIVER_OK);
        if is_ready && !was_ready { self.queues.take_unfinished() } else { Vec::new() }
    }

    fn negotiating(&self) -> bool {
        self.status.contains(Status::DRIVER) && !self.status.contains(Status::FEATURES_OK)
    }

    fn configuring(&self) -> bool {
        self.status.contains(Status::FEATURES_OK) && !self.status.intersects(Status::DRIVER_OK | Status::FAILED)
    }

    fn set_driver_features(&mut self, value: u32) {
        let (value, other) = (u64::from(value), self.driver_features);
        match self.driver_features_select {
            0 => self.driver_features = (other & !u64::from(u32::MAX)) | value,
            1 => self.driver_features = (other & u64::from(u32::MAX)) | value << 32,
            _ => {}
        }
    }

    fn set_queue_register(&mut self, offset: u64, value: u32) {
        let Some(queue) = self.queues.registers(self.queue_select) else { return };
        match offset {
            0x38 => queue.set_size(u16::try_from(value).unwrap_or(0)),
            0x44 => queue.set_ready(value == 1),
            0x80 => queue.set_desc_table_address(Some(value), None),
            0x84 => queue.set_desc_table_address(None, Some(value)),
            0x90 => queue.set_avail_ring_address(Some(value), None),
            0x94 => queue.set_avail_ring_address(None, Some(value)),
            0xa0 => queue.set_used_ring_address(Some(value), None),
            0xa4 => queue.set_used_ring_address(None, Some(value)),
            _ => {}
        }
    }

    /// Bits are only added, one step after the other; 0 resets.
    fn set_status(&mut self, wanted: Status) {
        if wanted.is_empty() {
            return self.reset();
        }
        let added = wanted - self.status;
        if added.contains(Status::FEATURES_OK) && !self.features_are_acceptable() {
            self.status |= added - Status::FEATURES_OK - Status::DRIVER_OK;
            return;
        }
        self.status |= added & !Status::NEEDS_RESET;
        if added.contains(Status::DRIVER_OK) {
            self.activate();
        }
    }

    fn features_are_acceptable(&self) -> bool {
        self.driver_features & !self.offered() == 0 && self.driver_features & FEATURE_VERSION_1 != 0
    }

    fn activate(&mut self) {
        if !self.status.contains(Status::FEATURES_OK) || !self.queues.are_valid() {
            return self.give_up(&Error::Queue { queue: self.queue_select, reason: "rings lie outside of memory" });
        }
        if self.driver_features & FEATURE_EVENT_INDEX != 0 {
            self.queues.enable_event_index();
        }
        self.device.activate(self.driver_features);
        if let Err(error) = self.device.hand_over(self.driver_features, &mut self.queues, &self.doorbells) {
            self.give_up(&error);
        }
    }

    fn reset(&mut self) {
        self.status = Status::empty();
        self.driver_features = 0;
        self.queues.reset();
        self.queues.interrupt().reset();
        self.device.reset();
    }

    fn restore(&mut self, state: &TransportState) -> Result<(), Invalid> {
        self.status = Status::from_bits_retain(state.status);
        let unknown = state.driver_features & !self.offered();
        if self.status.contains(Status::FEATURES_OK) && unknown != 0 {
            return Err(Invalid::Features(unknown));
        }
        self.device_features_select = state.device_features_select;
        self.driver_features_select = state.driver_features_select;
        self.driver_features = state.driver_features;
        self.queue_select = usize::try_from(state.queue_select).unwrap_or(usize::MAX);
        self.config_generation = state.config_generation;
        self.queues.restore(&state.queues)?;
        if !self.is_active() {
            return self.device.restore(&state.device, None);
        }
        if !self.status.contains(Status::FEATURES_OK) || !self.queues.are_valid() {
            return Err(Invalid::Rings);
        }
        self.device.activate(self.driver_features);
        self.device.restore(&state.device, Some(&mut self.queues))
    }

    fn is_active(&self) -> bool {
        self.status.contains(Status::DRIVER_OK) && !self.status.intersects(Status::NEEDS_RESET | Status::FAILED)
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        if self.status.contains(Status::DRIVER) {
            self.device.write_config(offset, data);
        }
    }

    /// Lets the device work, if its driver is ready; queues that it has not finished.
    fn with_active(&mut self, act: impl FnOnce(&mut dyn Device, &mut Queues) -> Result<(), Error>) -> Vec<usize> {
        if !self.is_active() {
            return Vec::new();
        }
        if let Err(error) = act(self.device.as_mut(), &mut self.queues) {
            self.give_up(&error);
        }
        self.queues.take_unfinished()
    }

    fn give_up(&mut self, error: &Error) {
        tracing::warn!("virtio device {}: {error}; it waits for a reset", self.device.id());
        self.status |= Status::NEEDS_RESET;
        if let Error::Fatal(reason) = error {
            // The first stays.
            let _ = self.failure.set(reason.clone());
        }
        if let Err(error) = self.queues.interrupt().config_changed() {
            tracing::debug!("virtio device {}: {error}", self.device.id());
        }
    }
}

/// The low or high word; there is no third.
fn half(value: u64, select: u32) -> u32 {
    let word = match select {
        0 => value & u64::from(u32::MAX),
        1 => value >> 32,
        _ => 0,
    };
    u32::try_from(word).unwrap_or(0)
}

#[cfg(test)]
#[path = "mmio_tests.rs"]
mod tests;
