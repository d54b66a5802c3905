//! All devices of one machine, and the way from an exit to the right one.

use std::sync::Arc;

use vmm_sys_util::eventfd::EventFd;

use super::Outcome;
use super::control::Control;
use super::io_apic::IoApic;
use super::statistics::{Phase, Place, Statistics};
use crate::boot::acpi::VirtioSlot;
use crate::devices::serial::Port;
use crate::devices::virtio::Device;
use crate::devices::virtio::mmio::Transport;
use crate::devices::{AddressPort, BootTimer, Keyboard, PowerRequest, power_request};
use crate::hypervisor::Bus;
use crate::memory::layout;

/// A virtio device in its place.
pub struct Plugged {
    /// Its registers and itself.
    pub transport: Arc<Transport>,
    /// Where it is.
    pub slot: VirtioSlot,
    /// Its name in the configuration.
    pub name: String,
}

/// What the guest can reach.
pub struct Platform {
    /// COM1.
    pub serial: Option<Port>,
    /// Where the host presses keys.
    pub keyboard: Option<Keyboard>,
    /// What is left of PCI.
    pub pci: AddressPort,
    /// Whose pins the lines are.
    pub io_apic: IoApic,
    /// Where the guest hears that it was restored.
    pub restored: Option<EventFd>,
    /// Ends the measurement of a boot.
    pub timer: BootTimer,
    /// In order of their slots.
    pub virtio: Vec<Plugged>,
    /// Counts.
    pub statistics: Statistics,
    /// Where requests for power go.
    pub control: Arc<Control>,
}

impl Platform {
    fn transport(&self, address: u64) -> Option<(&Transport, u64)> {
        let offset = address.checked_sub(layout::VIRTIO_START)?;
        let index = usize::try_from(offset / layout::VIRTIO_LEN).ok()?;
        self.virtio.get(index).map(|plugged| (plugged.transport.as_ref(), offset % layout::VIRTIO_LEN))
    }

    /// The device of this kind with this name: a drive and an interface may share one.
    pub fn named<D: Device>(&self, name: &str) -> Option<&Transport> {
        let is_it = |plugged: &&Plugged| plugged.name == name && plugged.transport.with_kind(|_: &mut D| ()).is_some();
        self.virtio.iter().find(is_it).map(|plugged| plugged.transport.as_ref())
    }

    fn count(&self, place: Place) {
        if !self.statistics.count(place) {
            return;
        }
        match place {
            Place::Serial => self.statistics.mark(Phase::FirstOutput),
            Place::Virtio => self.statistics.mark(Phase::FirstDevice),
            Place::IoApic | Place::OtherPort | Place::OtherAddress => {}
        }
    }

    /// Nothing drives the bus but the keyboard controller, whose reset is served also where there is no keyboard: it is
    /// ready for a command.
    fn other_port(&self, port: u16) -> u8 {
        match (port, &self.keyboard) {
            (layout::KEYBOARD_COMMAND_PORT, Some(keyboard)) => keyboard.status(),
            (layout::KEYBOARD_COMMAND_PORT, None) => 0,
            (layout::KEYBOARD_DATA_PORT, Some(keyboard)) => keyboard.data(),
            _ => 0xff,
        }
    }

    fn power(&self, request: PowerRequest) {
        self.control.end(match request {
            PowerRequest::Reset => Outcome::Reset,
            PowerRequest::Off => Outcome::Off,
        });
    }

    /// Ends the machine if this device says that it cannot go on.
    pub fn look_at(&self, transport: &Transport) {
        if let Some(reason) = transport.failure() {
            self.control.end(Outcome::Failed(reason.to_owned()));
        }
    }

    /// A store to the I/O APIC.
    fn set_io_apic(&self, offset: u64, data: &[u8]) {
        match self.io_apic.write(offset, data) {
            Ok(unmasked) => unmasked.into_iter().for_each(|line| self.repeat(line)),
            Err(error) => self.control.end(Outcome::Failed(error.to_string())),
        }
    }

    /// Raises a line again if the reason for it holds: its edge may have come while its pin was masked. That the guest
    /// was restored holds for ever, and is heard without harm.
    fn repeat(&self, line: u32) {
        match line {
            layout::SERIAL_GSI => self.serial.iter().for_each(Port::repeat),
            layout::KEYBOARD_GSI => self.keyboard.iter().for_each(Keyboard::repeat),
            layout::EVENT_GSI => self.announce_restore(),
            _ => {
                let plugged = self.virtio.iter().find(|plugged| plugged.slot.gsi() == line);
                plugged.into_iter().for_each(|plugged| plugged.transport.repeat_interrupt());
            }
        }
    }

    /// Tells the guest that it was restored, if it was.
    pub fn announce_restore(&self) {
        if let Some(Err(error)) = self.restored.as_ref().map(|event| event.write(1)) {
            tracing::error!("cannot tell the guest that it was restored: {error}");
        }
    }

    fn booted(&self, data: &[u8]) {
        if let Some(elapsed) = self.timer.write(data) {
            self.statistics.mark(Phase::Booted);
            tracing::debug!("booted in {elapsed:?}:\n{}", self.statistics);
        }
    }
}

fn io_apic_offset(address: u64) -> Option<u64> {
    address.checked_sub(u64::from(layout::IO_APIC)).filter(|offset| *offset < layout::IO_APIC_LEN)
}

impl Bus for Platform {
    fn port_read(&self, port: u16, data: &mut [u8]) {
        match (Port::register(port), &self.serial, &mut *data) {
            (Some(register), Some(serial), [value]) => {
                self.count(Place::Serial);
                *value = serial.read(register);
            }
            _ => {
                self.count(Place::OtherPort);
                tracing::trace!("read of port {port:#x}");
                match self.pci.read(port, data.len()) {
                    Some(value) => data.copy_from_slice(&value),
                    None => data.fill(self.other_port(port)),
                }
            }
        }
    }

    fn port_write(&self, port: u16, data: &[u8]) {
        match (Port::register(port), &self.serial, data) {
            (Some(register), Some(serial), [value]) => {
                self.count(Place::Serial);
                serial.write(register, *value);
            }
            _ => {
                self.count(Place::OtherPort);
                tracing::trace!("write of {data:?} to port {port:#x}");
                if self.pci.write(port, data) {
                    return;
                }
                match (power_request(port, data), &self.keyboard, port, data) {
                    (Some(request), ..) => self.power(request),
                    (_, Some(keyboard), layout::KEYBOARD_COMMAND_PORT, [command]) => keyboard.command(*command),
                    (_, Some(keyboard), layout::KEYBOARD_DATA_PORT, [byte]) => keyboard.set_data(*byte),
                    _ => {}
                }
            }
        }
    }

    fn mmio_read(&self, address: u64, data: &mut [u8]) {
        match (self.transport(address), io_apic_offset(address)) {
            (Some((transport, offset)), _) => {
                self.count(Place::Virtio);
                transport.read(offset, data);
            }
            (None, Some(offset)) => {
                self.count(Place::IoApic);
                self.io_apic.read(offset, data);
            }
            (None, None) => {
                self.count(Place::OtherAddress);
                tracing::trace!("read of {address:#x}");
                data.fill(0xff);
            }
        }
    }

    fn mmio_write(&self, address: u64, data: &[u8]) {
        match (self.transport(address), io_apic_offset(address)) {
            (Some((transport, offset)), _) => {
                self.count(Place::Virtio);
                transport.write(offset, data);
                self.look_at(transport);
            }
            (None, Some(offset)) => {
                self.count(Place::IoApic);
                self.set_io_apic(offset, data);
            }
            (None, None) if address == layout::BOOT_TIMER => self.booted(data),
            (None, None) => {
                self.count(Place::OtherAddress);
                tracing::trace!("write of {data:?} to {address:#x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config::BalloonConfig;
    use crate::devices::Announce;
    use crate::devices::virtio::balloon::Balloon;
    use crate::devices::virtio::rng::Rng;
    use crate::hypervisor::DirtyLog;
    use crate::memory;

    fn platform(devices: Vec<Box<dyn Device>>) -> Platform {
        let started = Instant::now();
        let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
        let plugged = |(slot, device)| Plugged {
            transport: Arc::new(Transport::new(device, memory.clone()).expect("a transport")),
            slot: VirtioSlot::new(slot),
            name: "it".into(),
        };
        Platform {
            serial: None,
            keyboard: None,
            pci: AddressPort::default(),
            io_apic: IoApic::new(layout::GSI_END, Box::new(|_| Ok(()))),
            restored: None,
            timer: BootTimer::new(started, Announce::No),
            virtio: (0..).zip(devices).map(plugged).collect(),
            statistics: Statistics::new(started),
            control: Arc::new(Control::paused()),
        }
    }

    #[test]
    fn devices_of_one_name_are_told_apart_by_their_kind() {
        let balloon = Balloon::new(BalloonConfig::default()).expect("a balloon");
        let platform = platform(vec![Box::new(Rng::default()), Box::new(balloon)]);
        let place = |found: Option<&Transport>| {
            platform
                .virtio
                .iter()
                .position(|plugged| found.is_some_and(|found| std::ptr::eq(found, &*plugged.transport)))
        };
        assert_eq!(place(platform.named::<Rng>("it")), Some(0));
        assert_eq!(place(platform.named::<Balloon>("it")), Some(1));
        assert!(platform.named::<Balloon>("other").is_none());
    }

    /// The guest stores to the first half of a pin's entry.
    fn program(platform: &Platform, line: u32, value: u32) {
        let registers = u64::from(layout::IO_APIC);
        platform.mmio_write(registers, &(0x10 + 2 * line).to_le_bytes());
        platform.mmio_write(registers + 0x10, &value.to_le_bytes());
    }

    #[test]
    fn what_was_raised_while_its_pin_was_masked_is_raised_again() {
        const MASKED: u32 = 1 << 16;
        let restored = EventFd::new(libc::EFD_NONBLOCK).expect("event");
        let platform =
            Platform { restored: Some(restored), ..platform(vec![Box::<Rng>::default(), Box::<Rng>::default()]) };
        let edges = |slot: usize| platform.virtio[slot].transport.interrupt().line().read().unwrap_or(0);
        platform.virtio[1].transport.interrupt().used().expect("raised");
        assert_eq!((edges(0), edges(1)), (0, 1));
        let line = platform.virtio[1].slot.gsi();
        program(&platform, line - 1, 0x31);
        program(&platform, line, 0x32);
        assert_eq!((edges(0), edges(1)), (0, 1), "only where a reason holds");
        program(&platform, line, 0x33);
        assert_eq!(edges(1), 0, "it was not masked");
        program(&platform, line, MASKED | 0x33);
        platform.virtio[1].transport.interrupt().acknowledge(u32::MAX);
        program(&platform, line, 0x33);
        assert_eq!(edges(1), 0, "the driver saw it");
        program(&platform, layout::EVENT_GSI, 0x34);
        assert_eq!(platform.restored.as_ref().and_then(|event| event.read().ok()), Some(1));
    }
}
