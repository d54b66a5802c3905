//! Why an action was not carried out, in Firecracker's words.

use std::io;

use stockade_vmm::config::{
    BalloonConfigError, BootSourceError, DriveError, MachineConfigError, MmdsConfigError, NetworkError,
    VsockConfigError,
};
use stockade_vmm::mmds::MmdsError;
use thiserror::Error;

use crate::ControllerError;

/// Why an action was not carried out.
#[derive(Debug, Error)]
pub enum Fault {
    /// Too late.
    #[error("The requested operation is not supported after starting the microVM.")]
    AfterStart,
    /// Too early.
    #[error("The requested operation is not supported before starting the microVM.")]
    BeforeStart,
    /// The balloon is not set.
    #[error("Balloon config error: {0}")]
    BalloonConfig(#[from] BalloonConfigError),
    /// The balloon is not changed.
    #[error("Balloon update error: {0}")]
    BalloonUpdate(ControllerError),
    /// The boot source is not set.
    #[error("Boot source error: {0}")]
    BootSource(#[from] BootSourceError),
    /// There is no snapshot.
    #[error("Create snapshot error: {0}")]
    CreateSnapshot(ControllerError),
    /// The drive is not set.
    #[error("Drive config error: {0}")]
    DriveConfig(#[from] DriveError),
    /// The drive is not changed.
    #[error("Drive config error: Unable to patch the block device: {0} Please verify the request arguments.")]
    DriveUpdate(ControllerError),
    /// The machine did not do it.
    #[error("Internal VMM error: {0}")]
    Internal(ControllerError),
    /// The snapshot is not loaded.
    #[error("Load snapshot error: {0}")]
    LoadSnapshot(ControllerError),
    /// The log goes where it went.
    #[error("Logger error: Failed to open target file: {0}")]
    Logger(io::Error),
    /// The machine's configuration is as before.
    #[error("Machine config error: {0}")]
    MachineConfig(#[from] MachineConfigError),
    /// The metrics go where they went.
    #[error("Metrics error: Cannot initialize the metrics system due to bad user input: {0}")]
    Metrics(io::Error),
    /// The metadata is as before.
    #[error("MMDS error: {0}")]
    Mmds(MmdsError),
    /// The metadata would be too large.
    #[error("MMDS limit exceeded error: {0}")]
    MmdsLimit(MmdsError),
    /// The metadata service is not set; the words are Firecracker's.
    #[error("MMMDS config error: {0}")]
    MmdsConfig(#[from] MmdsConfigError),
    /// The interface is not set.
    #[error("Network config error: {0}")]
    NetworkConfig(#[from] NetworkError),
    /// The interface is not changed.
    #[error("Network config error: Unable to update the net device: {0}")]
    NetworkUpdate(ControllerError),
    /// The microVM does not run.
    #[error("Start microvm error: {0}")]
    Start(ControllerError),
    /// The vsock device is not set.
    #[error("Vsock config error: {0}")]
    VsockConfig(#[from] VsockConfigError),
}

impl From<MmdsError> for Fault {
    fn from(error: MmdsError) -> Self {
        match error {
            MmdsError::TooLarge => Self::MmdsLimit(error),
            _ => Self::Mmds(error),
        }
    }
}

/// What the machine would say of a device that it does not have.
pub(super) fn no_device() -> ControllerError {
    ControllerError("Failed perform action on device: Device not found".to_owned())
}
