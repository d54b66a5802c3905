//! Snapshots: how they are taken and loaded.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::NetworkError;
use crate::hypervisor::Clock;

/// How much of the memory a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SnapshotType {
    /// All of it.
    #[default]
    Full,
    /// What was written since the last one.
    Diff,
}

/// The body of `PUT /snapshot/create`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateSnapshot {
    /// How much of the memory it holds.
    #[serde(default)]
    pub snapshot_type: SnapshotType,
    /// Where the machine's state goes.
    pub snapshot_path: PathBuf,
    /// Where the memory goes.
    pub mem_file_path: PathBuf,
}

/// Where a loaded guest's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum MemoryBackendType {
    /// A file, mapped privately.
    File,
    /// A process that answers page faults, behind a unix socket.
    Uffd,
}

/// Where a loaded guest's memory comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryBackend {
    /// The file or the socket.
    pub backend_path: PathBuf,
    /// Which of the two.
    pub backend_type: MemoryBackendType,
}

/// Another tap device for a network interface of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NetworkOverride {
    /// The interface.
    pub iface_id: String,
    /// The tap device.
    pub host_dev_name: String,
}

/// Another socket for the vsock device of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct VsockOverride {
    /// The unix socket.
    pub uds_path: String,
}

/// The body of `PUT /snapshot/load`, as a client wrote it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSnapshotBody {
    /// The machine's state.
    pub snapshot_path: PathBuf,
    /// Deprecated: the memory's file.
    pub mem_file_path: Option<PathBuf>,
    /// Where the memory comes from.
    pub mem_backend: Option<MemoryBackend>,
    /// Deprecated: another name of `track_dirty_pages`.
    #[serde(default)]
    pub enable_diff_snapshots: bool,
    /// Whether writes to memory are tracked.
    #[serde(default)]
    pub track_dirty_pages: bool,
    /// Whether the guest runs at once.
    #[serde(default)]
    pub resume_vm: bool,
    /// Other tap devices.
    #[serde(default)]
    pub network_overrides: Vec<NetworkOverride>,
    /// Another socket.
    pub vsock_override: Option<VsockOverride>,
    /// Whether the guest's clock is put forward by the time that has passed.
    #[serde(default)]
    pub clock_realtime: bool,
}

impl LoadSnapshotBody {
    /// Whether it uses a field that clients should leave.
    #[must_use]
    pub fn is_deprecated(&self) -> bool {
        self.mem_file_path.is_some() || self.enable_diff_snapshots
    }

    /// The request that is meant.
    ///
    /// # Errors
    /// See the variants of [`LoadSnapshotError`].
    pub fn validated(self) -> Result<LoadSnapshot, LoadSnapshotError> {
        let file = |backend_path| MemoryBackend { backend_path, backend_type: MemoryBackendType::File };
        let memory = match (self.mem_backend, self.mem_file_path.map(file)) {
            (Some(_), Some(_)) => return Err(LoadSnapshotError::TwoBackends),
            (None, None) => return Err(LoadSnapshotError::NoBackend),
            (backend, file) => backend.or(file),
        };
        Ok(LoadSnapshot {
            snapshot_path: self.snapshot_path,
            memory: memory.ok_or(LoadSnapshotError::NoBackend)?,
            track_dirty_pages: self.track_dirty_pages || self.enable_diff_snapshots,
            resume_vm: self.resume_vm,
            network_overrides: self.network_overrides,
            vsock_override: self.vsock_override,
            clock: if self.clock_realtime { Clock::CatchUp } else { Clock::Continue },
        })
    }
}

/// A snapshot to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadSnapshot {
    /// The machine's state.
    pub snapshot_path: PathBuf,
    /// Where the memory comes from.
    pub memory: MemoryBackend,
    /// Whether writes to memory are tracked.
    pub track_dirty_pages: bool,
    /// Whether the guest runs at once.
    pub resume_vm: bool,
    /// Other tap devices.
    pub network_overrides: Vec<NetworkOverride>,
    /// Another socket.
    pub vsock_override: Option<VsockOverride>,
    /// What becomes of the guest's clock.
    pub clock: Clock,
}

/// Why a request to load a snapshot is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LoadSnapshotError {
    /// No memory.
    #[error("missing field: either `mem_backend` or `mem_file_path` is required")]
    NoBackend,
    /// Two memories.
    #[error("too many fields: either `mem_backend` or `mem_file_path` exclusively is required")]
    TwoBackends,
    /// No such interface.
    #[error("the snapshot has no network interface {0}")]
    UnknownInterface(String),
    /// No tap can have this name.
    #[error("network interface {0}: {1}")]
    Interface(String, NetworkError),
    /// No such device.
    #[error("the snapshot has no vsock device")]
    NoVsock,
}

/// The body of `PATCH /vm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// What the virtual CPUs shall do.
    pub state: TargetState,
}

/// What the virtual CPUs shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum TargetState {
    /// Stand still.
    Paused,
    /// Run again.
    Resumed,
}
