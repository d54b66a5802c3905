//! One virtual processor: entering the guest, exits, and its state.

use std::io;
use std::ops::Range;

use kvm_bindings::{CpuId, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN, MsrList};
use kvm_ioctls::{VcpuExit, VcpuFd};

use super::super::{Bus, Entry, Error, Exit, Vcpu, VcpuState};
use super::{ahead, kick, msrs, refused, registers};
use crate::memory::Memory;

/// One instruction of a guest exits less often before it is done; repeated string instructions are cut by KVM.
const EXITS_OF_ONE_INSTRUCTION_MAX: usize = 4096;
/// Frequencies that differ less are one: KVM's own tolerance is 250 parts per million.
const TSC_TOLERANCE: u32 = 4000;

/// The descriptor with its `kvm_run` page.
pub struct KvmVcpu {
    fd: VcpuFd,
    index: u8,
    saved_msrs: MsrList,
}

impl KvmVcpu {
    /// A processor whose features were set.
    pub fn new(fd: VcpuFd, index: u8, saved_msrs: MsrList) -> Result<Self, Error> {
        registers::set_initial_msrs(&fd)?;
        registers::set_initial_lapic(&fd)?;
        Ok(KvmVcpu { fd, index, saved_msrs })
    }

    fn broken(&self, reason: impl Into<String>) -> Error {
        Error::Broken { vcpu: self.index, reason: reason.into() }
    }

    fn where_it_was(&self) -> String {
        match self.fd.get_regs() {
            Ok(regs) => format!("at {:#x}", regs.rip),
            Err(_) => "at an unknown place".into(),
        }
    }

    /// The clock of a processor runs as fast as it did, as far as this host's can.
    fn set_tsc_khz(&self, khz: u32) -> Result<(), Error> {
        let here = self.fd.get_tsc_khz().map_err(refused("tell a processor's frequency"))?;
        match khz.abs_diff(here) > here / TSC_TOLERANCE {
            true => self.fd.set_tsc_khz(khz).map_err(refused("set the frequency of the snapshot's processor")),
            false => Ok(()),
        }
    }
}

impl Vcpu for KvmVcpu {
    fn set_entry(&self, entry: Entry, memory: &Memory) -> Result<(), Error> {
        registers::set_entry(&self.fd, entry, memory)
    }

    fn map_ahead(&self, addresses: Range<u64>) {
        ahead::map(&self.fd, addresses);
    }

    fn run(&mut self, bus: &dyn Bus) -> Result<Exit, Error> {
        let immediate_exit = &raw mut self.fd.get_kvm_run().immediate_exit;
        let Some(exit) = kick::with_kicks(immediate_exit, || enter(&mut self.fd, bus)) else {
            return Ok(Exit::Interrupted);
        };
        match exit {
            Entered::Settled(exit) => Ok(exit),
            Entered::Stopped(reason) => Err(self.broken(format!("{reason} {}", self.where_it_was()))),
        }
    }

    fn settle(&mut self, bus: &dyn Bus) -> Result<Exit, Error> {
        for _ in 0..EXITS_OF_ONE_INSTRUCTION_MAX {
            self.fd.set_kvm_immediate_exit(1);
            let entered = enter(&mut self.fd, bus);
            self.fd.set_kvm_immediate_exit(0);
            match entered {
                Entered::Settled(Exit::Handled) => {}
                Entered::Settled(exit) => return Ok(exit),
                Entered::Stopped(reason) => return Err(self.broken(format!("{reason} {}", self.where_it_was()))),
            }
        }
        Err(self.broken("an instruction never ends"))
    }

    fn state(&self) -> Result<VcpuState, Error> {
        let get = refused("tell a processor's state");
        // Order of KVM's own save code: the run state first, because reading it settles pending events.
        let mp_state = self.fd.get_mp_state().map_err(&get)?;
        // Before the interrupt controller: a deadline that passes in between shows there as an interrupt.
        let msrs = msrs::read(&self.fd, self.saved_msrs.as_slice())?;
        Ok(VcpuState {
            mp_state,
            regs: self.fd.get_regs().map_err(&get)?,
            sregs: self.fd.get_sregs().map_err(&get)?,
            xsave: self.fd.get_xsave().map_err(&get)?,
            xcrs: self.fd.get_xcrs().map_err(&get)?,
            debugregs: self.fd.get_debug_regs().map_err(&get)?,
            lapic: self.fd.get_lapic().map_err(&get)?,
            tsc_khz: self.fd.get_tsc_khz().map_err(&get)?,
            cpuid: self.fd.get_cpuid2(kvm_bindings::KVM_MAX_CPUID_ENTRIES).map_err(&get)?.as_slice().to_vec(),
            msrs,
            events: self.fd.get_vcpu_events().map_err(&get)?,
        })
    }

    fn set_state(&self, state: &VcpuState) -> Result<(), Error> {
        let set = refused("set a processor's state");
        let cpuid = CpuId::from_entries(&state.cpuid).map_err(|_| Error::Capability("room for so many features"))?;
        self.fd.set_cpuid2(&cpuid).map_err(&set)?;
        self.set_tsc_khz(state.tsc_khz)?;
        self.fd.set_mp_state(state.mp_state).map_err(&set)?;
        self.fd.set_regs(&state.regs).map_err(&set)?;
        self.fd.set_sregs(&state.sregs).map_err(&set)?;
        // SAFETY: the record is as large as the kernel's without dynamically enabled features, and none is enabled for
        // this process. The ioctl has no safe form.
        unsafe { self.fd.set_xsave(&state.xsave) }.map_err(&set)?;
        self.fd.set_xcrs(&state.xcrs).map_err(&set)?;
        self.fd.set_debug_regs(&state.debugregs).map_err(&set)?;
        self.fd.set_lapic(&state.lapic).map_err(&set)?;
        msrs::write(&self.fd, &state.msrs)?;
        self.fd.set_vcpu_events(&state.events).map_err(&set)
    }

    fn resumed(&self) -> Result<(), Error> {
        match self.fd.kvmclock_ctrl() {
            // A guest without kvmclock has no watchdog that asks it.
            Err(errno) if errno.errno() != libc::EINVAL => Err(refused("tell the guest that it was stopped")(errno)),
            _ => Ok(()),
        }
    }
}

enum Entered {
    Settled(Exit),
    Stopped(String),
}

fn enter(fd: &mut VcpuFd, bus: &dyn Bus) -> Entered {
    use Entered::{Settled, Stopped};
    match fd.run() {
        Ok(VcpuExit::IoIn(port, data)) => bus.port_read(port, data),
        Ok(VcpuExit::IoOut(port, data)) => bus.port_write(port, data),
        Ok(VcpuExit::MmioRead(address, data)) => bus.mmio_read(address, data),
        Ok(VcpuExit::MmioWrite(address, data)) => bus.mmio_write(address, data),
        Ok(VcpuExit::Intr) => return Settled(Exit::Interrupted),
        Ok(VcpuExit::Shutdown) => return Settled(Exit::Reset),
        Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_RESET | KVM_SYSTEM_EVENT_SHUTDOWN, _)) => {
            return Settled(Exit::Reset);
        }
        Ok(VcpuExit::FailEntry(reason, cpu)) => return Stopped(format!("entry failed with {reason:#x} on CPU {cpu}")),
        Ok(VcpuExit::InternalError) => return Stopped("an instruction could not be emulated".into()),
        Ok(other) => return Stopped(format!("unexpected exit {other:?}")),
        Err(errno) => return entry_error(io::Error::from(errno)),
    }
    Settled(Exit::Handled)
}

fn entry_error(error: io::Error) -> Entered {
    match error.raw_os_error() {
        Some(libc::EINTR | libc::EAGAIN) => Entered::Settled(Exit::Interrupted),
        _ => Entered::Stopped(format!("KVM_RUN failed: {error}")),
    }
}
