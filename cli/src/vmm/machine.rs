//! The API's controller on a real machine.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use stockade_vm_api::{Controller, ControllerError};
use stockade_vmm::config::{
    BalloonConfig, BalloonStats, CreateSnapshot, DriveUpdate, LoadSnapshot, MemoryBackend, MemoryBackendType,
    NetworkUpdate, VmConfig,
};
use stockade_vmm::devices::Announce;
use stockade_vmm::devices::virtio::block::{Access, Disk};
use stockade_vmm::machine::{Console, Files, Machine, MemorySource, Outcome, Place};
use stockade_vmm::mmds::SharedMmds;
use stockade_vmm::seccomp::{Filters, Role};
use stockade_vmm::snapshot;
use tokio::sync::oneshot::Sender;
use tracing::{error, info};

use crate::oci::console::RawTerminal;

/// A machine that is there once it was started.
pub(super) struct Vmm {
    boot: Announce,
    filters: Filters,
    ended: Option<Sender<Outcome>>,
    running: Option<Running>,
}

struct Running {
    machine: Machine,
    config: VmConfig,
    exits: Exits,
    // Last, so that the terminal is as before when the machine is gone.
    _terminal: Option<RawTerminal>,
}

/// Exits that metrics have told.
#[derive(Default)]
struct Exits {
    ports: u64,
    addresses: u64,
}

impl Vmm {
    /// No machine yet; how it ends will be told to `ended`.
    pub(super) fn new(boot: Announce, filters: Filters, ended: Sender<Outcome>) -> Self {
        Self { boot, filters, ended: Some(ended), running: None }
    }

    /// Files are opened by their paths; beside them there is what Firecracker's machine has.
    fn files(&self, mmds: &SharedMmds) -> Files {
        let mut files = Files::default();
        files.give_metadata(Arc::clone(mmds));
        files.give_keyboard();
        if self.boot == Announce::Yes {
            files.announce_boot();
        }
        files
    }

    fn running(&mut self) -> Result<&mut Running, ControllerError> {
        self.running.as_mut().ok_or_else(|| lacking("a machine"))
    }

    /// Takes a machine that stands still, behind the filter of its owner.
    fn adopt(&mut self, machine: Machine, config: VmConfig) -> Result<&Machine, ControllerError> {
        if let Some(ended) = self.ended.take() {
            machine.at_end(|outcome| tell(outcome, ended));
        }
        Role::Api.confine(self.filters).map_err(|error| words(&error))?;
        let (exits, _terminal) = (Exits::default(), RawTerminal::enter());
        Ok(&self.running.insert(Running { machine, config, exits, _terminal }).machine)
    }
}

impl Controller for Vmm {
    fn start(&mut self, config: &VmConfig, mmds: &SharedMmds) -> Result<(), ControllerError> {
        let console = standard_streams().map_err(|error| words(&error))?;
        let machine = Machine::prepare(config, self.files(mmds), console, self.filters);
        let machine = machine.map_err(|error| words(&error))?;
        self.adopt(machine, config.clone())?.run();
        Ok(())
    }

    fn pause(&mut self) -> Result<(), ControllerError> {
        self.running()?.machine.pause().map_err(|error| words(&error))
    }

    fn resume(&mut self) -> Result<(), ControllerError> {
        self.running()?.machine.resume().map_err(|error| words(&error))
    }

    fn send_ctrl_alt_del(&mut self) -> Result<(), ControllerError> {
        self.running()?.machine.press_ctrl_alt_delete().map_err(|error| words(&error))
    }

    fn create_snapshot(&mut self, request: &CreateSnapshot) -> Result<(), ControllerError> {
        let Running { machine, config, .. } = self.running()?;
        snapshot::create(machine, config, request).map_err(|error| words(&error))
    }

    fn load_snapshot(&mut self, load: &LoadSnapshot, mmds: &SharedMmds) -> Result<VmConfig, ControllerError> {
        let state = snapshot::read(&load.snapshot_path).map_err(|error| words(&error))?;
        let config = state.config(VmConfig::default()).map_err(|error| words(&error))?;
        let config = config.redirected(load).map_err(|error| words(&error))?;
        let memory = memory_source(&load.memory)?;
        let console = standard_streams().map_err(|error| words(&error))?;
        let machine = Machine::restore(&state, &config, memory, self.files(mmds), load.clock, console, self.filters);
        self.adopt(machine.map_err(|error| words(&error))?, config.clone())?;
        Ok(config)
    }

    fn update_drive(&mut self, update: &DriveUpdate) -> Result<(), ControllerError> {
        let Running { machine, config, .. } = self.running()?;
        let updated = config.with_drive(update).ok_or_else(|| lacking("this drive"))?;
        let drive = updated.drives().iter().find(|drive| drive.drive_id == update.drive_id);
        let drive = drive.ok_or_else(|| lacking("this drive"))?;
        if let Some(path) = &update.path_on_host {
            let access = if drive.read_only() { Access::ReadOnly } else { Access::ReadWrite };
            let disk = Disk::open(Path::new(path), access, drive.cache_type).map_err(|error| words(&error))?;
            machine.replace_disk(&update.drive_id, disk).map_err(|error| words(&error))?;
        }
        machine.limit_disk(&update.drive_id, drive.rate_limiter).map_err(|error| words(&error))?;
        *config = updated;
        Ok(())
    }

    fn update_network(&mut self, update: &NetworkUpdate) -> Result<(), ControllerError> {
        let Running { machine, config, .. } = self.running()?;
        let updated = config.with_network(update).ok_or_else(|| lacking("this interface"))?;
        let network = updated.network_interfaces().iter().find(|network| network.iface_id == update.iface_id);
        let (receive, transmit) = network.map_or((None, None), |card| (card.rx_rate_limiter, card.tx_rate_limiter));
        machine.limit_network(&update.iface_id, receive, transmit).map_err(|error| words(&error))?;
        *config = updated;
        Ok(())
    }

    fn resize_balloon(&mut self, amount_mib: u32) -> Result<(), ControllerError> {
        let running = self.running()?;
        running.machine.resize_balloon(amount_mib).map_err(|error| words(&error))?;
        running.update_balloon(|balloon| balloon.amount_mib = amount_mib)
    }

    fn set_balloon_interval(&mut self, seconds: u16) -> Result<(), ControllerError> {
        let running = self.running()?;
        running.machine.set_balloon_interval(seconds).map_err(|error| words(&error))?;
        running.update_balloon(|balloon| balloon.stats_polling_interval_s = seconds)
    }

    fn balloon_stats(&mut self) -> Result<BalloonStats, ControllerError> {
        let stats = self.running()?.machine.balloon_stats().map_err(|error| words(&error))?;
        stats.ok_or_else(|| ControllerError("Balloon: Received stats query when stats are disabled.".to_owned()))
    }

    fn metrics(&mut self) -> Map<String, Value> {
        self.running.as_mut().map(Running::metrics).unwrap_or_default()
    }
}

impl Running {
    /// A snapshot has the configuration as it is now.
    fn update_balloon(&mut self, change: impl FnOnce(&mut BalloonConfig)) -> Result<(), ControllerError> {
        let mut balloon = self.config.balloon().cloned().unwrap_or_default();
        change(&mut balloon);
        self.config.set_balloon(balloon).map_err(|error| words(&error))
    }

    /// Reads and writes are not told apart: both count as the processor's exits to its device.
    fn metrics(&mut self) -> Map<String, Value> {
        let statistics = self.machine.statistics();
        let sum = |places: &[Place]| places.iter().map(|place| statistics.exits_at(*place)).sum::<u64>();
        let now = Exits {
            ports: sum(&[Place::Serial, Place::OtherPort]),
            addresses: sum(&[Place::Virtio, Place::IoApic, Place::OtherAddress]),
        };
        let vcpu = json!({
            "exit_io": now.ports - self.exits.ports,
            "exit_mmio": now.addresses - self.exits.addresses,
        });
        self.exits = now;
        Map::from_iter([("vcpu".to_owned(), vcpu)])
    }
}

/// The file or the process that has a snapshot's memory.
fn memory_source(backend: &MemoryBackend) -> Result<MemorySource, ControllerError> {
    let path = &backend.backend_path;
    let source = match backend.backend_type {
        MemoryBackendType::File => File::open(path).map(MemorySource::File),
        MemoryBackendType::Uffd => UnixStream::connect(path).map(MemorySource::Handler),
    };
    source.map_err(|error| ControllerError(format!("cannot open the memory {}: {error}", path.display())))
}

/// A serial line on standard input and output.
fn standard_streams() -> io::Result<Console> {
    Ok(Console { output: Box::new(io::stdout()), input: Some(io::stdin().as_fd().try_clone_to_owned()?) })
}

/// Tells how a machine ended.
fn tell(outcome: Outcome, ended: Sender<Outcome>) {
    match &outcome {
        Outcome::Failed(reason) => error!("the microVM failed: {reason}"),
        outcome => info!("Vmm is stopping: {outcome:?}."),
    }
    // Who would hear it may be gone already.
    let _ = ended.send(outcome);
}

fn words(error: &dyn std::error::Error) -> ControllerError {
    ControllerError::from_chain(error)
}

fn lacking(part: &str) -> ControllerError {
    ControllerError(format!("this build's machine does not have {part} yet"))
}
