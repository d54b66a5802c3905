//! How `stockade vmm` ends, by Firecracker's exit statuses.

use std::io;
use std::path::PathBuf;

use stockade_vm_api::{BindError, Fault};
use stockade_vmm::config::{FileError, InvalidInstanceId, UnknownLevel};
use stockade_vmm::mmds::MmdsError;
use thiserror::Error;

/// The status of arguments that do not parse.
pub const BAD_USAGE: u8 = 153;
const BAD_CONFIGURATION: u8 = 152;
/// The status of a microVM that could not be started, or failed.
pub(super) const FAILED: u8 = 1;

/// Why it ended badly.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("Invalid instance ID: {0}")]
    Id(InvalidInstanceId),
    #[error("Invalid value for logger level: {0}.Possible values: [Error, Warning, Info, Debug]")]
    Level(UnknownLevel),
    #[error("Could not initialize logger: Failed to open target file: {0}")]
    Logger(io::Error),
    #[error("Failed to set the logger: {0}")]
    SetLogger(tracing_subscriber::util::TryInitError),
    #[error("Could not initialize metrics: Cannot initialize the metrics system due to bad user input: {0}")]
    Metrics(io::Error),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("Configuration for VMM from one single json failed: Invalid JSON: {}: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("Configuration for VMM from one single json failed: {0}")]
    Config(FileError),
    #[error("Populating MMDS from file failed: {0}")]
    Metadata(MmdsError),
    #[error("Could not start MicroVM from one single json: {0}")]
    StartFromFile(Fault),
    #[error("cannot serve the API: {0}")]
    Serve(io::Error),
    #[error("the microVM failed: {0}")]
    Guest(String),
}

impl Failure {
    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Id(_) => BAD_USAGE,
            Self::Level(_) | Self::Read { .. } | Self::Json { .. } | Self::Config(_) => BAD_CONFIGURATION,
            _ => FAILED,
        }
    }
}
