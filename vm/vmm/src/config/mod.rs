//! What a microVM is made of, as clients configure it: Firecracker 1.x's names, defaults, limits and error words.
//!
//! The types with `Deserialize` are what a client wrote and promise nothing. [`VmConfig`] accepts them one by one,
//! checks each against the limits and against its siblings, and is what a machine is built from: what lies in it is
//! valid, except that files on the host may change until they are opened.
//!
//! Sources: Firecracker's OpenAPI description and its documents on each endpoint.

mod balloon;
mod boot_source;
mod drive;
mod file;
mod instance;
mod logger;
mod machine;
mod metrics;
mod mmds;
mod network;
mod rate;
mod snapshot;
mod vm;
mod vsock;

#[cfg(test)]
mod tests;

pub use balloon::{BalloonConfig, BalloonConfigError, BalloonStats, BalloonStatsUpdate, BalloonUpdate};
pub use boot_source::{BootSource, BootSourceError, DEFAULT_COMMAND_LINE, MAX_COMMAND_LINE_BYTES};
pub use drive::{BlockError, CacheType, DriveConfig, DriveError, DriveUpdate, IoEngine};
pub use file::{FileError, VmFile};
pub use instance::{InstanceId, InstanceInfo, InvalidInstanceId, VmState};
pub use logger::{Level, LoggerConfig, UnknownLevel};
pub use machine::{CpuTemplate, HugePages, MAX_VCPUS, MachineConfig, MachineConfigError, MachineUpdate};
pub use metrics::MetricsConfig;
pub use mmds::{MMDS_DEFAULT_ADDRESS, MmdsConfig, MmdsConfigError, MmdsVersion};
pub use network::{InvalidMac, MacAddress, NetworkConfig, NetworkError, NetworkUpdate};
pub use rate::{EntropyConfig, RateLimiterConfig, TokenBucketConfig};
pub use snapshot::{
    CreateSnapshot, LoadSnapshot, LoadSnapshotBody, LoadSnapshotError, MemoryBackend, MemoryBackendType,
    NetworkOverride, SnapshotType, StateChange, TargetState, VsockOverride,
};
pub use vm::VmConfig;
pub use vsock::{VsockConfig, VsockConfigError};
