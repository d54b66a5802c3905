//! From a snapshot to a machine that stands where the saved one stood.
//!
//! Order: memory, machine, processors without state; devices with theirs; then the processors' state, that of the
//! I/O APIC, and the clock; and last what the guest is to hear of, because an interrupt that is raised before its
//! controllers have their state is lost.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::build::{self, devices, plug, serial_line};
use super::control::Control;
use super::io_apic::WrongPins;
use super::platform::{Platform, Plugged};
use super::statistics::{Phase, Statistics};
use super::{Console, Files, Machine, StartError};
use crate::config::VmConfig;
use crate::devices::serial::{Port, TooMuchInput};
use crate::devices::virtio::Invalid;
use crate::devices::{AddressPort, Announce, BootTimer, Keyboard};
use crate::hypervisor::{self, Clock, DirtyLog, ForeignCpu, Vcpu, Vm};
use crate::memory::{self, Memory, faults, layout};
use crate::seccomp::Filters;
use crate::snapshot::State;
use crate::snapshot::tag::{self, TagError};

/// Where a restored guest's memory comes from.
#[derive(Debug)]
pub enum MemorySource {
    /// A file, mapped privately: it must stay as it is while the machine lives.
    File(File),
    /// A process that answers page faults, at the other end of this socket.
    Handler(UnixStream),
}

/// Why a machine cannot go on from a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It cannot be built.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its processor is another.
    #[error("the snapshot cannot go on here")]
    Cpu(#[from] ForeignCpu),
    /// It has more or fewer processors than its own configuration.
    #[error("the snapshot has {found} processors, and its configuration {wanted}")]
    Vcpus {
        /// States.
        found: usize,
        /// By its configuration.
        wanted: u8,
    },
    /// It has other devices than its own configuration.
    #[error("the snapshot's devices are not those of its configuration")]
    Devices,
    /// A device cannot be put into its state.
    #[error("the snapshot's device {name}")]
    Device {
        /// Which.
        name: String,
        /// Why.
        source: Invalid,
    },
    /// The I/O APIC.
    #[error("the snapshot's interrupt lines are not those of its devices")]
    Lines(#[from] WrongPins),
    /// The serial port.
    #[error("the snapshot's serial port")]
    Serial(#[from] TooMuchInput),
    /// The file is not the guest's memory.
    #[error("the memory file has {found} bytes, and the guest {wanted}")]
    MemorySize {
        /// The file's length.
        found: u64,
        /// The guest's memory.
        wanted: u64,
    },
    /// The file cannot be looked at.
    #[error("the memory file cannot be looked at")]
    MemoryFile(#[source] io::Error),
    /// Page faults cannot be handed over.
    #[error(transparent)]
    Faults(#[from] faults::Error),
    /// The memory is that of another snapshot.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl Machine {
    /// A paused machine that goes on where the saved one stood. `config` is that of the snapshot ([`State::config`]),
    /// perhaps with other taps and sockets; `files` are what it names, where they are given.
    ///
    /// # Errors
    /// See the variants of [`RestoreError`]. Nothing is left of the machine.
    pub fn restore(
        state: &State,
        config: &VmConfig,
        memory: MemorySource,
        mut files: Files,
        clock: Clock,
        console: Console,
        filters: Filters,
    ) -> Result<Self, RestoreError> {
        let started = Instant::now();
        if files.has_shares() {
            return Err(StartError::Unsupported("shared directories cannot be restored").into());
        }
        check_vcpus(state, config)?;
        let log = build::dirty_log(config)?;
        let mut vm = files.kvm()?.create_vm().map_err(StartError::from)?;
        state.vcpus.iter().try_for_each(|vcpu| vm.check_cpu(vcpu))?;
        let (memory, faults) = memory_of(config, log, memory)?;
        state.tag.check(&memory)?;
        vm.map_memory(&memory, log).map_err(StartError::from)?;
        let vm: Arc<dyn Vm> = vm.into();
        let vcpus = vcpus(vm.as_ref(), config).map_err(StartError::from)?;
        let Console { output, input } = console;
        let virtio = virtio(vm.as_ref(), state, &memory, devices(config, &mut files)?)?;
        let platform = Arc::new(Platform {
            serial: serial(vm.as_ref(), state, output)?,
            pci: pci(state),
            keyboard: keyboard(vm.as_ref(), state)?,
            io_apic: build::io_apic(&vm, &virtio),
            restored: Some(build::line(vm.as_ref(), layout::EVENT_GSI)?),
            timer: BootTimer::new(started, Announce::No),
            virtio,
            statistics: Statistics::new(started),
            control: Arc::new(Control::paused()),
        });
        platform.io_apic.check(&state.io_apic)?;
        set_state(vm.as_ref(), &vcpus, &platform, state, clock).map_err(StartError::from)?;
        announce(&memory, &platform)?;
        platform.statistics.mark(Phase::Built);
        let base = Mutex::new(Some(state.tag));
        let machine = Machine { vcpus: Vec::new(), devices: Vec::new(), platform, vm, memory, base, faults };
        Ok(build::start_threads(machine, vcpus, input, filters)?)
    }
}

fn check_vcpus(state: &State, config: &VmConfig) -> Result<(), RestoreError> {
    let (found, wanted) = (state.vcpus.len(), config.machine().vcpu_count);
    if found == usize::from(wanted) { Ok(()) } else { Err(RestoreError::Vcpus { found, wanted }) }
}

/// The guest's memory, and what has to stay open for it.
fn memory_of(
    config: &VmConfig,
    log: DirtyLog,
    source: MemorySource,
) -> Result<(Memory, Option<(OwnedFd, UnixStream)>), RestoreError> {
    let mib = build::memory_mib(config);
    match source {
        MemorySource::File(file) => {
            let found = file.metadata().map_err(RestoreError::MemoryFile)?.len();
            let wanted = mib.saturating_mul(1 << 20);
            if found != wanted {
                return Err(RestoreError::MemorySize { found, wanted });
            }
            Ok((memory::from_file(&Arc::new(file), mib, log).map_err(StartError::from)?, None))
        }
        MemorySource::Handler(socket) => {
            let memory = memory::anonymous(mib, log).map_err(StartError::from)?;
            let faults = faults::hand_over(&memory, &socket)?;
            Ok((memory, Some((faults, socket))))
        }
    }
}

fn vcpus(vm: &dyn Vm, config: &VmConfig) -> Result<Vec<Box<dyn Vcpu>>, hypervisor::Error> {
    let topology = build::topology(config.machine());
    (0..topology.vcpus()).map(|index| vm.create_vcpu(index, None)).collect()
}

fn serial(vm: &dyn Vm, state: &State, output: Box<dyn io::Write + Send>) -> Result<Option<Port>, RestoreError> {
    let Some(serial) = &state.serial else { return Ok(None) };
    Ok(Some(Port::restore(serial_line(vm)?, output, serial)?))
}

fn pci(state: &State) -> AddressPort {
    let port = AddressPort::default();
    port.write(AddressPort::PORT, &state.pci);
    port
}

fn keyboard(vm: &dyn Vm, state: &State) -> Result<Option<Keyboard>, StartError> {
    let Some(control) = state.keyboard else { return Ok(None) };
    let keyboard = build::keyboard(vm)?;
    keyboard.set_control(control);
    Ok(Some(keyboard))
}

fn virtio(
    vm: &dyn Vm,
    state: &State,
    memory: &Memory,
    devices: Vec<build::Named>,
) -> Result<Vec<Plugged>, RestoreError> {
    let names = devices.iter().map(|(name, _)| name);
    if !names.eq(state.devices.iter().map(|saved| &saved.name)) {
        return Err(RestoreError::Devices);
    }
    let plugged = plug(vm, memory, devices)?;
    for (plugged, saved) in plugged.iter().zip(&state.devices) {
        let restored = plugged.transport.restore(&saved.transport);
        restored.map_err(|source| RestoreError::Device { name: saved.name.clone(), source })?;
    }
    Ok(plugged)
}

fn set_state(
    vm: &dyn Vm,
    vcpus: &[Box<dyn Vcpu>],
    platform: &Platform,
    state: &State,
    clock: Clock,
) -> Result<(), hypervisor::Error> {
    vcpus.iter().zip(&state.vcpus).try_for_each(|(vcpu, saved)| vcpu.set_state(saved))?;
    platform.io_apic.restore(&state.io_apic)?;
    vm.set_state(&state.vm, clock)
}

/// Tells the guest that it is another, and repeats signals that were under way.
fn announce(memory: &Memory, platform: &Platform) -> Result<(), StartError> {
    tag::renew_generation(memory).map_err(StartError::Device)?;
    platform.announce_restore();
    platform.virtio.iter().for_each(|plugged| plugged.transport.wake());
    platform.serial.iter().for_each(Port::wake);
    Ok(())
}
