//! What a hypervisor knows of a stopped machine, as its own opaque records: a snapshot stores them and gives them back
//! to the same back end.

use kvm_bindings::{
    CpuId, Msrs, kvm_clock_data, kvm_debugregs, kvm_irqchip, kvm_lapic_state, kvm_mp_state, kvm_regs, kvm_sregs,
    kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};

/// Clock and interrupt controllers.
pub struct VmState {
    pub(crate) clock: kvm_clock_data,
    /// Two PICs and the I/O APIC, in KVM's order.
    pub(crate) irqchips: [kvm_irqchip; 3],
}

/// One processor.
pub struct VcpuState {
    pub(crate) cpuid: CpuId,
    pub(crate) tsc_khz: u32,
    pub(crate) regs: kvm_regs,
    pub(crate) sregs: kvm_sregs,
    pub(crate) xsave: kvm_xsave,
    pub(crate) xcrs: kvm_xcrs,
    pub(crate) debugregs: kvm_debugregs,
    pub(crate) lapic: kvm_lapic_state,
    pub(crate) msrs: Vec<Msrs>,
    pub(crate) events: kvm_vcpu_events,
    pub(crate) mp_state: kvm_mp_state,
}
