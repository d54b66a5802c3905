//! A whole microVM in one file: `--config-file`.

use serde::Deserialize;
use thiserror::Error;

use super::{
    BalloonConfig, BalloonConfigError, BootSource, BootSourceError, DriveConfig, DriveError, EntropyConfig,
    LoggerConfig, MachineConfig, MachineConfigError, MetricsConfig, MmdsConfig, MmdsConfigError, NetworkConfig,
    NetworkError, VmConfig, VsockConfig, VsockConfigError,
};

/// What a config file holds, as it was written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VmFile {
    boot_source: BootSource,
    drives: Vec<DriveConfig>,
    machine_config: Option<MachineConfig>,
    #[serde(default)]
    network_interfaces: Vec<NetworkConfig>,
    vsock: Option<VsockConfig>,
    balloon: Option<BalloonConfig>,
    entropy: Option<EntropyConfig>,
    mmds_config: Option<MmdsConfig>,
    /// What is logged.
    pub logger: Option<LoggerConfig>,
    /// Where metrics go.
    pub metrics: Option<MetricsConfig>,
    cpu_config: Option<Unserved>,
    memory_hotplug: Option<Unserved>,
    #[serde(default)]
    pmem: Vec<Unserved>,
}

/// A part that is not served, so that its content does not matter.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
struct Unserved;

impl From<serde::de::IgnoredAny> for Unserved {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

impl VmFile {
    /// The microVM that the file describes.
    ///
    /// # Errors
    /// See the variants of [`FileError`].
    pub fn validated(mut self) -> Result<VmConfig, FileError> {
        let mut config = VmConfig::default();
        config.set_boot_source(std::mem::take(&mut self.boot_source))?;
        self.restored(config)
    }

    /// The same without what it boots from, on top of a configuration that has nothing else.
    pub(crate) fn restored(self, mut config: VmConfig) -> Result<VmConfig, FileError> {
        self.check_served()?;
        if let Some(machine) = self.machine_config {
            config.update_machine(&machine.into())?;
        }
        self.drives.into_iter().try_for_each(|drive| config.set_drive(drive))?;
        self.network_interfaces.into_iter().try_for_each(|network| config.set_network_interface(network))?;
        self.vsock.map_or(Ok(()), |vsock| config.set_vsock(vsock))?;
        self.balloon.map_or(Ok(()), |balloon| config.set_balloon(balloon))?;
        self.mmds_config.map_or(Ok(()), |mmds| config.set_mmds(mmds))?;
        if let Some(entropy) = self.entropy {
            config.set_entropy(entropy);
        }
        Ok(config)
    }

    fn check_served(&self) -> Result<(), FileError> {
        let parts = [
            ("cpu-config", self.cpu_config.is_some()),
            ("memory-hotplug", self.memory_hotplug.is_some()),
            ("pmem", !self.pmem.is_empty()),
        ];
        match parts.into_iter().find(|(_, set)| *set) {
            Some((part, _)) => Err(FileError::Unserved(part)),
            None => Ok(()),
        }
    }
}

/// Why a config file is refused.
#[derive(Debug, Error)]
pub enum FileError {
    /// The boot source.
    #[error("Boot source error: {0}")]
    BootSource(#[from] BootSourceError),
    /// A drive.
    #[error("Block device error: {0}")]
    BlockDevice(#[from] DriveError),
    /// Processors and memory.
    #[error("VM config error: {0}")]
    Machine(#[from] MachineConfigError),
    /// A network interface.
    #[error("Network device error: {0}")]
    Network(#[from] NetworkError),
    /// The vsock device.
    #[error("Vsock device error: {0}")]
    Vsock(#[from] VsockConfigError),
    /// The balloon.
    #[error("Balloon device error: {0}")]
    Balloon(#[from] BalloonConfigError),
    /// The metadata service.
    #[error("MMDS config error: {0}")]
    Mmds(#[from] MmdsConfigError),
    /// Ours: a snapshot's, which is no configuration.
    #[error("the snapshot's configuration is none")]
    Form(#[source] serde_json::Error),
    /// Ours: a part that is not served.
    #[error("{0} is not supported; leave it out")]
    Unserved(&'static str),
}
