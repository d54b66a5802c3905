//! What `state` and `list` answer.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ContainerId;

/// Where a container is in its life (OCI runtime spec, "State", plus runc's `paused`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` is under way.
    Creating,
    /// The init waits for `start`.
    Created,
    /// The workload runs.
    Running,
    /// The workload is frozen.
    Paused,
    /// The init has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// A container as its class sees it; serialised, it is runc's `state` output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContainerState {
    /// OCI runtime specification version of the bundle.
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// The container.
    pub id: ContainerId,
    /// The host pid of its init, 0 once stopped.
    pub pid: u32,
    /// Where it is in its life.
    pub status: Status,
    /// The bundle directory.
    pub bundle: PathBuf,
    /// The root directory as the bundle names it, absolute.
    pub rootfs: PathBuf,
    /// RFC 3339 time of `create`, nanoseconds, UTC.
    pub created: String,
    /// The bundle's annotations.
    #[serde(skip_serializing_if = "HashMap::is_empty", default)]
    pub annotations: HashMap<String, String>,
    /// The user name of the state directory's owner.
    pub owner: String,
}
