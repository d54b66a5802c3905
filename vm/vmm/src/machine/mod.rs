//! A machine: built from a configuration, run by a thread for each processor, one for all devices, and one for each
//! disk whose requests are served one after the other.
//!
//! ```text
//!  vcpu 0 … n   KVM_RUN ─ exit ─▶ platform ─▶ registers of a device (its lock) ─▶ back into the guest
//!                          │ doorbell (ioeventfd)                     ▲ interrupt (irqfd)
//!  devices      epoll ◀────┘  queues, host files, tap, sockets ───────┘
//! ```
//!
//! An interrupt takes the route that its line's pin of the [`io_apic`] has. Threads share one [`control`]; to pause is
//! to set the order and to kick everybody out of the guest or out of its wait. Lock order: processor, device, control.

mod build;
mod control;
mod events;
mod files;
mod io_apic;
mod platform;
mod restore;
mod save;
mod slots;
mod statistics;
mod vcpu;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::control::Order;
use self::events::DeviceThread;
use self::platform::Platform;
use self::vcpu::VcpuThread;
use crate::config::{BalloonStats, RateLimiterConfig, VmConfig};
use crate::devices::PressError;
use crate::devices::virtio::Device;
use crate::devices::virtio::balloon::Balloon;
use crate::devices::virtio::block::{Block, Disk};
use crate::devices::virtio::mmio::Transport;
use crate::devices::virtio::net::{self, Net};
use crate::hypervisor::{self, Vm};
use crate::memory::Memory;
use crate::seccomp::Filters;
use crate::snapshot::tag::Tag;
use crate::{boot, devices, memory};

pub use self::events::Error as EventsError;
pub use self::files::Files;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::io_apic::IoApic;
pub(crate) use self::io_apic::IoApicState;
pub use self::restore::{MemorySource, RestoreError};
pub use self::save::SaveError;
pub use self::slots::{PlugError, Slot};
pub use self::statistics::{Phase, Place, Statistics};

/// The balloon's name among devices.
const BALLOON: &str = "balloon";

/// A processor or the devices' thread that takes longer to stand still waits for somebody else: a console that nobody
/// reads, a page fault handler or a file server that is silent.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The guest asked for a reset, or crashed so hard that hardware would have reset.
    Reset,
    /// The guest switched itself off.
    Off,
    /// Its owner ended it.
    Stopped,
    /// A processor could not go on.
    Failed(String),
}

/// What stands at the other end of the serial line.
pub struct Console {
    /// Where output goes.
    pub output: Box<dyn std::io::Write + Send>,
    /// Where input comes from.
    pub input: Option<OwnedFd>,
}

/// Why a machine cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no kernel.
    #[error("the machine has no boot source")]
    NoBootSource,
    /// A file of the boot source cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// More devices than interrupt lines.
    #[error("a machine has at most {max} devices", max = crate::memory::layout::VIRTIO_MAX)]
    TooManyDevices,
    /// The configuration has what this machine cannot do.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The hypervisor.
    #[error(transparent)]
    Hypervisor(#[from] hypervisor::Error),
    /// Guest memory.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// Kernel, initrd, tables.
    #[error(transparent)]
    Boot(#[from] boot::Error),
    /// A disk.
    #[error(transparent)]
    Disk(#[from] devices::virtio::block::OpenError),
    /// A tap.
    #[error(transparent)]
    Tap(#[from] net::OpenError),
    /// A shared directory.
    #[error("cannot share the directory {tag}: {source}")]
    Share {
        /// Its tag.
        tag: String,
        /// Why.
        source: devices::virtio::fs::ServerError,
    },
    /// Descriptors for a device.
    #[error("cannot set up a device: {0}")]
    Device(#[source] std::io::Error),
    /// The devices' thread.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A thread has no system call filter.
    #[error("{0}")]
    Confine(String),
    /// A processor's thread.
    #[error("cannot start a processor's thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Why a machine cannot be paused.
#[derive(Debug, thiserror::Error)]
#[error(
    "the machine does not stand still within {max} s and goes on: its console, its page fault handler or a file server \
     does not answer",
    max = PAUSE_MAX.as_secs()
)]
pub struct PauseError;

/// Why a device cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is none of that kind and name.
    #[error("there is no device {0} of this kind")]
    Unknown(String),
    /// The device could not tell its driver.
    #[error(transparent)]
    Device(devices::virtio::Error),
}

/// A running machine.
pub struct Machine {
    vcpus: Vec<VcpuThread>,
    devices: Vec<DeviceThread>,
    platform: Arc<Platform>,
    vm: Arc<dyn Vm>,
    memory: Memory,
    /// Of the snapshot that the next diff goes over: its own last one, or the one that it came from.
    base: Mutex<Option<Tag>>,
    /// Leads a restored guest's page faults to their handler, which sees this end of its socket close with the machine.
    #[expect(dead_code, reason = "only kept")]
    faults: Option<(OwnedFd, UnixStream)>,
}

impl Machine {
    /// Builds a machine and lets it run.
    pub fn start(config: &VmConfig, console: Console) -> Result<Self, StartError> {
        Self::start_with(config, Files::default(), console)
    }

    /// The same with files that are open already.
    pub fn start_with(config: &VmConfig, files: Files, console: Console) -> Result<Self, StartError> {
        let machine = Self::prepare(config, files, console, Filters::On)?;
        machine.run();
        Ok(machine)
    }

    /// Builds a machine that stands before its first instruction, its threads behind their filters. The caller's own
    /// thread is the caller's to confine before it lets the machine [`Machine::run`].
    pub fn prepare(config: &VmConfig, files: Files, console: Console, filters: Filters) -> Result<Self, StartError> {
        build::build(config, files, console, filters)
    }

    /// Lets a prepared machine run.
    pub fn run(&self) {
        self.platform.control.run();
    }

    /// Stops all processors and devices, and returns when they stand still.
    ///
    /// # Errors
    /// See [`PauseError`]: all run as before.
    pub fn pause(&self) -> Result<(), PauseError> {
        self.platform.control.pause();
        self.kick();
        if self.platform.control.stands_still_within(self.threads(), PAUSE_MAX) {
            return Ok(());
        }
        self.platform.control.run();
        Err(PauseError)
    }

    /// Lets a paused machine go on; one that runs, or has ended, stays as it is.
    pub fn resume(&self) -> Result<(), hypervisor::Error> {
        if self.platform.control.order() != Order::Pause {
            return Ok(());
        }
        for thread in &self.vcpus {
            thread.vcpu().resumed()?;
        }
        self.platform.control.run();
        Ok(())
    }

    /// Waits until the guest ends, or until [`Machine::stop`] from another thread.
    pub fn wait(&self) -> Outcome {
        self.platform.control.wait_for_end()
    }

    /// Calls `tell` when it has ended, in a thread of the machine's: it may neither wait nor drop the machine.
    pub fn at_end(&self, tell: impl FnOnce(Outcome) + Send + 'static) {
        self.platform.control.at_end(Box::new(tell));
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.platform.control.outcome()
    }

    /// Ends the machine, whatever its guest does.
    pub fn stop(&self) {
        self.platform.control.end(Outcome::Stopped);
        self.kick();
    }

    /// How long the guest took to its boot timer.
    pub fn booted(&self) -> Option<Duration> {
        self.platform.timer.booted()
    }

    /// Presses Ctrl, Alt and Delete.
    pub fn press_ctrl_alt_delete(&self) -> Result<(), PressError> {
        self.platform.keyboard.as_ref().ok_or(PressError::Absent)?.press_ctrl_alt_delete()
    }

    /// Exits and phases.
    pub fn statistics(&self) -> &Statistics {
        &self.platform.statistics
    }

    /// Puts another file behind a drive, which the guest hears of.
    pub fn replace_disk(&self, drive: &str, disk: Disk) -> Result<(), DeviceError> {
        self.with_device(drive, |block: &mut Block| block.replace(disk.named(drive)))?;
        self.announce::<Block>(drive)
    }

    /// Changes a drive's limits.
    pub fn limit_disk(&self, drive: &str, limits: Option<RateLimiterConfig>) -> Result<(), DeviceError> {
        self.with_device(drive, |block: &mut Block| block.limiter().set(limits))
    }

    /// Changes the limits of what a card receives and sends.
    pub fn limit_network(
        &self,
        card: &str,
        receive: Option<RateLimiterConfig>,
        transmit: Option<RateLimiterConfig>,
    ) -> Result<(), DeviceError> {
        self.with_device(card, |net: &mut Net| {
            let (receiver, transmitter) = net.limiters();
            receiver.set(receive);
            transmitter.set(transmit);
        })
    }

    /// Asks the guest for another size of its balloon.
    pub fn resize_balloon(&self, amount_mib: u32) -> Result<(), DeviceError> {
        self.with_device(BALLOON, |balloon: &mut Balloon| balloon.set_target_mib(amount_mib))?;
        self.announce::<Balloon>(BALLOON)
    }

    /// Changes how often the balloon's statistics are fetched.
    pub fn set_balloon_interval(&self, interval_s: u16) -> Result<(), DeviceError> {
        self.with_device(BALLOON, |balloon: &mut Balloon| balloon.set_interval_s(interval_s))
    }

    /// What the balloon's driver reported last; none where no statistics were configured.
    pub fn balloon_stats(&self) -> Result<Option<BalloonStats>, DeviceError> {
        self.with_device(BALLOON, |balloon: &mut Balloon| balloon.stats())
    }

    /// A device by its name in the configuration, if it is one of this kind.
    fn with_device<D: Device, T>(&self, name: &str, act: impl FnOnce(&mut D) -> T) -> Result<T, DeviceError> {
        let found = self.transport::<D>(name)?.with_kind(act);
        found.ok_or_else(|| DeviceError::Unknown(name.into()))
    }

    fn announce<D: Device>(&self, name: &str) -> Result<(), DeviceError> {
        self.transport::<D>(name)?.config_changed().map_err(DeviceError::Device)
    }

    fn transport<D: Device>(&self, name: &str) -> Result<&Transport, DeviceError> {
        self.platform.named::<D>(name).ok_or_else(|| DeviceError::Unknown(name.into()))
    }

    /// Of the snapshot that a diff goes over.
    pub(crate) fn base(&self) -> Option<Tag> {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_base(&self, tag: Tag) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
    }

    /// Guest memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn threads(&self) -> usize {
        self.vcpus.len() + self.devices.len()
    }

    fn kick(&self) {
        self.vcpus.iter().for_each(VcpuThread::kick);
        self.devices.iter().for_each(DeviceThread::kick);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
        self.vcpus.drain(..).for_each(VcpuThread::join);
        self.devices.drain(..).for_each(DeviceThread::join);
    }
}
