//! A whole microVM: what was accepted, and checks of each part against the others.

use serde::{Serialize, Serializer};

use super::{
    BalloonConfig, BalloonConfigError, BootSource, BootSourceError, DriveConfig, DriveError, DriveUpdate,
    EntropyConfig, LoadSnapshot, LoadSnapshotError, MachineConfig, MachineConfigError, MachineUpdate, MmdsConfig,
    MmdsConfigError, NetworkConfig, NetworkError, NetworkUpdate, RateLimiterConfig, VsockConfig, VsockConfigError,
};

/// Where the files that a configuration names come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    /// The names are paths of the host, which are opened to see whether that goes.
    #[default]
    Paths,
    /// Somebody has them open (`crate::machine::Files`).
    Given,
}

/// The configuration that a machine is built from. Every part was checked when it was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmConfig {
    source: Source,
    machine: MachineConfig,
    boot_source: Option<BootSource>,
    drives: Vec<DriveConfig>,
    network_interfaces: Vec<NetworkConfig>,
    vsock: Option<VsockConfig>,
    balloon: Option<BalloonConfig>,
    entropy: Option<EntropyConfig>,
    mmds: Option<MmdsConfig>,
}

impl VmConfig {
    /// A configuration whose files will be given open, under the names that it has for them.
    #[must_use]
    pub fn of_given_files() -> Self {
        Self { source: Source::Given, ..Self::default() }
    }

    /// Processors and memory.
    #[must_use]
    pub fn machine(&self) -> &MachineConfig {
        &self.machine
    }

    /// What it boots, once that is set.
    #[must_use]
    pub fn boot_source(&self) -> Option<&BootSource> {
        self.boot_source.as_ref()
    }

    /// The drives; a root device is the first.
    #[must_use]
    pub fn drives(&self) -> &[DriveConfig] {
        &self.drives
    }

    /// The network interfaces, in the order they were added.
    #[must_use]
    pub fn network_interfaces(&self) -> &[NetworkConfig] {
        &self.network_interfaces
    }

    /// The vsock device.
    #[must_use]
    pub fn vsock(&self) -> Option<&VsockConfig> {
        self.vsock.as_ref()
    }

    /// The balloon.
    #[must_use]
    pub fn balloon(&self) -> Option<&BalloonConfig> {
        self.balloon.as_ref()
    }

    /// The entropy device.
    #[must_use]
    pub fn entropy(&self) -> Option<&EntropyConfig> {
        self.entropy.as_ref()
    }

    /// The metadata service.
    #[must_use]
    pub fn mmds(&self) -> Option<&MmdsConfig> {
        self.mmds.as_ref()
    }

    /// Changes processors and memory.
    ///
    /// # Errors
    /// See the variants of [`MachineConfigError`].
    pub fn update_machine(&mut self, update: &MachineUpdate) -> Result<(), MachineConfigError> {
        let machine = self.machine.updated(update)?;
        if let Some(balloon) = &self.balloon {
            let fits = balloon.check(machine.mem_size_mib);
            fits.map_err(|_| MachineConfigError::IncompatibleBalloonSize)?;
        }
        self.machine = machine;
        Ok(())
    }

    /// Sets what it boots.
    ///
    /// # Errors
    /// See the variants of [`BootSourceError`].
    pub fn set_boot_source(&mut self, source: BootSource) -> Result<(), BootSourceError> {
        match self.source {
            Source::Paths => source.check()?,
            Source::Given => source.check_words()?,
        }
        self.boot_source = Some(source);
        Ok(())
    }

    /// Adds a drive, or replaces the one of the same name.
    ///
    /// # Errors
    /// See the variants of [`DriveError`].
    pub fn set_drive(&mut self, drive: DriveConfig) -> Result<(), DriveError> {
        let others_root = |other: &DriveConfig| other.is_root_device && other.drive_id != drive.drive_id;
        if drive.is_root_device && self.drives.iter().any(others_root) {
            return Err(DriveError::RootBlockDeviceAlreadyAdded);
        }
        match self.source {
            Source::Paths => drive.check()?,
            Source::Given => drive.back_end().map(drop)?,
        }
        let drive = DriveConfig {
            rate_limiter: drive.rate_limiter.and_then(RateLimiterConfig::effective),
            ..drive.with_defaults()
        };
        put(&mut self.drives, drive, |drive| &drive.drive_id);
        self.drives.sort_by_key(|drive| !drive.is_root_device);
        Ok(())
    }

    /// Adds a network interface, or replaces the one of the same name.
    ///
    /// # Errors
    /// See the variants of [`NetworkError`].
    pub fn set_network_interface(&mut self, network: NetworkConfig) -> Result<(), NetworkError> {
        network.check()?;
        if let Some(mac) = network.guest_mac {
            let same = |other: &NetworkConfig| other.guest_mac == Some(mac) && other.iface_id != network.iface_id;
            if self.network_interfaces.iter().any(same) {
                return Err(NetworkError::GuestMacAddressInUse(mac));
            }
        }
        let network = NetworkConfig {
            rx_rate_limiter: network.rx_rate_limiter.and_then(RateLimiterConfig::effective),
            tx_rate_limiter: network.tx_rate_limiter.and_then(RateLimiterConfig::effective),
            ..network
        };
        put(&mut self.network_interfaces, network, |network| &network.iface_id);
        Ok(())
    }

    /// Sets the vsock device.
    ///
    /// # Errors
    /// See the variants of [`VsockConfigError`].
    pub fn set_vsock(&mut self, vsock: VsockConfig) -> Result<(), VsockConfigError> {
        vsock.check()?;
        self.vsock = Some(VsockConfig { vsock_id: None, ..vsock });
        Ok(())
    }

    /// Sets the balloon.
    ///
    /// # Errors
    /// See the variants of [`BalloonConfigError`].
    pub fn set_balloon(&mut self, balloon: BalloonConfig) -> Result<(), BalloonConfigError> {
        balloon.check(self.machine.mem_size_mib)?;
        self.balloon = Some(balloon);
        Ok(())
    }

    /// Sets the entropy device.
    pub fn set_entropy(&mut self, entropy: EntropyConfig) {
        let rate_limiter = entropy.rate_limiter.and_then(RateLimiterConfig::effective);
        self.entropy = Some(EntropyConfig { rate_limiter });
    }

    /// Sets the metadata service.
    ///
    /// # Errors
    /// See the variants of [`MmdsConfigError`].
    pub fn set_mmds(&mut self, mmds: MmdsConfig) -> Result<(), MmdsConfigError> {
        mmds.check(self.network_interfaces.iter().map(|network| network.iface_id.as_str()))?;
        let address = mmds.address();
        self.mmds = Some(MmdsConfig { ipv4_address: Some(address), ..mmds });
        Ok(())
    }
}

impl VmConfig {
    /// The configuration after a change of a running machine's drive, if there is such a drive.
    #[must_use]
    pub fn with_drive(&self, update: &DriveUpdate) -> Option<Self> {
        let mut config = self.clone();
        let drive = config.drives.iter_mut().find(|drive| drive.drive_id == update.drive_id)?;
        if let Some(path) = &update.path_on_host {
            drive.path_on_host = Some(path.clone());
        }
        drive.rate_limiter = changed(drive.rate_limiter, update.rate_limiter);
        Some(config)
    }

    /// The configuration of a snapshot with what a request to load it changes.
    ///
    /// # Errors
    /// It names a device that the snapshot does not have.
    pub fn redirected(mut self, load: &LoadSnapshot) -> Result<Self, LoadSnapshotError> {
        self.machine.track_dirty_pages = load.track_dirty_pages;
        for other in &load.network_overrides {
            let mut interfaces = self.network_interfaces.iter_mut();
            let found = interfaces.find(|network| network.iface_id == other.iface_id);
            let network = found.ok_or_else(|| LoadSnapshotError::UnknownInterface(other.iface_id.clone()))?;
            network.host_dev_name.clone_from(&other.host_dev_name);
            network.check().map_err(|error| LoadSnapshotError::Interface(other.iface_id.clone(), error))?;
        }
        if let Some(other) = &load.vsock_override {
            self.vsock.as_mut().ok_or(LoadSnapshotError::NoVsock)?.uds_path.clone_from(&other.uds_path);
        }
        Ok(self)
    }

    /// The configuration after a change of a running machine's interface, if there is such an interface.
    #[must_use]
    pub fn with_network(&self, update: &NetworkUpdate) -> Option<Self> {
        let mut config = self.clone();
        let network = config.network_interfaces.iter_mut().find(|network| network.iface_id == update.iface_id)?;
        network.rx_rate_limiter = changed(network.rx_rate_limiter, update.rx_rate_limiter);
        network.tx_rate_limiter = changed(network.tx_rate_limiter, update.tx_rate_limiter);
        Some(config)
    }
}

fn changed(old: Option<RateLimiterConfig>, update: Option<RateLimiterConfig>) -> Option<RateLimiterConfig> {
    old.unwrap_or_default().updated(update.unwrap_or_default()).effective()
}

/// Replaces the item of the same name, or adds one.
fn put<T>(items: &mut Vec<T>, item: T, id: impl Fn(&T) -> &str) {
    match items.iter().position(|old| id(old) == id(&item)) {
        Some(at) => items[at] = item,
        None => items.push(item),
    }
}

/// The answer to `GET /vm/config`, which a config file can be made of.
impl Serialize for VmConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shown {
            balloon: self.balloon.as_ref(),
            drives: &self.drives,
            boot_source: self.boot_source.as_ref().unwrap_or(&BootSource::default()),
            cpu_config: None,
            logger: None,
            machine_config: &self.machine,
            metrics: None,
            mmds_config: self.mmds.as_ref(),
            network_interfaces: &self.network_interfaces,
            vsock: self.vsock.as_ref(),
            entropy: self.entropy.as_ref(),
        }
        .serialize(serializer)
    }
}

/// Firecracker's form of it: what is not set is null.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown<'a> {
    balloon: Option<&'a BalloonConfig>,
    drives: &'a [DriveConfig],
    boot_source: &'a BootSource,
    cpu_config: Option<()>,
    logger: Option<()>,
    machine_config: &'a MachineConfig,
    metrics: Option<()>,
    mmds_config: Option<&'a MmdsConfig>,
    network_interfaces: &'a [NetworkConfig],
    vsock: Option<&'a VsockConfig>,
    entropy: Option<&'a EntropyConfig>,
}
