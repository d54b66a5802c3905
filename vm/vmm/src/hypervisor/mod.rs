//! What a hypervisor must do for a machine, and nothing of how: one back end, [`kvm`], stands behind these traits.
//!
//! A back end knows no device and no boot protocol. It runs virtual processors, hands their exits to a [`Bus`], and
//! connects event descriptors to interrupt lines and to guest writes.

pub mod kvm;
mod state;
pub mod trial;

use std::io;
use std::ops::Range;

use vmm_sys_util::eventfd::EventFd;

pub use self::state::{Clock, VcpuState, VmState};
use crate::memory::Memory;

/// Where the first processor begins, and in which mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Xen's PVH protocol: 32-bit protected mode without paging, `ebx` holds the start info's address.
    Pvh {
        /// The first instruction.
        address: u64,
        /// The `hvm_start_info`.
        start_info: u64,
    },
    /// Linux's 64-bit protocol: long mode with the first GiB mapped one to one, `rsi` holds the zero page's address.
    Long {
        /// The first instruction.
        address: u64,
        /// The `boot_params`.
        zero_page: u64,
    },
}

impl Entry {
    /// The first instruction.
    pub fn address(self) -> u64 {
        match self {
            Entry::Pvh { address, .. } | Entry::Long { address, .. } => address,
        }
    }
}

/// How many processors there are, and whether pairs of them are threads of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    vcpus: u8,
    threads_per_core: u8,
}

impl Topology {
    /// So many cores of one thread.
    pub fn cores(vcpus: u8) -> Self {
        Topology { vcpus, threads_per_core: 1 }
    }

    /// So many threads, two of each core; a single one is a core.
    pub fn threads(vcpus: u8) -> Self {
        Topology { vcpus, threads_per_core: vcpus.clamp(1, 2) }
    }

    /// Processors.
    pub fn vcpus(self) -> u8 {
        self.vcpus
    }

    /// Threads of one core.
    pub fn threads_per_core(self) -> u8 {
        self.threads_per_core
    }
}

/// A stretch of guest memory behind one slot of the hypervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirtyLog {
    /// Writes are not recorded.
    Off,
    /// Every page that the guest writes is recorded, for snapshots of what changed.
    On,
}

/// An interrupt as processors' APICs take it, in the form of PCI's message signalled interrupts (Intel SDM 3A, 11.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Which processors, and how they are named.
    pub address: u32,
    /// Vector and delivery mode.
    pub data: u32,
}

/// Why a processor stopped running guest code, where its bus could not settle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A device saw to it; go on.
    Handled,
    /// A signal came: look whether somebody wants this processor to pause.
    Interrupted,
    /// The guest asked to be reset, or ended in a triple fault.
    Reset,
}

/// Where guest accesses that no memory answers go. Implementations are shared by all processors.
pub trait Bus: Send + Sync {
    /// `in` from a port.
    fn port_read(&self, port: u16, data: &mut [u8]);
    /// `out` to a port.
    fn port_write(&self, port: u16, data: &[u8]);
    /// A load outside memory.
    fn mmio_read(&self, address: u64, data: &mut [u8]);
    /// A store outside memory.
    fn mmio_write(&self, address: u64, data: &[u8]);
}

/// One virtual machine.
pub trait Vm: Send + Sync {
    /// Makes guest memory visible to the guest. The hypervisor keeps the memory mapped as long as it lives.
    fn map_memory(&mut self, memory: &Memory, log: DirtyLog) -> Result<(), Error>;
    /// Adds a processor, with the features of its place in a topology or with none: those of its state come with that.
    /// Those after the first wait for the guest to start them.
    fn create_vcpu(&self, index: u8, topology: Option<Topology>) -> Result<Box<dyn Vcpu>, Error>;
    /// Writes to `event` raise interrupt line `gsi`, as an edge.
    fn connect_interrupt(&self, event: &EventFd, gsi: u32) -> Result<(), Error>;
    /// Edges of these lines are these messages from now on, and those of all others are lost.
    fn route_interrupts(&self, messages: &[(u32, Message)]) -> Result<(), Error>;
    /// A 32-bit guest store of `value` to `address` signals `event` and wakes no processor thread.
    fn connect_doorbell(&self, event: &EventFd, address: u64, value: u32) -> Result<(), Error>;
    /// The pages of each region of memory that were written since the last call, a bit for each page.
    fn dirty_pages(&self) -> Result<Vec<Vec<u64>>, Error>;
    /// The clock; no processor may run.
    fn state(&self) -> Result<VmState, Error>;
    /// Sets what [`Vm::state`] told, after the state of all processors.
    fn set_state(&self, state: &VmState, clock: Clock) -> Result<(), Error>;
    /// Whether a processor in this state could go on here; else why not.
    fn check_cpu(&self, state: &VcpuState) -> Result<(), ForeignCpu>;
}

/// One virtual processor; belongs to the thread that runs it.
pub trait Vcpu: Send {
    /// Sets the registers that the boot protocol asks for.
    fn set_entry(&self, entry: Entry, memory: &Memory) -> Result<(), Error>;
    /// Lets the guest reach this memory without an exit, as far as the hypervisor can. The rest comes when touched.
    fn map_ahead(&self, addresses: Range<u64>);
    /// Runs guest code until one exit was handled or needs more than the bus. [`kick_signal`] to the calling thread
    /// ends it, also one that came just before.
    fn run(&mut self, bus: &dyn Bus) -> Result<Exit, Error>;
    /// Finishes what the guest's last exit began, without running it any further: until then its state is neither that
    /// before nor that after the instruction.
    fn settle(&mut self, bus: &dyn Bus) -> Result<Exit, Error>;
    /// Everything of this processor that a snapshot needs, once it is settled.
    fn state(&self) -> Result<VcpuState, Error>;
    /// Sets what [`Vcpu::state`] told.
    fn set_state(&self, state: &VcpuState) -> Result<(), Error>;
    /// Tells the guest that it was stopped, so that its watchdogs do not fire.
    fn resumed(&self) -> Result<(), Error>;
}

/// The signal that makes a running processor come back.
pub fn kick_signal() -> libc::c_int {
    vmm_sys_util::signal::SIGRTMIN()
}

/// Why a processor's state cannot go on here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignCpu {
    /// Another maker's.
    #[error("it was taken on a processor by {saved}, and this one is by {here}")]
    Vendor {
        /// The snapshot's.
        saved: String,
        /// This machine's.
        here: String,
    },
    /// Features that the guest knows of are missing.
    #[error(
        "its guest uses processor features that are missing here: CPUID {function:#x}.{index} {register} {bits:#x}"
    )]
    Features {
        /// The leaf.
        function: u32,
        /// Its part.
        index: u32,
        /// The register.
        register: &'static str,
        /// The missing bits.
        bits: u32,
    },
    /// The processor is not described.
    #[error("it does not say what its processor was")]
    Unknown,
}

/// Why a hypervisor cannot be used, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no device.
    #[error(
        "there is no /dev/kvm: load the kvm_intel or kvm_amd module, switch virtualisation on in the firmware, or, in a \
         virtual machine, ask its provider for nested virtualisation"
    )]
    Absent,
    /// The device may not be opened.
    #[error("no permission to open /dev/kvm: run as root or join its group (usually `kvm`)")]
    Permission,
    /// Opening failed otherwise.
    #[error("cannot open /dev/kvm: {0}")]
    Open(#[source] io::Error),
    /// The interface has another version.
    #[error("/dev/kvm speaks version {0} of its interface, not 12")]
    Version(i32),
    /// A capability that the machine is built on.
    #[error("this KVM lacks {0}; Linux 5.10 or later has it")]
    Capability(&'static str),
    /// Privileged guest code is interpreted by software that cannot interpret what Linux needs.
    #[error(
        "this /dev/kvm emulates a guest's privileged code in software and cannot run a Linux guest ({0}); use a host \
         with hardware virtualisation, or another isolation class"
    )]
    Emulated(String),
    /// The trial guest did not come to its end.
    #[error("this /dev/kvm did not run ten instructions of a trial guest within {0} ms; it cannot run guests")]
    Stalled(u128),
    /// A processor stopped in a way that nothing can be done about.
    #[error("virtual processor {vcpu} cannot go on: {reason}")]
    Broken {
        /// Which.
        vcpu: u8,
        /// What the hypervisor says.
        reason: String,
    },
    /// A request was refused.
    #[error("KVM refused to {what}: {source}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
}
