//! A machine that stands still, written to two files.

use std::fs::File;
use std::io::{self, Write};

use super::Machine;
use super::control::Order;
use crate::config::VmConfig;
use crate::devices::AddressPort;
use crate::hypervisor;
use crate::snapshot::memory::{self, Content};
use crate::snapshot::tag::Tag;
use crate::snapshot::{Parts, SavedDevice, State};

/// Why a machine cannot be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It does not stand still.
    #[error("only a paused machine can be saved")]
    Running,
    /// A device whose other half lives in another process.
    #[error("the device {0} cannot be saved")]
    Device(String),
    /// Processors or clock.
    #[error(transparent)]
    Hypervisor(#[from] hypervisor::Error),
    /// The state has no form.
    #[error("cannot put the machine's state into words")]
    Encode(#[from] ciborium::ser::Error<io::Error>),
    /// The configuration has none.
    #[error("cannot put the machine's configuration into words")]
    Config(#[from] serde_json::Error),
    /// The state's file.
    #[error("cannot write the machine's state")]
    State(#[source] io::Error),
    /// The memory's file.
    #[error("cannot write the guest's memory")]
    Memory(#[source] io::Error),
}

impl Machine {
    /// Writes a paused machine of this configuration into two files; `memory` has what a diff goes over, or nothing.
    /// Once both are where they belong, [`Machine::saved`] is to be called with the tag that they have. The machine can
    /// go on afterwards.
    ///
    /// # Errors
    /// See the variants of [`SaveError`]. The machine is as before; the files are not.
    pub(crate) fn save(
        &self,
        config: &VmConfig,
        content: Content,
        mut state: &File,
        memory: &File,
    ) -> Result<Tag, SaveError> {
        if self.platform.control.order() != Order::Pause {
            return Err(SaveError::Running);
        }
        let parts = self.parts()?;
        let tag = parts.tag;
        let saved = State::new(config, parts)?.encode()?;
        if config.machine().track_dirty_pages {
            memory::mark(&self.memory, &self.vm.dirty_pages()?);
        }
        memory::write(&self.memory, content, memory).map_err(SaveError::Memory)?;
        state.write_all(&saved).map_err(SaveError::State)?;
        Ok(tag)
    }

    /// What was saved with this tag is safe: the next diff goes over it and has what is written from now on.
    pub(crate) fn saved(&self, tag: Tag) {
        self.set_base(tag);
        memory::forget(&self.memory);
    }

    fn parts(&self) -> Result<Parts, SaveError> {
        let vcpus = self.vcpus.iter().map(|thread| thread.vcpu().state()).collect::<Result<_, _>>()?;
        let device = |plugged: &super::platform::Plugged| match plugged.transport.state() {
            Some(transport) => Ok(SavedDevice { name: plugged.name.clone(), transport }),
            None => Err(SaveError::Device(plugged.name.clone())),
        };
        Ok(Parts {
            tag: Tag::put(&self.memory).map_err(SaveError::Memory)?,
            vm: self.vm.state()?,
            io_apic: self.platform.io_apic.state(),
            vcpus,
            devices: self.platform.virtio.iter().map(device).collect::<Result<_, _>>()?,
            pci: self.platform.pci.read(AddressPort::PORT, size_of::<u32>()).unwrap_or_default(),
            keyboard: self.platform.keyboard.as_ref().map(crate::devices::Keyboard::control),
            serial: self.platform.serial.as_ref().map(crate::devices::serial::Port::state),
        })
    }
}
