//! Capabilities (capabilities(7)).

use std::sync::OnceLock;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use stockade_sandbox::Result;

use crate::fail::Context;

/// The five sets as bits, reduced to what this host can give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapSets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl CapSets {
    /// From the spec. Capabilities that the kernel or this process lacks are left out, as runc does.
    pub(crate) fn new(spec: Option<&LinuxCapabilities>) -> Result<Self> {
        let Some(spec) = spec else { return Ok(Self::default()) };
        Ok(Self::asked(spec).reduced_to(available()?))
    }

    fn asked(spec: &LinuxCapabilities) -> Self {
        Self {
            bounding: bits(spec.bounding().as_ref()),
            effective: bits(spec.effective().as_ref()),
            permitted: bits(spec.permitted().as_ref()),
            inheritable: bits(spec.inheritable().as_ref()),
            ambient: bits(spec.ambient().as_ref()),
        }
    }

    fn all_of_them(&self) -> u64 {
        self.bounding | self.effective | self.permitted | self.inheritable | self.ambient
    }

    fn reduced_to(self, available: u64) -> Self {
        let permitted = self.permitted & available;
        let inheritable = self.inheritable & available;
        Self {
            bounding: self.bounding & available,
            // capset(2) refuses an effective set above the permitted one; ambient needs both others.
            effective: self.effective & permitted,
            permitted,
            inheritable,
            ambient: self.ambient & permitted & inheritable,
        }
    }

    /// Drops all others from the bounding set; needs CAP_SETPCAP still.
    pub(crate) fn drop_bounding(&self) -> Result<()> {
        for number in (0..=last_capability()?).filter(|number| self.bounding & (1 << number) == 0) {
            match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
                Err(rustix::io::Errno::PERM) if available()? & (1 << number) == 0 => {}
                answer => answer.at_with(|| format!("drop {} from the bounding set", names(1 << number)))?,
            }
        }
        Ok(())
    }

    /// Takes on the other four sets; the last thing that needs any capability is behind.
    pub(crate) fn apply(&self) -> Result<()> {
        let sets = CapabilitySets {
            effective: CapabilitySet::from_bits_retain(self.effective),
            permitted: CapabilitySet::from_bits_retain(self.permitted),
            inheritable: CapabilitySet::from_bits_retain(self.inheritable),
        };
        set_capabilities(None, sets).at("set capabilities")?;
        clear_ambient_capability_set().at("clear ambient capabilities")?;
        for number in (0..64).filter(|number| self.ambient & (1 << number) != 0) {
            configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(1 << number), true)
                .at_with(|| format!("raise ambient {}", names(1 << number)))?;
        }
        Ok(())
    }

    /// The sets in full, for a process that keeps all it can.
    #[cfg(test)]
    fn all(value: u64) -> Self {
        Self { bounding: value, effective: value, permitted: value, inheritable: value, ambient: value }
    }
}

/// Warns of capabilities that will be left out. For the process that clones: what the clone logs, the container sees.
pub(crate) fn warn_of_missing(spec: Option<&LinuxCapabilities>) -> Result<()> {
    let asked = spec.map_or(0, |spec| CapSets::asked(spec).all_of_them());
    let permitted = rustix::thread::capabilities(None).at("read capabilities")?.permitted.bits();
    if asked & !permitted != 0 {
        tracing::warn!("ignoring capabilities that this host cannot grant: {}", names(asked & !permitted));
    }
    Ok(())
}

/// The calling process's permitted set, read once before anything is dropped; in a user namespace it is full.
fn available() -> Result<u64> {
    static AVAILABLE: OnceLock<u64> = OnceLock::new();
    if let Some(available) = AVAILABLE.get() {
        return Ok(*available);
    }
    let permitted = rustix::thread::capabilities(None).at("read capabilities")?.permitted.bits();
    Ok(*AVAILABLE.get_or_init(|| permitted))
}

/// The highest capability that the kernel knows: the bounding set cannot be asked about a higher one.
fn last_capability() -> Result<u32> {
    static LAST: OnceLock<u32> = OnceLock::new();
    if let Some(last) = LAST.get() {
        return Ok(*last);
    }
    let knows = |number: u32| {
        rustix::thread::capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)).is_ok()
    };
    // Searching downwards from the highest known today costs one call on today's kernels.
    let mut last = 40;
    while last < 63 && knows(last + 1) {
        last += 1;
    }
    while last > 0 && !knows(last) {
        last -= 1;
    }
    Ok(*LAST.get_or_init(|| last))
}

fn bits(set: Option<&Capabilities>) -> u64 {
    set.into_iter().flatten().fold(0, |bits, capability| bits | 1 << number(*capability))
}

fn names(bits: u64) -> String {
    let known = TABLE.iter().filter(|(_, number)| bits & (1 << number) != 0).map(|(name, _)| name.to_string());
    known.collect::<Vec<_>>().join(", ")
}

fn number(capability: Capability) -> u8 {
    TABLE.iter().find(|(known, _)| *known == capability).map_or(0, |(_, number)| *number)
}

/// Numbers of linux/capability.h.
const TABLE: [(Capability, u8); 41] = [
    (Capability::Chown, 0),
    (Capability::DacOverride, 1),
    (Capability::DacReadSearch, 2),
    (Capability::Fowner, 3),
    (Capability::Fsetid, 4),
    (Capability::Kill, 5),
    (Capability::Setgid, 6),
    (Capability::Setuid, 7),
    (Capability::Setpcap, 8),
    (Capability::LinuxImmutable, 9),
    (Capability::NetBindService, 10),
    (Capability::NetBroadcast, 11),
    (Capability::NetAdmin, 12),
    (Capability::NetRaw, 13),
    (Capability::IpcLock, 14),
    (Capability::IpcOwner, 15),
    (Capability::SysModule, 16),
    (Capability::SysRawio, 17),
    (Capability::SysChroot, 18),
    (Capability::SysPtrace, 19),
    (Capability::SysPacct, 20),
    (Capability::SysAdmin, 21),
    (Capability::SysBoot, 22),
    (Capability::SysNice, 23),
    (Capability::SysResource, 24),
    (Capability::SysTime, 25),
    (Capability::SysTtyConfig, 26),
    (Capability::Mknod, 27),
    (Capability::Lease, 28),
    (Capability::AuditWrite, 29),
    (Capability::AuditControl, 30),
    (Capability::Setfcap, 31),
    (Capability::MacOverride, 32),
    (Capability::MacAdmin, 33),
    (Capability::Syslog, 34),
    (Capability::WakeAlarm, 35),
    (Capability::BlockSuspend, 36),
    (Capability::AuditRead, 37),
    (Capability::Perfmon, 38),
    (Capability::Bpf, 39),
    (Capability::CheckpointRestore, 40),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_lacks_is_left_out() {
        let sets = CapSets { ambient: 0b1111, ..CapSets::all(0b0111) }.reduced_to(0b0101);
        assert_eq!(sets, CapSets::all(0b0101));
    }

    #[test]
    fn every_capability_has_its_own_number() {
        let all = TABLE.iter().fold(0u64, |bits, (_, number)| bits | 1 << number);
        assert_eq!(all.count_ones(), 41);
        assert_eq!(names(1 << 21), "SYS_ADMIN");
    }
}
