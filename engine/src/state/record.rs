//! The two documents of a container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stockade_sandbox::IsolationClass;

use crate::query::Status;
use crate::{ContainerImage, ContainerOptions};

/// What was asked for, resolved: config.json.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    /// Unique among containers.
    pub(crate) name: String,
    /// RFC 3339.
    pub(crate) created: String,
    /// The class; never changes.
    pub(crate) isolation: IsolationClass,
    /// The image.
    pub(crate) image: ContainerImage,
    /// The options, with files read and names resolved.
    pub(crate) options: ContainerOptions,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// What is mounted besides the defaults, sorted by target.
    pub(crate) mounts: Vec<MountRecord>,
}

/// One mount, ready for the spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MountRecord {
    /// What it is.
    pub(crate) kind: MountKind,
    /// The host directory; empty for tmpfs.
    pub(crate) source: PathBuf,
    /// Where in the container.
    pub(crate) target: PathBuf,
    /// Mount options of the spec.
    pub(crate) options: Vec<String>,
    /// Docker's mode text, for example `ro,z`.
    pub(crate) read_only: bool,
    /// Fill the volume from the image when it is empty.
    pub(crate) copy_up: bool,
}

/// Kinds of mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MountKind {
    /// A host path.
    Bind,
    /// A volume with this name.
    Volume {
        /// The name.
        name: String,
        /// It goes with the container (`--rm`, `rm -v`).
        anonymous: bool,
    },
    /// Memory.
    Tmpfs,
}

/// Where a container is in its life: state.json.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunState {
    /// In Docker's words.
    pub(crate) status: Status,
    /// The init's host pid, 0 unless it runs.
    pub(crate) pid: u32,
    /// RFC 3339, empty before the first start.
    pub(crate) started_at: String,
    /// RFC 3339, empty before the first end.
    pub(crate) finished_at: String,
    /// Of the last run.
    pub(crate) exit_code: i32,
    /// A process of it was killed for lack of memory in the last run.
    pub(crate) oom_killed: bool,
    /// Why the last start failed.
    pub(crate) error: String,
}

impl Default for RunState {
    fn default() -> Self {
        Self {
            status: Status::Created,
            pid: 0,
            started_at: String::new(),
            finished_at: String::new(),
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
        }
    }
}

impl RunState {
    /// Whether the workload exists, frozen or not.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused)
    }
}

impl Record {
    /// The host name.
    pub(crate) fn hostname(&self) -> &str {
        self.options.hostname.as_deref().unwrap_or(super::short(&self.id))
    }

    /// The options' labels over the image's.
    pub(crate) fn labels(&self) -> std::collections::BTreeMap<String, String> {
        let image = self.image.config.labels().iter().flatten();
        let mut labels: std::collections::BTreeMap<_, _> = image.map(|(k, v)| (k.clone(), v.clone())).collect();
        labels.extend(self.options.labels.clone());
        labels
    }
}
