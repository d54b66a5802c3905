//! From a configuration to a machine that stands before its first instruction.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use vmm_sys_util::eventfd::EventFd;

use super::control::Control;
use super::events::DeviceThread;
use super::io_apic::IoApic;
use super::platform::{Platform, Plugged};
use super::statistics::{Phase, Statistics};
use super::vcpu::VcpuThread;
use super::{Console, Files, Machine, Outcome, StartError};
use crate::boot::{self, acpi};
use crate::config::{
    BootSource, DriveConfig, HugePages, MachineConfig, MmdsConfig, NetworkConfig, RateLimiterConfig, VmConfig,
};
use crate::devices::serial::{Line, Port};
use crate::devices::virtio::Device;
use crate::devices::virtio::balloon::Balloon;
use crate::devices::virtio::block::Block;
use crate::devices::virtio::limiter::Limiter;
use crate::devices::virtio::mmio::{self, Transport};
use crate::devices::virtio::net::{Identity, Metadata, Net};
use crate::devices::virtio::rng::Rng;
use crate::devices::{AddressPort, BootTimer, Keyboard};
use crate::hypervisor::{DirtyLog, Topology, Vcpu, Vm, trial};
use crate::memory::{self, Memory, layout};
use crate::seccomp::Filters;
use crate::snapshot::tag;

/// Builds all, and starts threads that stand still.
pub fn build(config: &VmConfig, mut files: Files, console: Console, filters: Filters) -> Result<Machine, StartError> {
    let started = Instant::now();
    let source = config.boot_source().ok_or(StartError::NoBootSource)?;
    let log = dirty_log(config)?;
    let memory = guest_memory(config.machine(), log, &files)?;
    let mut vm = files.kvm()?.create_vm()?;
    vm.map_memory(&memory, log)?;
    let vm: Arc<dyn Vm> = vm.into();
    let vcpus = vcpus(vm.as_ref(), topology(config.machine()), &memory)?;

    let Console { output, input } = console;
    let virtio = plug(vm.as_ref(), &memory, devices(config, &mut files)?)?;
    let platform = Arc::new(Platform {
        serial: Some(Port::new(serial_line(vm.as_ref())?, output)),
        pci: AddressPort::default(),
        keyboard: files.has_keyboard().then(|| keyboard(vm.as_ref())).transpose()?,
        io_apic: io_apic(&vm, &virtio),
        restored: None,
        timer: BootTimer::new(started, files.announce()),
        virtio,
        statistics: Statistics::new(started),
        control: Arc::new(Control::paused()),
    });
    load(config, (source, &mut files), &memory, &platform, vcpus[0].as_ref())?;
    tag::renew_generation(&memory).map_err(StartError::Device)?;
    platform.statistics.mark(Phase::Built);
    start_threads(
        Machine { vcpus: Vec::new(), devices: Vec::new(), platform, vm, memory, base: Mutex::default(), faults: None },
        vcpus,
        input,
        filters,
    )
}

/// Whether writes are recorded.
pub(super) fn dirty_log(config: &VmConfig) -> Result<DirtyLog, StartError> {
    let settings = config.machine();
    match settings.huge_pages {
        HugePages::None => Ok(if settings.track_dirty_pages { DirtyLog::On } else { DirtyLog::Off }),
        HugePages::Hugetlbfs2M => Err(StartError::Unsupported("huge pages are not supported")),
    }
}

pub(super) fn memory_mib(config: &VmConfig) -> u64 {
    u64::try_from(config.machine().mem_size_mib).unwrap_or(u64::MAX)
}

/// Gives a machine its threads, which stand still behind their filters.
pub(super) fn start_threads(
    mut machine: Machine,
    vcpus: Vec<Box<dyn Vcpu>>,
    input: Option<OwnedFd>,
    filters: Filters,
) -> Result<Machine, StartError> {
    machine.devices = DeviceThread::start_all(&machine.platform, input, filters)?;
    for (index, vcpu) in (0..).zip(vcpus) {
        let thread = VcpuThread::start(index, vcpu, machine.platform.clone(), filters).map_err(StartError::Thread)?;
        machine.vcpus.push(thread);
    }
    machine.platform.control.wait_for_standstill(machine.threads());
    match machine.outcome() {
        // A thread ended before it had anything to do.
        Some(Outcome::Failed(reason)) => Err(StartError::Confine(reason)),
        _ => Ok(machine),
    }
}

pub(super) fn topology(settings: &MachineConfig) -> Topology {
    match settings.smt {
        true => Topology::threads(settings.vcpu_count),
        false => Topology::cores(settings.vcpu_count),
    }
}

/// Memory that a file server can map, where there is one: what that one writes is in no log.
fn guest_memory(settings: &MachineConfig, log: DirtyLog, files: &Files) -> Result<Memory, StartError> {
    let mib = u64::try_from(settings.mem_size_mib).unwrap_or(u64::MAX);
    match (files.has_shares(), log) {
        (false, log) => Ok(memory::anonymous(mib, log)?),
        (true, DirtyLog::Off) => Ok(memory::shared(mib, log)?),
        (true, DirtyLog::On) => Err(StartError::Unsupported("dirty pages cannot be tracked with shared directories")),
    }
}

/// All processors; the first has shown that it runs guest code.
fn vcpus(vm: &dyn Vm, topology: Topology, memory: &Memory) -> Result<Vec<Box<dyn Vcpu>>, StartError> {
    let mut vcpus = vec![trial::run(vm.create_vcpu(0, Some(topology))?, memory)?];
    for index in 1..topology.vcpus() {
        vcpus.push(vm.create_vcpu(index, Some(topology))?);
    }
    Ok(vcpus)
}

/// An event that raises a line.
pub(super) fn line(vm: &dyn Vm, gsi: u32) -> Result<EventFd, StartError> {
    let line = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map_err(StartError::Device)?;
    vm.connect_interrupt(&line, gsi)?;
    Ok(line)
}

pub(super) fn keyboard(vm: &dyn Vm) -> Result<Keyboard, StartError> {
    line(vm, layout::KEYBOARD_GSI).map(Keyboard::new)
}

pub(super) fn serial_line(vm: &dyn Vm) -> Result<Line, StartError> {
    line(vm, layout::SERIAL_GSI).map(Line)
}

/// With a pin for the last of these, and so for every line below.
pub(super) fn io_apic(vm: &Arc<dyn Vm>, virtio: &[Plugged]) -> IoApic {
    let last = virtio.last().map_or(layout::SERIAL_GSI, |plugged| plugged.slot.gsi());
    let vm = vm.clone();
    IoApic::new(last + 1, Box::new(move |messages| vm.route_interrupts(messages)))
}

/// A device and its name in the configuration.
pub(super) type Named = (String, Box<dyn Device>);

/// Devices in the order in which the guest numbers them.
pub(super) fn devices(config: &VmConfig, files: &mut Files) -> Result<Vec<Named>, StartError> {
    let mut devices: Vec<Named> = Vec::new();
    for drive in root_first(config.drives()) {
        let block = Block::new(files.disk(drive)?, limiter(drive.rate_limiter)?, drive.engine());
        devices.push((drive.drive_id.clone(), Box::new(block)));
    }
    for network in config.network_interfaces() {
        let card = with_metadata(net(network, files)?, &network.iface_id, config.mmds(), files)?;
        devices.push((network.iface_id.clone(), Box::new(card)));
    }
    if let Some(balloon) = config.balloon() {
        devices.push(("balloon".into(), Box::new(Balloon::new(balloon.clone()).map_err(StartError::Device)?)));
    }
    if let Some(vsock) = config.vsock() {
        let device = files.vsock(vsock)?;
        devices.push((vsock.vsock_id.clone().unwrap_or_else(|| "vsock".into()), Box::new(device)));
    }
    if let Some(entropy) = config.entropy() {
        let limits = entropy.rate_limiter.map(|limits| limiter(Some(limits))).transpose()?;
        devices.push(("entropy".into(), Box::new(limits.map_or_else(Rng::default, Rng::limited))));
    }
    for (name, share) in files.shares()? {
        devices.push((name, Box::new(share)));
    }
    let room = usize::try_from(layout::VIRTIO_MAX).unwrap_or(usize::MAX).saturating_sub(devices.len());
    devices.extend(files.empty_slots().take(room).map(|(name, empty)| (name, Box::new(empty) as Box<dyn Device>)));
    Ok(devices)
}

/// The root disk is the guest's first, whenever it was configured.
fn root_first(drives: &[DriveConfig]) -> impl Iterator<Item = &DriveConfig> {
    let (root, others): (Vec<_>, Vec<_>) = drives.iter().partition(|drive| drive.is_root_device);
    root.into_iter().chain(others)
}

fn net(network: &NetworkConfig, files: &mut Files) -> Result<Net, StartError> {
    let identity = Identity { mac: network.guest_mac, mtu: network.mtu };
    let (receive, transmit) = (limiter(network.rx_rate_limiter)?, limiter(network.tx_rate_limiter)?);
    Ok(Net::new(files.tap(&network.host_dev_name)?, identity, receive, transmit))
}

/// The card, with the metadata service if it is one of those that reach it.
fn with_metadata(net: Net, id: &str, config: Option<&MmdsConfig>, files: &Files) -> Result<Net, StartError> {
    match config.filter(|config| config.network_interfaces.iter().any(|name| name == id)) {
        Some(config) => {
            let mmds = files.metadata().ok_or(StartError::Unsupported("the metadata service has nothing to tell"))?;
            Ok(net.with_metadata(Metadata::new(config.address(), mmds).map_err(StartError::Device)?))
        }
        None => Ok(net),
    }
}

fn limiter(config: Option<RateLimiterConfig>) -> Result<Limiter, StartError> {
    Limiter::new(config).map_err(StartError::Device)
}

/// Gives each device a slot, an interrupt line and doorbells.
pub(super) fn plug(vm: &dyn Vm, memory: &Memory, devices: Vec<Named>) -> Result<Vec<Plugged>, StartError> {
    let slots = (0..layout::VIRTIO_MAX).map(acpi::VirtioSlot::new);
    if devices.len() > slots.len() {
        return Err(StartError::TooManyDevices);
    }
    let plugged = slots.zip(devices).map(|(slot, (name, device))| {
        let transport = Transport::new(device, memory.clone()).map_err(StartError::Device)?;
        vm.connect_interrupt(transport.interrupt().line(), slot.gsi())?;
        for (queue, doorbell) in (0..).zip(transport.doorbells()) {
            vm.connect_doorbell(doorbell, slot.address() + mmio::NOTIFY, queue)?;
        }
        Ok(Plugged { transport: Arc::new(transport), slot, name })
    });
    plugged.collect()
}

fn load(
    config: &VmConfig,
    (source, files): (&BootSource, &mut Files),
    memory: &Memory,
    platform: &Platform,
    first: &dyn Vcpu,
) -> Result<(), StartError> {
    let mut kernel = files.open(&source.kernel_image_path)?;
    let mut initrd = source.initrd_path.as_deref().map(|path| files.open(path)).transpose()?;
    let command_line = command_line(source, config.drives());
    let mut source = boot::Source { kernel: &mut kernel, initrd: initrd.as_mut(), command_line: &command_line };
    let loaded = boot::load(memory, &mut source)?;
    let virtio: Vec<_> = platform.virtio.iter().map(|plugged| plugged.slot).collect();
    let serial = platform.serial.is_some().then_some(acpi::Serial);
    let keyboard = platform.keyboard.is_some().then_some(acpi::Keyboard);
    let tables = acpi::Platform { vcpus: config.machine().vcpu_count, virtio: &virtio, serial, keyboard };
    acpi::write(memory, &tables).map_err(boot::Error::from)?;
    first.set_entry(loaded.entry, memory)?;
    map_ahead(memory, first, loaded.kernel);
    Ok(())
}

/// The kernel is what the guest touches first. At most so much, because a kernel may say that it is larger; and with
/// pages behind it, because the hypervisor would map the host's one page of zeros, and map again at each store.
fn map_ahead(memory: &Memory, first: &dyn Vcpu, kernel: Range<u64>) {
    const LARGE_PAGE: u64 = 2 << 20;
    const MAX: u64 = 64 << 20;
    let start = kernel.start & !(LARGE_PAGE - 1);
    let addresses = start..kernel.end.next_multiple_of(LARGE_PAGE).min(start.saturating_add(MAX));
    match memory::populate(memory, &addresses) {
        Ok(()) => first.map_ahead(addresses),
        Err(error) => tracing::debug!("the kernel is not mapped ahead: {error}"),
    }
}

/// PCI is found by its first mechanism, which has no devices behind it, and is not searched early: a guest that is left
/// to itself finds that out by 230 exits, and `pci=off` makes Linux print a warning, which is 150.
const NO_PCI: &str = " pci=conf1,noearly";

/// The configured line with the root disk, as Firecracker adds it, and a word on PCI, of which it adds `pci=off`.
fn command_line(source: &BootSource, drives: &[DriveConfig]) -> String {
    let mut line = source.command_line().to_owned();
    if !line.split(' ').any(|word| word.starts_with("pci=")) {
        line += NO_PCI;
    }
    if let Some(root) = drives.iter().find(|drive| drive.is_root_device) {
        let device = match &root.partuuid {
            Some(uuid) => format!("PARTUUID={uuid}"),
            None => "/dev/vda".into(),
        };
        line += &format!(" root={device} {}", if root.read_only() { "ro" } else { "rw" });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(id: &str) -> DriveConfig {
        DriveConfig { drive_id: id.into(), ..Default::default() }
    }

    #[test]
    fn the_root_disk_is_first_and_named() {
        let root = DriveConfig { is_root_device: true, is_read_only: Some(true), ..drive("b") };
        let drives = [drive("a"), root];
        let names: Vec<_> = root_first(&drives).map(|drive| drive.drive_id.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let source = BootSource { boot_args: Some("quiet".into()), ..Default::default() };
        assert_eq!(command_line(&source, &drives), "quiet pci=conf1,noearly root=/dev/vda ro");
        let own = BootSource { boot_args: Some("pci=nomsi quiet".into()), ..Default::default() };
        assert_eq!(command_line(&own, &drives[..1]), "pci=nomsi quiet");
    }
}
