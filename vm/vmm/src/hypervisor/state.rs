//! What a hypervisor knows of a stopped machine, as its own opaque records: a snapshot stores them and gives them back
//! to the same back end.

use kvm_bindings::{
    kvm_clock_data, kvm_cpuid_entry2, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs,
    kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use serde::{Deserialize, Serialize};

/// What is not a processor's.
#[derive(Serialize, Deserialize)]
pub struct VmState {
    pub(crate) clock: kvm_clock_data,
}

/// One processor.
#[derive(Serialize, Deserialize)]
pub struct VcpuState {
    pub(crate) cpuid: Vec<kvm_cpuid_entry2>,
    pub(crate) tsc_khz: u32,
    pub(crate) regs: kvm_regs,
    pub(crate) sregs: kvm_sregs,
    pub(crate) xsave: kvm_xsave,
    pub(crate) xcrs: kvm_xcrs,
    pub(crate) debugregs: kvm_debugregs,
    pub(crate) lapic: kvm_lapic_state,
    pub(crate) msrs: Vec<kvm_msr_entry>,
    pub(crate) events: kvm_vcpu_events,
    pub(crate) mp_state: kvm_mp_state,
}

/// What becomes of the guest's clock while it stood still.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// It goes on where it stood.
    #[default]
    Continue,
    /// It is put forward by the time that passed on the host's.
    CatchUp,
}
