//! All devices of one machine, and the way from an exit to the right one.

use std::sync::Arc;

use super::Outcome;
use super::control::Control;
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
            Place::OtherPort | Place::OtherAddress => {}
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

    fn booted(&self, data: &[u8]) {
        if let Some(elapsed) = self.timer.write(data) {
            self.statistics.mark(Phase::Booted);
            tracing::debug!("booted in {elapsed:?}:\n{}", self.statistics);
        }
    }
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
        match self.transport(address) {
            Some((transport, offset)) => {
                self.count(Place::Virtio);
                transport.read(offset, data);
            }
            None => {
                self.count(Place::OtherAddress);
                tracing::trace!("read of {address:#x}");
                data.fill(0xff);
            }
        }
    }

    fn mmio_write(&self, address: u64, data: &[u8]) {
        match self.transport(address) {
            Some((transport, offset)) => {
                self.count(Place::Virtio);
                transport.write(offset, data);
                self.look_at(transport);
            }
            None if address == layout::BOOT_TIMER => self.booted(data),
            None => {
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
}
