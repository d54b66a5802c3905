//! The machine, and the guest's side of its sockets as the server sees them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{EventfdFlags, eventfd};
use stockade_sandbox::protocol::CONTROL_PORT;
use stockade_vmm::config::{
    BalloonConfig, BootSource, CacheType, DriveConfig, EntropyConfig, IoEngine, MacAddress, MachineUpdate,
    NetworkConfig, VmConfig, VsockConfig,
};
use stockade_vmm::devices::virtio::block::{Access, Disk};
use stockade_vmm::devices::virtio::vsock::{self, ChannelPeer};
use stockade_vmm::machine::{self, Files, Machine, Outcome};
use stockade_vmm::seccomp::{Filters, Role};

use super::console::Console;
use crate::settings::{Given, LAYERS, Settings, UPPER};

/// Quiet: each character on the serial port is an exit. A guest that panics resets at once. ACPI says that there is no
/// keyboard: told not to ask (`i8042.nopnp`), Linux would wait 10,000 exits for one. The code of several processors
/// stays on one too: rewriting it is 8,000 changes of the kernel's own text.
const COMMAND_LINE: &str = "console=ttyS0 quiet reboot=k panic=-1 cryptomgr.notests random.trust_cpu=on noreplace-smp";
/// The guest's address; each machine has sockets of its own, so that all can have the same.
const CID: u32 = 3;
const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";

/// A disk that comes while the machine runs.
pub(super) enum Later {
    /// Layers, one after the other.
    Layers(Vec<File>),
    /// What catches writes.
    Upper(File),
    /// The same for a container that nobody misses after a power cut.
    Scratch(File),
}

/// A guest, as the server sees it.
pub(super) trait Guest {
    /// Where a disk is that came later.
    type Slot;
    /// A connection to one of its ports.
    fn connect(&self, port: u32) -> io::Result<UnixStream>;
    /// The next connection that it made.
    fn accept(&self) -> Option<UnixStream>;
    /// Readable when it has made one.
    fn connected(&self) -> BorrowedFd<'_>;
    /// Readable when it has ended.
    fn ended(&self) -> BorrowedFd<'_>;
    /// How it ended.
    fn outcome(&self) -> String;
    /// Stops it where it is.
    fn pause(&self) -> Result<(), String>;
    /// Lets it go on.
    fn resume(&self) -> Result<(), String>;
    /// Its memory.
    fn memory_mib(&self) -> usize;
    /// Its processors.
    fn vcpus(&self) -> u8;
    /// Gives it a disk under a serial number.
    fn plug(&self, serial: &str, disk: Later) -> Result<Self::Slot, String>;
    /// Takes one out that its driver has let go.
    fn unplug(&self, slot: Self::Slot);
}

/// The real one.
pub(super) struct Running {
    machine: Machine,
    peer: ChannelPeer,
    ended: OwnedFd,
    memory_mib: usize,
    vcpus: u8,
}

/// Builds a machine of what was given and lets it run, or says why it cannot.
pub(super) fn start(settings: &Settings, descriptors: Vec<OwnedFd>, console: &Console) -> Result<Running, String> {
    let (channel, peer) = vsock::channel(&[CONTROL_PORT]).map_err(|error| error.to_string())?;
    let mut files = files(settings, descriptors);
    files.give_vsock(channel);
    files.leave_slots(settings.slots);
    let config = config(settings).map_err(|error| error.to_string())?;
    let console = machine::Console { output: Box::new(console.clone()), input: None };
    let machine = Machine::prepare(&config, files, console, Filters::On).map_err(|error| error.to_string())?;
    let ended = bell_at_end(&machine).map_err(|error| format!("wait for the machine's end: {error}"))?;
    Role::Monitor.confine(Filters::On).map_err(|error| error.to_string())?;
    machine.run();
    Ok(Running { machine, peer, ended, memory_mib: settings.memory_mib, vcpus: settings.vcpus })
}

fn files(settings: &Settings, descriptors: Vec<OwnedFd>) -> Files {
    let mut files = Files::default();
    let mut layers = Vec::new();
    let mut cards = settings.cards();
    for (given, descriptor) in settings.descriptors.iter().zip(descriptors) {
        match given {
            Given::Kvm => files.give_kvm(File::from(descriptor)),
            Given::Kernel => files.give(KERNEL, File::from(descriptor)),
            Given::Initrd => files.give(INITRD, File::from(descriptor)),
            Given::Layer => layers.push(File::from(descriptor)),
            Given::Upper | Given::Scratch => files.give(UPPER, File::from(descriptor)),
            Given::Share(tag) => files.give_share(tag, UnixStream::from(descriptor)),
            Given::Card(_) => {
                if let Some((name, _)) = cards.next() {
                    files.give_tap(&name, File::from(descriptor));
                }
            }
        }
    }
    if !layers.is_empty() {
        files.give_parts(LAYERS, layers);
    }
    files
}

fn config(settings: &Settings) -> Result<VmConfig, Box<dyn std::error::Error>> {
    let mut config = VmConfig::of_given_files();
    config.update_machine(&MachineUpdate {
        vcpu_count: Some(settings.vcpus),
        mem_size_mib: Some(settings.memory_mib),
        ..MachineUpdate::default()
    })?;
    config.set_boot_source(BootSource {
        kernel_image_path: KERNEL.to_owned(),
        initrd_path: Some(INITRD.to_owned()),
        boot_args: Some(COMMAND_LINE.to_owned()),
    })?;
    for (given, name, cache_type) in [
        (Given::Layer, LAYERS, CacheType::Unsafe),
        (Given::Upper, UPPER, CacheType::Writeback),
        (Given::Scratch, UPPER, CacheType::Unsafe),
    ] {
        if settings.descriptors.contains(&given) {
            config.set_drive(DriveConfig {
                drive_id: name.to_owned(),
                path_on_host: Some(name.to_owned()),
                is_read_only: Some(given == Given::Layer),
                cache_type,
                io_engine: Some(IoEngine::Async),
                ..DriveConfig::default()
            })?;
        }
    }
    for (name, card) in settings.cards() {
        config.set_network_interface(NetworkConfig {
            iface_id: name.clone(),
            host_dev_name: name,
            guest_mac: Some(MacAddress(card.mac)),
            mtu: card.mtu,
            rx_rate_limiter: None,
            tx_rate_limiter: None,
        })?;
    }
    config.set_vsock(VsockConfig { vsock_id: None, guest_cid: CID, uds_path: String::new() })?;
    config.set_entropy(EntropyConfig::default());
    // Pages that the guest frees go back to the host.
    config.set_balloon(BalloonConfig {
        deflate_on_oom: true,
        free_page_reporting: true,
        ..BalloonConfig::default()
    })?;
    Ok(config)
}

/// Rings when the machine has ended.
fn bell_at_end(machine: &Machine) -> io::Result<OwnedFd> {
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let ringer = bell.try_clone()?;
    machine.at_end(move |_| {
        // Full only after 2^64 ends.
        let _ = rustix::io::write(&ringer, &1_u64.to_ne_bytes());
    });
    Ok(bell)
}

impl Later {
    fn open(self) -> io::Result<Disk> {
        match self {
            Self::Layers(files) => Disk::concatenated(files),
            Self::Upper(file) => Disk::new(file, Access::ReadWrite, CacheType::Writeback),
            Self::Scratch(file) => Disk::new(file, Access::ReadWrite, CacheType::Unsafe),
        }
    }
}

impl Guest for Running {
    type Slot = machine::Slot;

    fn connect(&self, port: u32) -> io::Result<UnixStream> {
        self.peer.connect(port)
    }

    fn accept(&self) -> Option<UnixStream> {
        self.peer.accept().map(|(_, stream)| stream)
    }

    fn connected(&self) -> BorrowedFd<'_> {
        self.peer.as_fd()
    }

    fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    fn outcome(&self) -> String {
        match self.machine.outcome() {
            Some(Outcome::Failed(reason)) => reason,
            Some(Outcome::Reset) => "it crashed or reset itself".to_owned(),
            Some(Outcome::Off) => "it switched itself off".to_owned(),
            Some(Outcome::Stopped) | None => "it was stopped".to_owned(),
        }
    }

    fn pause(&self) -> Result<(), String> {
        self.machine.pause().map_err(|error| error.to_string())
    }

    fn resume(&self) -> Result<(), String> {
        self.machine.resume().map_err(|error| error.to_string())
    }

    fn memory_mib(&self) -> usize {
        self.memory_mib
    }

    fn vcpus(&self) -> u8 {
        self.vcpus
    }

    fn plug(&self, serial: &str, disk: Later) -> Result<Self::Slot, String> {
        let disk = disk.open().map_err(|error| error.to_string())?.named(serial);
        self.machine.plug_disk(disk).map_err(|error| error.to_string())
    }

    fn unplug(&self, slot: Self::Slot) {
        if let Err(error) = self.machine.unplug(slot) {
            tracing::warn!("a disk stays: {error}");
        }
    }
}
