//! Processors and memory.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most virtual CPUs of a microVM.
pub const MAX_VCPUS: u8 = 32;
const DEFAULT_MEM_SIZE_MIB: usize = 128;

/// The pages behind the guest's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum HugePages {
    /// Ordinary ones.
    #[default]
    None,
    /// Those of hugetlbfs, 2 MiB each.
    #[serde(rename = "2M")]
    Hugetlbfs2M,
}

/// A named set of CPU features. Only the empty one is served yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum CpuTemplate {
    /// Intel, from Skylake on.
    C3,
    /// Intel, from Skylake on.
    T2,
    /// Intel, from Skylake on, for snapshots that move.
    T2S,
    /// Intel Cascade Lake and later.
    T2CL,
    /// AMD Milan.
    T2A,
    /// The host's features.
    None,
}

/// The body of `PUT /machine-config`, and the answer to `GET /machine-config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MachineConfig {
    /// Virtual CPUs.
    pub vcpu_count: u8,
    /// Memory in MiB.
    pub mem_size_mib: usize,
    /// Whether the guest sees pairs of CPUs as threads of one core.
    #[serde(default)]
    pub smt: bool,
    /// A set of CPU features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_template: Option<CpuTemplate>,
    /// Whether writes to memory are tracked, for diff snapshots.
    #[serde(default)]
    pub track_dirty_pages: bool,
    /// The pages behind the memory.
    #[serde(default)]
    pub huge_pages: HugePages,
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            vcpu_count: 1,
            mem_size_mib: DEFAULT_MEM_SIZE_MIB,
            smt: false,
            cpu_template: None,
            track_dirty_pages: false,
            huge_pages: HugePages::None,
        }
    }
}

impl MachineConfig {
    /// The configuration after a change.
    ///
    /// # Errors
    /// See the variants of [`MachineConfigError`].
    pub fn updated(&self, update: &MachineUpdate) -> Result<Self, MachineConfigError> {
        let machine = Self {
            vcpu_count: update.vcpu_count.unwrap_or(self.vcpu_count),
            mem_size_mib: update.mem_size_mib.unwrap_or(self.mem_size_mib),
            smt: update.smt.unwrap_or(self.smt),
            cpu_template: update.cpu_template.or(self.cpu_template).filter(|template| *template != CpuTemplate::None),
            track_dirty_pages: update.track_dirty_pages.unwrap_or(self.track_dirty_pages),
            huge_pages: update.huge_pages.unwrap_or(self.huge_pages),
        };
        machine.check()?;
        Ok(machine)
    }

    fn check(&self) -> Result<(), MachineConfigError> {
        let whole_cores = !self.smt || self.vcpu_count == 1 || self.vcpu_count.is_multiple_of(2);
        if self.vcpu_count == 0 || self.vcpu_count > MAX_VCPUS || !whole_cores {
            return Err(MachineConfigError::InvalidVcpuCount);
        }
        let whole_pages = self.huge_pages == HugePages::None || self.mem_size_mib.is_multiple_of(2);
        if self.mem_size_mib == 0 || !whole_pages {
            return Err(MachineConfigError::InvalidMemorySize);
        }
        match self.cpu_template {
            Some(_) => Err(MachineConfigError::CpuTemplate),
            None => Ok(()),
        }
    }
}

/// The body of `PATCH /machine-config`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineUpdate {
    /// Virtual CPUs.
    pub vcpu_count: Option<u8>,
    /// Memory in MiB.
    pub mem_size_mib: Option<usize>,
    /// Whether the guest sees pairs of CPUs as threads of one core.
    pub smt: Option<bool>,
    /// A set of CPU features.
    pub cpu_template: Option<CpuTemplate>,
    /// Whether writes to memory are tracked.
    pub track_dirty_pages: Option<bool>,
    /// The pages behind the memory.
    pub huge_pages: Option<HugePages>,
}

impl MachineUpdate {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<MachineConfig> for MachineUpdate {
    fn from(machine: MachineConfig) -> Self {
        Self {
            vcpu_count: Some(machine.vcpu_count),
            mem_size_mib: Some(machine.mem_size_mib),
            smt: Some(machine.smt),
            cpu_template: machine.cpu_template,
            track_dirty_pages: Some(machine.track_dirty_pages),
            huge_pages: Some(machine.huge_pages),
        }
    }
}

/// Why a machine's configuration is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MachineConfigError {
    /// The balloon would be larger than the guest.
    #[error("The memory size (MiB) is smaller than the previously set balloon device target size.")]
    IncompatibleBalloonSize,
    /// No memory, or no whole number of pages.
    #[error("The memory size (MiB) is either 0, or not a multiple of the configured page size.")]
    InvalidMemorySize,
    /// No CPU, too many, or half a core.
    #[error(
        "The number of vCPUs must be greater than 0, less than {max} and must be 1 or an even number if SMT is enabled.",
        max = MAX_VCPUS
    )]
    InvalidVcpuCount,
    /// Ours: CPU templates are not served.
    #[error("CPU templates are not supported; leave cpu_template out, or set it to None.")]
    CpuTemplate,
}
