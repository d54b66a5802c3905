//! What a guest learns of its processors: the host's features as KVM supports them, with a topology of its own, one
//! package of cores with one thread or two.
//!
//! Leaf numbers and fields: Intel SDM 2A (CPUID), AMD APM 3 appendix E, Documentation/virt/kvm/x86/cpuid.rst.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

use super::super::{Error, Topology};

const ECX1_DEADLINE_TIMER: u32 = 1 << 24;
const ECX1_HYPERVISOR: u32 = 1 << 31;
const EDX1_HYPER_THREADING: u32 = 1 << 28;
/// Memory type ranges, in leaf 1 and AMD's copy of it: they decide nothing under nested paging, but a guest that finds
/// them reads and writes 100 registers, each an exit.
const EDX1_MTRR: u32 = 1 << 12;
/// Leaf 7: a register of Intel's that KVM makes up for others, where Linux knows better.
const EDX7_ARCH_CAPABILITIES: u32 = 1 << 29;
const INTEL: u32 = u32::from_le_bytes(*b"Genu");
/// Leaf 6: the APIC timer runs in all power states; nothing else of power management is passed on.
const EAX6_ALWAYS_RUNNING_TIMER: u32 = 1 << 2;
const LEAF_PMU: u32 = 0xa;
const LEAF_TOPOLOGY: u32 = 0xb;
const LEAF_TOPOLOGY_2: u32 = 0x1f;
const LEVEL_THREADS: u32 = 1;
const LEVEL_CORES: u32 = 2;

/// Whether KVM emulates the deadline mode of the APIC's timer, which spares the guest a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineTimer {
    /// It does.
    Present,
    /// It does not.
    Absent,
}

/// Settles what all processors have in common.
pub fn prepare(supported: &mut CpuId, timer: DeadlineTimer) {
    supported.retain(|entry| ![LEAF_TOPOLOGY, LEAF_TOPOLOGY_2].contains(&entry.function));
    let is_intel = supported.as_slice().iter().any(|entry| (entry.function, entry.ebx) == (0, INTEL));
    for entry in supported.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ecx |= ECX1_HYPERVISOR;
                entry.edx &= !EDX1_MTRR;
                if timer == DeadlineTimer::Present {
                    entry.ecx |= ECX1_DEADLINE_TIMER;
                }
            }
            6 => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (entry.eax & EAX6_ALWAYS_RUNNING_TIMER, 0, 0, 0),
            7 if entry.index == 0 && !is_intel => entry.edx &= !EDX7_ARCH_CAPABILITIES,
            LEAF_PMU => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0),
            0x8000_0001 => entry.edx &= !EDX1_MTRR,
            _ => {}
        }
    }
}

/// The leaves of processor `index`.
pub fn for_vcpu(prepared: &CpuId, index: u8, topology: Topology) -> Result<CpuId, Error> {
    let mut cpuid = prepared.clone();
    for entry in cpuid.as_mut_slice() {
        set_topology(entry, index, topology);
    }
    let last = cpuid.as_slice().iter().find(|entry| entry.function == 0).map_or(0, |entry| entry.eax);
    for entry in topology_leaves(index, topology).filter(|entry| entry.function <= last) {
        cpuid.push(entry).map_err(|_| Error::Capability("room for the processors' topology"))?;
    }
    Ok(cpuid)
}

fn set_topology(entry: &mut kvm_cpuid_entry2, index: u8, topology: Topology) {
    let index = u32::from(index);
    let (count, threads) = (u32::from(topology.vcpus()), u32::from(topology.threads_per_core()));
    // Caches of the first two levels belong to one core, deeper ones to all.
    let sharing = |eax: u32| if (eax >> 5) & 7 >= 3 { count - 1 } else { threads - 1 };
    match entry.function {
        1 => {
            entry.ebx = (entry.ebx & 0xffff) | count << 16 | index << 24;
            entry.edx = with_bit(entry.edx, EDX1_HYPER_THREADING, count > 1);
        }
        4 if entry.eax & 0x1f != 0 => {
            let cores = count / threads;
            entry.eax = (entry.eax & 0x3fff) | sharing(entry.eax) << 14 | (cores - 1).min(63) << 26;
        }
        0x8000_0008 => entry.ecx = (count - 1) | id_bits(count) << 12,
        0x8000_001d if entry.eax & 0x1f != 0 => {
            entry.eax = (entry.eax & 0x3fff) | sharing(entry.eax) << 14;
        }
        0x8000_001e => (entry.eax, entry.ebx, entry.ecx) = (index, (index / threads) | ((threads - 1) << 8), 0),
        _ => {}
    }
}

fn with_bit(value: u32, bit: u32, set: bool) -> u32 {
    if set { value | bit } else { value & !bit }
}

/// Bits that number so many.
fn id_bits(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

fn topology_leaves(index: u8, topology: Topology) -> impl Iterator<Item = kvm_cpuid_entry2> {
    let index = u32::from(index);
    let (count, threads) = (u32::from(topology.vcpus()), u32::from(topology.threads_per_core()));
    let levels = [(id_bits(threads), threads, LEVEL_THREADS), (id_bits(count), count, LEVEL_CORES), (0, 0, 0)];
    [LEAF_TOPOLOGY, LEAF_TOPOLOGY_2].into_iter().flat_map(move |function| {
        (0..).zip(levels).map(move |(level, (shift, processors, kind))| kvm_cpuid_entry2 {
            function,
            index: level,
            flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            eax: shift,
            ebx: processors,
            ecx: level | kind << 8,
            edx: index,
            ..Default::default()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(cpuid: &CpuId, function: u32, index: u32) -> kvm_cpuid_entry2 {
        let found = cpuid.as_slice().iter().find(|entry| entry.function == function && entry.index == index);
        *found.expect("the leaf")
    }

    #[test]
    fn every_processor_finds_its_place() {
        let one = kvm_cpuid_entry2 { function: 1, ebx: 0xff00_0800, ..Default::default() };
        let zero = kvm_cpuid_entry2 { eax: 0xb, ..Default::default() };
        let mut supported = CpuId::from_entries(&[zero, one]).expect("two entries");
        prepare(&mut supported, DeadlineTimer::Present);
        let cpuid = for_vcpu(&supported, 2, Topology::cores(3)).expect("room");
        assert_eq!(leaf(&cpuid, 1, 0).ebx, 0x0203_0800);
        assert_eq!(leaf(&cpuid, 1, 0).ecx, ECX1_HYPERVISOR | ECX1_DEADLINE_TIMER);
        assert_eq!(leaf(&cpuid, 1, 0).edx, EDX1_HYPER_THREADING);
        let cores = leaf(&cpuid, LEAF_TOPOLOGY, 1);
        assert_eq!((cores.eax, cores.ebx, cores.ecx, cores.edx), (2, 3, 0x201, 2));
    }

    #[test]
    fn memory_type_ranges_are_hidden() {
        let one = kvm_cpuid_entry2 { function: 1, edx: u32::MAX, ..Default::default() };
        let amd = kvm_cpuid_entry2 { function: 0x8000_0001, ..one };
        let mut supported = CpuId::from_entries(&[one, amd]).expect("two entries");
        prepare(&mut supported, DeadlineTimer::Absent);
        assert_eq!([1, 0x8000_0001].map(|function| leaf(&supported, function, 0).edx), [!EDX1_MTRR; 2]);
    }

    #[test]
    fn a_register_of_intels_is_for_intels_processors() {
        let seen = |maker: [u8; 4]| {
            let zero = kvm_cpuid_entry2 { ebx: u32::from_le_bytes(maker), ..Default::default() };
            let seven = kvm_cpuid_entry2 { function: 7, edx: u32::MAX, ..Default::default() };
            let mut supported = CpuId::from_entries(&[zero, seven]).expect("two entries");
            prepare(&mut supported, DeadlineTimer::Absent);
            leaf(&supported, 7, 0).edx
        };
        assert_eq!([seen(*b"Genu"), seen(*b"Auth")], [u32::MAX, !EDX7_ARCH_CAPABILITIES]);
    }

    #[test]
    fn only_deep_caches_are_shared() {
        let cache =
            |level: u32| kvm_cpuid_entry2 { function: 4, index: level, eax: 1 | level << 5, ..Default::default() };
        let supported = CpuId::from_entries(&[cache(1), cache(3)]).expect("two entries");
        let cpuid = for_vcpu(&supported, 0, Topology::cores(4)).expect("room");
        let sharing = |level| (leaf(&cpuid, 4, level).eax >> 14) & 0xfff;
        assert_eq!((sharing(1), sharing(3)), (0, 3));
    }

    #[test]
    fn threads_of_a_core_share_it() {
        let cache =
            |level: u32| kvm_cpuid_entry2 { function: 4, index: level, eax: 1 | level << 5, ..Default::default() };
        let zero = kvm_cpuid_entry2 { eax: 0xb, ..Default::default() };
        let core = kvm_cpuid_entry2 { function: 0x8000_001e, ..Default::default() };
        let supported = CpuId::from_entries(&[zero, cache(1), cache(3), core]).expect("four entries");
        let cpuid = for_vcpu(&supported, 3, Topology::threads(4)).expect("room");
        let sharing = |level| (leaf(&cpuid, 4, level).eax >> 14) & 0xfff;
        assert_eq!((sharing(1), sharing(3), leaf(&cpuid, 4, 1).eax >> 26), (1, 3, 1));
        let threads = leaf(&cpuid, LEAF_TOPOLOGY, 0);
        assert_eq!((threads.eax, threads.ebx, threads.ecx, threads.edx), (1, 2, 0x100, 3));
        assert_eq!((leaf(&cpuid, LEAF_TOPOLOGY, 1).eax, leaf(&cpuid, LEAF_TOPOLOGY, 1).ebx), (2, 4));
        assert_eq!(leaf(&cpuid, 0x8000_001e, 0).ebx, 0x101);
    }
}
