//! Whether a guest that was told of one processor's features can go on with another's.
//!
//! A guest asks once, at its boot, and uses what it found ever after: each feature bit that it saw must be there.
//! Features that are here in addition stay unseen.

use kvm_bindings::kvm_cpuid_entry2;

use super::super::ForeignCpu;

/// Bits that tell of control registers and not of the processor: `OSXSAVE`, `OSPKE`.
const OSXSAVE: u32 = 1 << 27;
const OSPKE: u32 = 1 << 4;
/// Says that there are several processors, which is the machine's and not the host's affair.
const SEVERAL: u32 = 1 << 28;

/// A register of a leaf.
type Register = (&'static str, fn(&kvm_cpuid_entry2) -> u32);
const EAX: Register = ("eax", |entry| entry.eax);
const EBX: Register = ("ebx", |entry| entry.ebx);
const ECX: Register = ("ecx", |entry| entry.ecx);
const EDX: Register = ("edx", |entry| entry.edx);

/// Leaves of feature bits: function, part, register, and bits that are none (Intel SDM 2A, CPUID; AMD APM 3, E;
/// Documentation/virt/kvm/x86/cpuid.rst).
const FEATURES: &[(u32, u32, Register, u32)] = &[
    (0x1, 0, ECX, OSXSAVE),
    (0x1, 0, EDX, SEVERAL),
    (0x7, 0, EBX, 0),
    (0x7, 0, ECX, OSPKE),
    (0x7, 0, EDX, 0),
    (0x7, 1, EAX, 0),
    (0x7, 1, EDX, 0),
    (0x7, 2, EDX, 0),
    (0xd, 0, EAX, 0),
    (0xd, 0, EDX, 0),
    (0xd, 1, EAX, 0),
    (0x4000_0001, 0, EAX, 0),
    (0x8000_0001, 0, ECX, 0),
    (0x8000_0001, 0, EDX, 0),
    (0x8000_0007, 0, EDX, 0),
    (0x8000_0008, 0, EBX, 0),
    (0x8000_0021, 0, EAX, 0),
];

/// Compares what a guest was told with what can be had here.
pub fn check(saved: &[kvm_cpuid_entry2], here: &[kvm_cpuid_entry2]) -> Result<(), ForeignCpu> {
    let (maker, our) = (vendor(saved).ok_or(ForeignCpu::Unknown)?, vendor(here).ok_or(ForeignCpu::Unknown)?);
    if maker != our {
        return Err(ForeignCpu::Vendor { saved: maker, here: our });
    }
    for &(function, index, (register, value), ignored) in FEATURES {
        let of = |leaves| leaf(leaves, function, index).map_or(0, value);
        let bits = of(saved) & !of(here) & !ignored;
        if bits != 0 {
            return Err(ForeignCpu::Features { function, index, register, bits });
        }
    }
    Ok(())
}

fn leaf(leaves: &[kvm_cpuid_entry2], function: u32, index: u32) -> Option<&kvm_cpuid_entry2> {
    leaves.iter().find(|entry| entry.function == function && entry.index == index)
}

fn vendor(leaves: &[kvm_cpuid_entry2]) -> Option<String> {
    let leaf = leaf(leaves, 0, 0)?;
    let letters = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).concat();
    Some(letters.escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEL: [u32; 3] = [0x756e_6547, 0x4965_6e69, 0x6c65_746e];
    const AMD: [u32; 3] = [0x6874_7541, 0x6974_6e65, 0x444d_4163];

    fn cpu([ebx, edx, ecx]: [u32; 3], one: u32, seven: u32) -> Vec<kvm_cpuid_entry2> {
        let entry = |function| kvm_cpuid_entry2 { function, ..Default::default() };
        vec![
            kvm_cpuid_entry2 { ebx, edx, ecx, ..entry(0) },
            kvm_cpuid_entry2 { ecx: one, ..entry(1) },
            kvm_cpuid_entry2 { ebx: seven, ..entry(7) },
        ]
    }

    fn check_refused(saved: &[kvm_cpuid_entry2], here: &[kvm_cpuid_entry2], words: &str) {
        let error = check(saved, here).expect_err("a foreign processor").to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn the_same_processor_and_a_better_one_will_do() {
        let saved = cpu(INTEL, 0xff, 0xf);
        assert_eq!(check(&saved, &saved), Ok(()));
        assert_eq!(check(&saved, &cpu(INTEL, 0xfff, 0xff)), Ok(()));
        assert_eq!(check(&cpu(INTEL, OSXSAVE, 0), &cpu(INTEL, 0, 0)), Ok(()), "no feature of the processor");
    }

    #[test]
    fn foreign_processors_are_named() {
        check_refused(&cpu(INTEL, 0, 0), &cpu(AMD, 0, 0), "by GenuineIntel, and this one is by AuthenticAMD");
        check_refused(&cpu(AMD, 0x10, 0x23), &cpu(AMD, 0x10, 0x3), "CPUID 0x7.0 ebx 0x20");
        check_refused(&[], &cpu(AMD, 0, 0), "does not say");
    }
}
