//! What the API needs of a machine.

use serde_json::{Map, Value};
use stockade_vmm::config::{BalloonStats, CreateSnapshot, DriveUpdate, LoadSnapshot, NetworkUpdate, VmConfig};
use stockade_vmm::mmds::SharedMmds;
use thiserror::Error;

/// A machine that is there once it was started or loaded. The caller keeps the order: `start` or `load_snapshot` first
/// and once, the rest afterwards, updates only of devices that the configuration has.
///
/// Every call returns when the thing is done. How a machine ends is not told here: whoever made the controller knows.
pub trait Controller {
    /// Builds the machine and lets it run. After a failure nothing is left of it, and it may be tried again.
    ///
    /// # Errors
    /// Why it does not run.
    fn start(&mut self, config: &VmConfig, mmds: &SharedMmds) -> Result<(), ControllerError>;

    /// Stops the virtual CPUs; does nothing to those that stand still.
    ///
    /// # Errors
    /// Why they run on.
    fn pause(&mut self) -> Result<(), ControllerError>;

    /// Lets them run again; does nothing to those that run.
    ///
    /// # Errors
    /// Why they stand still.
    fn resume(&mut self) -> Result<(), ControllerError>;

    /// Presses three keys.
    ///
    /// # Errors
    /// Why the guest does not see them.
    fn send_ctrl_alt_del(&mut self) -> Result<(), ControllerError>;

    /// Saves a paused machine.
    ///
    /// # Errors
    /// Why there is no snapshot.
    fn create_snapshot(&mut self, request: &CreateSnapshot) -> Result<(), ControllerError>;

    /// Builds the machine from a snapshot, paused, and says what it is made of. After a failure nothing is left of it.
    ///
    /// # Errors
    /// Why it is not there.
    fn load_snapshot(&mut self, request: &LoadSnapshot, mmds: &SharedMmds) -> Result<VmConfig, ControllerError>;

    /// Changes a drive.
    ///
    /// # Errors
    /// Why it is as before.
    fn update_drive(&mut self, update: &DriveUpdate) -> Result<(), ControllerError>;

    /// Changes a network interface's limits.
    ///
    /// # Errors
    /// Why they are as before.
    fn update_network(&mut self, update: &NetworkUpdate) -> Result<(), ControllerError>;

    /// Asks the guest for so much memory.
    ///
    /// # Errors
    /// Why it is not asked.
    fn resize_balloon(&mut self, amount_mib: u32) -> Result<(), ControllerError>;

    /// Asks the guest for statistics so often.
    ///
    /// # Errors
    /// Why it is not asked.
    fn set_balloon_interval(&mut self, seconds: u16) -> Result<(), ControllerError>;

    /// What the guest said last.
    ///
    /// # Errors
    /// Why there is nothing to say.
    fn balloon_stats(&mut self) -> Result<BalloonStats, ControllerError>;

    /// What the machine and its devices counted since the last call, by the names of Firecracker's metrics.
    fn metrics(&mut self) -> Map<String, Value>;
}

/// Why a machine did not do it: the words that a client sees after what it asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ControllerError(pub String);

impl ControllerError {
    /// The words of an error and all that caused it.
    pub fn from_chain(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Self(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }
}
