//! One virtual machine: memory slots, interrupt lines, doorbells and the clock.

use std::time::SystemTime;

use kvm_bindings::{
    KVM_CAP_SPLIT_IRQCHIP, KVM_CLOCK_REALTIME, KVM_IRQ_ROUTING_MSI, KVM_MAX_CPUID_ENTRIES, KVM_MEM_LOG_DIRTY_PAGES,
    KvmIrqRouting, MsrList, kvm_clock_data, kvm_enable_cap, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1,
    kvm_irq_routing_msi, kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, IoEventAddress, Kvm as Device, VmFd};
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use super::super::{Clock, DirtyLog, Error, ForeignCpu, Message, Topology, Vcpu, VcpuState, Vm, VmState};
use super::vcpu::KvmVcpu;
use super::{cpuid, foreign, kick, refused, registers};
use crate::memory::{Memory, Region, layout};

/// No line is a level, so that KVM need not tell of the end of any interrupt: it is told of no pin.
const LOCAL_APICS: kvm_enable_cap = kvm_enable_cap { cap: KVM_CAP_SPLIT_IRQCHIP, flags: 0, args: [0; 4], pad: [0; 64] };

/// The descriptor, and what was learnt of the device for its processors.
pub struct KvmVm {
    fd: VmFd,
    /// Kept mapped as long as the slots are set. Dropped after `fd`.
    memory: Option<Memory>,
    supported: kvm_bindings::CpuId,
    saved_msrs: MsrList,
    has_machine_checks: bool,
}

impl KvmVm {
    /// A machine whose processors have APICs. Other interrupt controllers are not KVM's business, and there is no timer
    /// chip: guests have kvmclock and their APIC's timer.
    pub fn new(device: &Device) -> Result<Self, Error> {
        kick::install()?;
        let fd = device.create_vm().map_err(refused("create a machine"))?;
        fd.set_tss_address(layout::TSS).map_err(refused("place the task state segment"))?;
        fd.enable_cap(&LOCAL_APICS).map_err(refused("create local APICs"))?;
        let mut supported =
            device.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(refused("tell processor features"))?;
        let deadline_timer = if device.check_extension(Cap::TscDeadlineTimer) {
            cpuid::DeadlineTimer::Present
        } else {
            cpuid::DeadlineTimer::Absent
        };
        cpuid::prepare(&mut supported, deadline_timer);
        let saved_msrs = device.get_msr_index_list().map_err(refused("list model specific registers"))?;
        let has_machine_checks = device.check_extension(Cap::Mce);
        Ok(KvmVm { fd, memory: None, supported, saved_msrs, has_machine_checks })
    }

    fn map_region(&self, slot: u32, region: &Region, log: DirtyLog) -> Result<(), Error> {
        let mapping = region.get_mmap();
        let slot = kvm_userspace_memory_region {
            slot,
            flags: if log == DirtyLog::On { KVM_MEM_LOG_DIRTY_PAGES } else { 0 },
            guest_phys_addr: region.start_addr().raw_value(),
            memory_size: region.len(),
            userspace_addr: mapping.as_ptr() as u64,
        };
        // SAFETY: the region stays mapped as long as `self.memory` holds it, which is dropped after the machine's
        // descriptor. All accesses of ours to guest memory are volatile. The ioctl has no safe form.
        unsafe { self.fd.set_user_memory_region(slot) }.map_err(refused("map guest memory"))
    }
}

fn route((gsi, message): &(u32, Message)) -> kvm_irq_routing_entry {
    let msi = kvm_irq_routing_msi { address_lo: message.address, data: message.data, ..Default::default() };
    let u = kvm_irq_routing_entry__bindgen_ty_1 { msi };
    kvm_irq_routing_entry { gsi: *gsi, type_: KVM_IRQ_ROUTING_MSI, u, ..Default::default() }
}

/// KVM tells the host's time with a guest's only where the host's clock is the time stamp counter; it takes it from
/// everybody.
fn with_host_time(mut clock: kvm_clock_data) -> kvm_clock_data {
    if clock.flags & KVM_CLOCK_REALTIME == 0 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        clock.realtime = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        clock.flags |= KVM_CLOCK_REALTIME;
    }
    clock
}

impl Vm for KvmVm {
    fn map_memory(&mut self, memory: &Memory, log: DirtyLog) -> Result<(), Error> {
        self.memory = Some(memory.clone());
        for (slot, region) in (0..).zip(memory.iter()) {
            self.map_region(slot, region, log)?;
        }
        Ok(())
    }

    fn create_vcpu(&self, index: u8, topology: Option<Topology>) -> Result<Box<dyn Vcpu>, Error> {
        let fd = self.fd.create_vcpu(u64::from(index)).map_err(refused("create a processor"))?;
        if let Some(topology) = topology {
            let cpuid = cpuid::for_vcpu(&self.supported, index, topology)?;
            fd.set_cpuid2(&cpuid).map_err(refused("set a processor's features"))?;
        }
        if self.has_machine_checks {
            registers::set_machine_checks(&fd)?;
        }
        Ok(Box::new(KvmVcpu::new(fd, index, self.saved_msrs.clone())?))
    }

    fn connect_interrupt(&self, event: &EventFd, gsi: u32) -> Result<(), Error> {
        self.fd.register_irqfd(event, gsi).map_err(refused("connect an interrupt line"))
    }

    fn route_interrupts(&self, messages: &[(u32, Message)]) -> Result<(), Error> {
        let routes: Vec<_> = messages.iter().map(route).collect();
        let routes = KvmIrqRouting::from_entries(&routes).map_err(|_| Error::Capability("so many routes"))?;
        self.fd.set_gsi_routing(&routes).map_err(refused("route interrupts"))
    }

    fn connect_doorbell(&self, event: &EventFd, address: u64, value: u32) -> Result<(), Error> {
        self.fd
            .register_ioevent(event, &IoEventAddress::Mmio(address), value)
            .map_err(refused("connect a device's doorbell"))
    }

    fn dirty_pages(&self) -> Result<Vec<Vec<u64>>, Error> {
        let regions = self.memory.iter().flat_map(|memory| memory.iter());
        let log = |(slot, region): (u32, &Region)| {
            let len = usize::try_from(region.len()).map_err(|_| Error::Capability("a 64-bit host"))?;
            self.fd.get_dirty_log(slot, len).map_err(refused("tell which pages were written"))
        };
        (0..).zip(regions).map(log).collect()
    }

    fn state(&self) -> Result<VmState, Error> {
        Ok(VmState { clock: with_host_time(self.fd.get_clock().map_err(refused("tell the clock"))?) })
    }

    fn set_state(&self, state: &VmState, clock: Clock) -> Result<(), Error> {
        let mut time = state.clock;
        if clock == Clock::CatchUp && time.flags & KVM_CLOCK_REALTIME == 0 {
            return Err(Error::Capability("the host's time in the saved clock"));
        }
        // The other flags only tell.
        time.flags &= if clock == Clock::CatchUp { KVM_CLOCK_REALTIME } else { 0 };
        self.fd.set_clock(&time).map_err(refused("set the clock"))
    }

    fn check_cpu(&self, state: &VcpuState) -> Result<(), ForeignCpu> {
        foreign::check(&state.cpuid, self.supported.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_saved_clock_has_the_hosts_time() {
        let told = kvm_clock_data { flags: KVM_CLOCK_REALTIME, realtime: 7, clock: 5, ..Default::default() };
        assert_eq!(with_host_time(told).realtime, 7);
        let added = with_host_time(kvm_clock_data { clock: 5, ..Default::default() });
        assert!(added.flags & KVM_CLOCK_REALTIME != 0 && added.realtime > 1 << 60 && added.clock == 5, "{added:?}");
    }
}
