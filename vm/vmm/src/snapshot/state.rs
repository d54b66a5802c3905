//! All of a machine but its memory, as plain data.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::format::{self, FormatError};
use super::tag::Tag;
use crate::config::{FileError, VmConfig, VmFile};
use crate::devices::serial::SerialState;
use crate::devices::virtio::TransportState;
use crate::hypervisor::{VcpuState, VmState};
use crate::machine::IoApicState;

/// The longest string of bytes in a state: a processor's extended registers.
const PIECE_MAX: usize = size_of::<kvm_bindings::kvm_xsave>();

/// A machine that stands still. What was read from a file is hostile: whoever puts a machine into it checks each part.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// In the form of a configuration file.
    config: Value,
    /// Of the memory that belongs to it.
    pub(crate) tag: Tag,
    pub(crate) vm: VmState,
    pub(crate) io_apic: IoApicState,
    /// In order of their numbers.
    pub(crate) vcpus: Vec<VcpuState>,
    /// In order of their slots.
    pub(crate) devices: Vec<SavedDevice>,
    pub(crate) serial: Option<SerialState>,
    /// The address port.
    pub(crate) pci: [u8; 4],
    /// The control byte.
    pub(crate) keyboard: Option<u8>,
}

/// A virtio device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedDevice {
    /// Its name in the configuration.
    pub(crate) name: String,
    pub(crate) transport: TransportState,
}

/// What a machine tells of itself.
pub(crate) struct Parts {
    pub tag: Tag,
    pub vm: VmState,
    pub io_apic: IoApicState,
    pub vcpus: Vec<VcpuState>,
    pub devices: Vec<SavedDevice>,
    pub serial: Option<SerialState>,
    pub pci: [u8; 4],
    pub keyboard: Option<u8>,
}

impl State {
    /// The state of a machine of this configuration.
    pub(crate) fn new(config: &VmConfig, parts: Parts) -> Result<Self, serde_json::Error> {
        let Parts { tag, vm, io_apic, vcpus, devices, serial, pci, keyboard } = parts;
        Ok(State { config: serde_json::to_value(config)?, tag, vm, io_apic, vcpus, devices, serial, pci, keyboard })
    }

    /// The configuration, with its checks, on top of `empty`: files by paths, or given ([`VmConfig::of_given_files`]).
    /// What it booted from is not part of it any more.
    ///
    /// # Errors
    /// See the variants of [`FileError`].
    pub fn config(&self, empty: VmConfig) -> Result<VmConfig, FileError> {
        VmFile::deserialize(&self.config).map_err(FileError::Form)?.restored(empty)
    }

    /// A state file's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, ciborium::ser::Error<io::Error>> {
        let mut payload = Vec::new();
        ciborium::into_writer(self, &mut payload)?;
        Ok(format::seal(&payload))
    }

    /// The state of a file.
    pub fn decode(file: &[u8]) -> Result<Self, FormatError> {
        let mut piece = vec![0; PIECE_MAX];
        Ok(ciborium::de::from_reader_with_buffer(format::open(file)?, &mut piece)?)
    }
}

#[cfg(any(test, feature = "testing"))]
impl State {
    /// Puts what devices and the I/O APIC were into new ones of every kind, and lets those that take it work; whether
    /// all found one. For fuzz targets: whatever the state says, this ends without a panic.
    pub fn try_devices(&self) -> bool {
        let devices = self.devices.iter().all(|saved| super::trial::try_device(&saved.transport));
        devices && super::trial::try_io_apic(&self.io_apic) && self.serial.as_ref().is_none_or(super::trial::try_serial)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
