//! Block devices.

use std::fs::OpenOptions;
use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::RateLimiterConfig;

/// Whether a drive offers the guest a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum CacheType {
    /// No flush is offered; what the host caches is lost with the host.
    #[default]
    Unsafe,
    /// A flush reaches the disk before the guest hears that it did.
    Writeback,
}

/// How the host does a drive's I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum IoEngine {
    /// One request after the other, in a thread of the drive's own.
    #[default]
    Sync,
    /// Many at once, by io_uring; like [`IoEngine::Sync`] where the host has none.
    Async,
}

/// The body of `PUT /drives/{drive_id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DriveConfig {
    /// The name that later requests use.
    pub drive_id: String,
    /// The partition that holds the root file system, if this is the root device.
    pub partuuid: Option<String>,
    /// Whether the guest mounts this drive as its root.
    pub is_root_device: bool,
    /// Whether the guest is offered a flush.
    #[serde(default)]
    pub cache_type: CacheType,
    /// Whether the guest may write; it may where this is absent.
    pub is_read_only: Option<bool>,
    /// The file or block device behind the drive.
    pub path_on_host: Option<String>,
    /// Limits of bytes and operations.
    pub rate_limiter: Option<RateLimiterConfig>,
    /// How the host does the I/O; [`IoEngine::Sync`] where it is absent.
    pub io_engine: Option<IoEngine>,
    /// The socket of a vhost-user back end. Not served.
    pub socket: Option<String>,
}

impl DriveConfig {
    /// Whether the guest may only read.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.is_read_only.unwrap_or(false)
    }

    /// How the host does the I/O.
    #[must_use]
    pub fn engine(&self) -> IoEngine {
        self.io_engine.unwrap_or_default()
    }

    /// The drive with its defaults spelt out, as clients are shown it.
    #[must_use]
    pub fn with_defaults(self) -> Self {
        Self { is_read_only: Some(self.read_only()), io_engine: Some(self.engine()), ..self }
    }

    /// Checks that the drive has one back end of a kind that is served, and that it can be opened as asked.
    ///
    /// # Errors
    /// See the variants of [`BlockError`].
    pub fn check(&self) -> Result<(), BlockError> {
        self.check_file(self.back_end()?)
    }

    /// The path of its file, if it has one back end of a kind that is served.
    pub(super) fn back_end(&self) -> Result<&str, BlockError> {
        match (&self.path_on_host, &self.socket) {
            (Some(path), None) => Ok(path),
            (None, Some(_)) => Err(BlockError::VhostUser),
            _ => Err(BlockError::InvalidConfig),
        }
    }

    fn check_file(&self, path: &str) -> Result<(), BlockError> {
        let opened = OpenOptions::new().read(true).write(!self.read_only()).open(path);
        opened.map(drop).map_err(|error| BlockError::BackingFile(error, path.to_owned()))
    }
}

/// The body of `PATCH /drives/{drive_id}`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveUpdate {
    /// The drive that is meant.
    pub drive_id: String,
    /// Another file behind it.
    pub path_on_host: Option<String>,
    /// Other limits.
    pub rate_limiter: Option<RateLimiterConfig>,
}

/// Why a block device cannot be made.
#[derive(Debug, Error)]
pub enum BlockError {
    /// No back end, or two.
    #[error("Invalid block config.")]
    InvalidConfig,
    /// The file cannot be opened.
    #[error("Virtio backend error: Error manipulating the backing file: {0} {1}")]
    BackingFile(io::Error, String),
    /// Ours: vhost-user block devices are not served.
    #[error("Vhost user backend error: vhost-user block devices are not supported; give path_on_host instead.")]
    VhostUser,
}

/// Why a drive is refused.
#[derive(Debug, Error)]
pub enum DriveError {
    /// The device cannot be made.
    #[error("Unable to create the virtio block device: {0}")]
    CreateBlockDevice(#[from] BlockError),
    /// A second root device.
    #[error("A root block device already exists!")]
    RootBlockDeviceAlreadyAdded,
}
